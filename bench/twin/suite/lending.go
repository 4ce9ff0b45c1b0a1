package suite

import (
	"fmt"
	"time"
)

type (
	title struct {
		name, subject string
		pages         int
		film          bool
	}
	member struct {
		name   string
		school bool
	}
	loan struct {
		title, member int
		out           time.Time
		days          int // until it came back; -1 = it did not
	}
)

// daysAllowed is the rule of the handbook.
func (t title) daysAllowed() int {
	if t.film {
		return 14
	}
	return 28
}

// fee in cents is the rule of the handbook.
func (l loan) fee(t title, m member) int {
	if m.school {
		return 0
	}
	return min(max(l.days-t.daysAllowed(), 0)*20, 1000)
}

// lending has loans of a library in a database, titles in JSON and members
// in CSV. ISBNs have hyphens in one and none in another.
func lending(d draw, rows int) world {
	var titles []title
	for i := range 90 {
		titles = append(titles, title{fmt.Sprintf("The %s %s %d", d.one("Quiet", "Last", "Green", "Hidden"), d.one("River", "House", "Summer", "Map"), i), d.one("history", "novel", "science", "travel"), d.between(60, 900), d.IntN(4) == 0})
	}
	var members []member
	for i := range 65 {
		members = append(members, member{person(i), d.IntN(3) == 0})
	}
	var loans []loan
	for range rows {
		l := loan{d.IntN(len(titles)), d.IntN(len(members)), d.date(), d.between(1, 60)}
		if d.IntN(12) == 0 {
			l.days = -1
		}
		loans = append(loans, l)
	}
	desk := sheet{name: "loans", columns: []string{"loan", "isbn", "card", "lent", "returned"}}
	for i, l := range loans {
		var back any
		if l.days >= 0 {
			back = l.out.AddDate(0, 0, l.days).Format(time.DateOnly)
		}
		desk.rows = append(desk.rows, []any{i + 1, fmt.Sprintf("978-3-16-%06d-0", l.title), fmt.Sprintf("LB%05d", l.member), l.out.Format(time.DateOnly), back})
	}
	shelf := sheet{name: "titles", columns: []string{"isbn", "title", "subject", "extent"}}
	for i, t := range titles {
		extent := fmt.Sprintf("xii, %d p. ; %d cm", t.pages, d.between(18, 30))
		if t.film {
			extent = fmt.Sprintf("1 DVD, %d min", d.between(60, 200))
		}
		shelf.rows = append(shelf.rows, []any{fmt.Sprintf("978316%06d0", i), t.name, t.subject, extent})
	}
	cards := sheet{name: "members", columns: []string{"card_no", "name", "remark"}}
	for i, m := range members {
		remark := d.one("Joined online.", "Moved here last year.", "Volunteer on Mondays.")
		if m.school {
			remark = d.one("Card of a school class.", "Teacher, school card.")
		}
		cards.rows = append(cards.rows, []any{fmt.Sprintf("lb-%d", i), m.name, remark})
	}
	return world{
		files: []file{{"desk", "sqlite", []sheet{desk}}, {"titles", "json", []sheet{shelf}}, {"members", "csv", []sheet{cards}}},
		handbook: map[string]string{
			"periods": page("Loan periods", "A book is lent for 28 days, a film (DVD) for 14 days. A loan is late when it came back after more days. The extent of a title tells books from films."),
			"fees":    page("Fees", "Each day that a loan is late costs 20 cents, at most 10 EUR a loan. School cards pay no fees; the remark of a member tells who has one."),
			"missing": page("Missing loans", "A loan that has no date of return is missing. Missing loans are neither late nor charged."),
			"long":    page("Long books", "A long book has 500 pages or more. The pages are in its extent; the Roman number before them does not count."),
		},
		tasks: lendingTasks(titles, members, loans),
	}
}

func lendingTasks(titles []title, members []member, loans []loan) []Task {
	late, fees, long, missing := 0, 0, 0, 0
	paid, bySubject := map[string]int{}, map[string]int{}
	for _, l := range loans {
		t, m := titles[l.title], members[l.member]
		if !t.film && t.pages >= 500 {
			long++
		}
		if l.days < 0 {
			if m.school {
				missing++
			}
			continue
		}
		fees += l.fee(t, m)
		paid[m.name] += l.fee(t, m)
		if l.days > t.daysAllowed() {
			late++
			bySubject[t.subject]++
		}
	}
	return []Task{
		number("late", "How many loans were late? The handbook has the rules.", float64(late), 0),
		number("fees", "How much did all fees come to, in EUR? The handbook has the rules.", float64(fees)/100, 2),
		names("payers", "Which two members have paid the most fees, the one with most first? Give their names."+onTie, best(paid, 2)),
		number("long", "How many loans were there of long books, missing ones included? The handbook says what a long book is.", float64(long), 0),
		number("missing", "How many loans of school cards are missing? The handbook has the rules.", float64(missing), 0),
		name("subject", "Titles of which subject were late most often? The handbook has the rules."+onTie, best(bySubject, 1)[0]),
	}
}
