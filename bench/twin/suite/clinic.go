package suite

import (
	"fmt"
	"time"
)

type (
	patient struct {
		name, insurer string
		birth         time.Time
	}
	visit struct {
		patient, cents, minutes int
		systolic, diastolic     int
		pulse                   int
		smoker, noShow          bool
		ward                    string
		day                     time.Time
	}
)

// hypertension is the rule of the handbook.
func (v visit) hypertension() bool { return v.systolic >= 140 || v.diastolic >= 90 }

// age is how many birthdays there were until day.
func (p patient) age(day time.Time) int {
	n := day.Year() - p.birth.Year()
	if day.AddDate(-n, 0, 0).Before(p.birth) {
		n--
	}
	return n
}

// clinic has visits in a database, patients in JSON with dates as Germans
// write them, and what was measured in the text of notes in a Parquet file.
func clinic(d draw, rows int) world {
	var patients []patient
	for i := range 80 {
		born := time.Date(d.between(1935, 2005), time.Month(d.between(1, 12)), d.between(1, 28), 0, 0, 0, 0, time.UTC)
		patients = append(patients, patient{person(i), d.one("Alba", "Borea", "Civica"), born})
	}
	var visits []visit
	for range rows {
		visits = append(visits, visit{
			patient: d.IntN(len(patients)), cents: d.between(2000, 40000), minutes: d.between(5, 90), systolic: d.between(95, 170),
			diastolic: d.between(55, 105), pulse: d.between(48, 120), smoker: d.IntN(3) == 0, noShow: d.IntN(8) == 0,
			ward: d.one("cardiology", "surgery", "general", "eyes"), day: d.date(),
		})
	}
	list := sheet{name: "visits", columns: []string{"visit_id", "patient", "day", "ward", "minutes", "charge", "outcome"}}
	notes := sheet{name: "notes", columns: []string{"visit", "text"}}
	for i, v := range visits {
		outcome := "seen"
		if v.noShow {
			outcome = "no-show"
		}
		list.rows = append(list.rows, []any{i + 1, fmt.Sprintf("P%04d", v.patient), v.day.Format(time.DateOnly), v.ward, v.minutes, float64(v.cents) / 100, outcome})
		if !v.noShow {
			notes.rows = append(notes.rows, []any{fmt.Sprintf("V-%07d", i+1), note(d, v)})
		}
	}
	people := sheet{name: "patients", columns: []string{"number", "name", "born", "insurer"}}
	for i, p := range patients {
		people.rows = append(people.rows, []any{fmt.Sprintf("%d/A", i), p.name, p.birth.Format("02.01.2006"), p.insurer})
	}
	return world{
		files: []file{{"clinic", "sqlite", []sheet{list}}, {"patients", "json", []sheet{people}}, {"notes", "parquet", []sheet{notes}}},
		handbook: map[string]string{
			"hypertension": page("Hypertension", "A visit shows hypertension when the systolic pressure in its note is 140 or more, or the diastolic pressure is 90 or more. Notes write systolic/diastolic."),
			"no-shows":     page("No-shows", "Visits with the outcome `no-show` have no note, are not charged and last no minutes, whatever the columns charge and minutes say. They are not counted as visits."),
			"seniors":      page("Seniors", "A senior is a patient who is 65 or older on the day of the visit."),
		},
		tasks: clinicTasks(patients, visits),
	}
}

// note is what a doctor writes of a visit.
func note(d draw, v visit) string {
	smoker := d.one("Does not smoke.", "Non-smoker.", "Never smoked.")
	if v.smoker {
		smoker = d.one("Smokes ten a day.", "Smoker.", "Still a smoker.")
	}
	return d.one(
		fmt.Sprintf("BP %d/%d mmHg, pulse %d. %s", v.systolic, v.diastolic, v.pulse, smoker),
		fmt.Sprintf("%s Pulse %d, blood pressure %d/%d.", smoker, v.pulse, v.systolic, v.diastolic),
	)
}

func clinicTasks(patients []patient, visits []visit) []Task {
	high, seniors, borea, minutes, smokers := 0, 0, 0, 0, 0
	pulse, seen, often := map[string]int{}, map[string]int{}, map[string]int{}
	for _, v := range visits {
		if v.noShow {
			continue
		}
		p := patients[v.patient]
		if v.hypertension() {
			high++
			often[p.name]++
		}
		if p.age(v.day) >= 65 {
			seniors++
		}
		if p.insurer == "Borea" {
			borea += v.cents
		}
		if v.smoker {
			pulse[v.ward] += v.pulse
			seen[v.ward]++
			if v.ward == "surgery" {
				minutes += v.minutes
				smokers++
			}
		}
	}
	mean := map[string]float64{}
	for ward, n := range seen {
		mean[ward] = float64(pulse[ward]) / float64(n)
	}
	return []Task{
		number("hypertension", "How many visits show hypertension? The handbook has the rule.", float64(high), 0),
		number("seniors", "How many visits were there of seniors? The handbook says who is a senior, and what counts as a visit.", float64(seniors), 0),
		number("insurer", "How much was charged in all to patients of the insurer Borea? Mind the rule about no-shows in the handbook.", float64(borea)/100, 2),
		name("pulse", "In which ward was the mean pulse of visits of smokers the highest? The notes tell who smokes.", best(mean, 1)[0]),
		names("often", "Which two patients had the most visits that show hypertension, the one with most first? Give their names."+onTie, best(often, 2)),
		number("minutes", "How many minutes did visits of smokers in surgery last on average? Mind the handbook.", float64(minutes)/float64(smokers), 1),
	}
}
