package suite

import (
	"fmt"
	"time"
)

type (
	account struct {
		name, region string
		premium      bool
	}
	ticket struct {
		account, agent    int
		product, severity string
		opened            time.Time
		minutes           int // until it was closed; -1 = it is open
	}
)

// hoursAllowed are the times of the handbook, by severity.
var hoursAllowed = map[string]int{"high": 8, "normal": 24, "low": 72}

// late is the rule of the handbook; open tickets are judged apart.
func (t ticket) late(premium bool) bool {
	allowed := hoursAllowed[t.severity] * 60
	if premium {
		allowed /= 2
	}
	return t.minutes > allowed
}

// support has tickets in a database, their texts in Parquet, and accounts in
// CSV. Product and severity are in the texts only.
func support(d draw, rows int) world {
	var accounts []account
	for i := range 70 {
		accounts = append(accounts, account{fmt.Sprintf("%s %s %d", d.one("North", "Blue", "Grand", "Old"), d.one("Foods", "Steel", "Travel", "Books"), i), d.one("EMEA", "APAC", "AMER"), d.IntN(4) == 0})
	}
	var tickets []ticket
	for range rows {
		t := ticket{d.IntN(len(accounts)), d.IntN(9), d.one("Nimbus", "Quasar", "Pollen", "Tundra"), d.one("high", "normal", "low"), d.date().Add(time.Duration(d.IntN(1440)) * time.Minute), d.between(10, 6000)}
		if d.IntN(10) == 0 {
			t.minutes = -1
		}
		tickets = append(tickets, t)
	}
	list := sheet{name: "tickets", columns: []string{"id", "account", "agent", "opened", "closed"}}
	texts := sheet{name: "messages", columns: []string{"ticket", "body"}}
	for i, t := range tickets {
		var closed any
		if t.minutes >= 0 {
			closed = t.opened.Add(time.Duration(t.minutes) * time.Minute).Format("2006-01-02 15:04")
		}
		list.rows = append(list.rows, []any{i + 1, fmt.Sprintf("ACC-%04d", t.account), fmt.Sprintf("agent%d", t.agent), t.opened.Format("2006-01-02 15:04"), closed})
		texts.rows = append(texts.rows, []any{fmt.Sprintf("#%d", i+1), message(d, t)})
	}
	clients := sheet{name: "accounts", columns: []string{"account_no", "name", "region", "contract"}}
	for i, a := range accounts {
		contract := d.one("Standard contract, yearly.", "Standard contract, monthly.")
		if a.premium {
			contract = d.one("Premium contract, yearly.", "Has a premium contract since 2023.")
		}
		clients.rows = append(clients.rows, []any{fmt.Sprintf("acc %d", i), a.name, a.region, contract})
	}
	return world{
		files: []file{{"desk", "sqlite", []sheet{list}}, {"messages", "parquet", []sheet{texts}}, {"accounts", "csv", []sheet{clients}}},
		handbook: map[string]string{
			"times":    page("Times to close", "A ticket of severity high is to be closed within 8 hours, normal within 24 hours, low within 72 hours. For accounts with a premium contract half of the time is allowed. A ticket that took longer is late; exactly the time allowed is not late."),
			"open":     page("Open tickets", "A ticket without a closing time is open. Open tickets are neither late nor in time, and are left out of all figures about times."),
			"severity": page("Severity and product", "Severity and product of a ticket are in its message. P1 means high, P2 means normal, P3 means low."),
		},
		tasks: supportTasks(accounts, tickets),
	}
}

// message tells product and severity, in one of two ways.
func message(d draw, t ticket) string {
	code := map[string]string{"high": "P1", "normal": "P2", "low": "P3"}[t.severity]
	return d.one(
		fmt.Sprintf("Hello, %s stopped after the update. Severity: %s. Please help.", t.product, t.severity),
		fmt.Sprintf("[%s] Question about %s: how do we export?", code, t.product),
	)
}

func supportTasks(accounts []account, tickets []ticket) []Task {
	late, open, minutes, premium := 0, 0, 0, 0
	byProduct, byName := map[string]int{}, map[string]int{}
	closed, lateIn := map[string]int{}, map[string]int{}
	for _, t := range tickets {
		a := accounts[t.account]
		if t.severity == "high" {
			byProduct[t.product]++
		}
		if t.minutes < 0 {
			if a.region == "APAC" {
				open++
			}
			continue
		}
		closed[a.region]++
		if a.premium {
			minutes += t.minutes
			premium++
		}
		if t.late(a.premium) {
			late++
			lateIn[a.region]++
			if t.product == "Quasar" {
				byName[a.name]++
			}
		}
	}
	share := map[string]float64{}
	for region := range closed {
		share[region] = float64(lateIn[region]) / float64(closed[region])
	}
	return []Task{
		number("late", "How many tickets were late? The handbook has the rules.", float64(late), 0),
		name("urgent", "About which product were there the most tickets of severity high, open ones included? The handbook explains how messages tell it."+onTie, best(byProduct, 1)[0]),
		number("open", "How many tickets of accounts in the region APAC are open?", float64(open), 0),
		name("region", "Which region has the highest share of late tickets among its tickets that are not open?", best(share, 1)[0]),
		number("premium", "How many hours did it take on average to close the tickets of accounts with a premium contract? Mind the handbook on open tickets.", float64(minutes)/60/float64(premium), 2),
		name("quasar", "Which account had the most late tickets about the product Quasar? Give its name."+onTie, best(byName, 1)[0]),
	}
}
