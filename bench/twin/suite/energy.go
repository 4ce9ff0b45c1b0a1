package suite

import (
	"fmt"
	"time"
)

type (
	site struct {
		name, city, kind string
		area             int
	}
	reading struct {
		site, watts int // watt hours
		day         time.Time
	}
)

// plausible is the rule of the handbook.
func (r reading) plausible() bool { return r.watts >= 0 && r.watts <= 500000 }

// winter is the rule of the handbook.
func (r reading) winter() bool {
	return r.day.Month() >= time.November || r.day.Month() <= time.February
}

// perKWh and standing are cents of the tariffs, by city.
var (
	cities   = []string{"Bergen", "Lyon", "Porto", "Turin"}
	perKWh   = map[string]int{"Bergen": 11, "Lyon": 19, "Porto": 17, "Turin": 23}
	standing = map[string]int{"Bergen": 950, "Lyon": 1200, "Porto": 800, "Turin": 1450}
)

// energy has readings in a database, sites in CSV with their areas in text,
// and tariffs in JSON.
func energy(d draw, rows int) world {
	var sites []site
	for i := range 45 {
		sites = append(sites, site{fmt.Sprintf("%s %d", d.one("Depot", "Office", "School", "Plant"), i), d.one(cities...), d.one("owned", "rented"), d.between(80, 2400)})
	}
	var readings []reading
	for range rows {
		r := reading{d.IntN(len(sites)), d.between(1000, 480000), d.date()}
		switch d.IntN(25) {
		case 0:
			r.watts = -d.between(1, 9000)
		case 1:
			r.watts = d.between(500001, 9000000)
		}
		readings = append(readings, r)
	}
	meters := sheet{name: "readings", columns: []string{"meter", "day", "kwh"}}
	for _, r := range readings {
		meters.rows = append(meters.rows, []any{fmt.Sprintf("MTR-000-%03d", r.site), r.day.Format("20060102"), float64(r.watts) / 1000})
	}
	places := sheet{name: "sites", columns: []string{"meter_no", "name", "town", "remark"}}
	for i, s := range sites {
		area := fmt.Sprintf("%d m2", s.area)
		if i%4 == 0 {
			area = fmt.Sprintf("%d square metres", s.area)
		}
		places.rows = append(places.rows, []any{fmt.Sprintf("No. %d", i), s.name, d.one(s.city, s.city+" ", s.city+" (city)"), fmt.Sprintf("Building is %s, %s heated. Roof from %d.", s.kind, area, d.between(1960, 2020))})
	}
	prices := sheet{name: "tariffs", columns: []string{"city", "cents_per_kwh", "standing_cents_per_month"}}
	for _, c := range cities {
		prices.rows = append(prices.rows, []any{c, perKWh[c], standing[c]})
	}
	return world{
		files: []file{{"meters", "sqlite", []sheet{meters}}, {"sites", "csv", []sheet{places}}, {"tariffs", "json", []sheet{prices}}},
		handbook: map[string]string{
			"readings":  page("Implausible readings", "A reading below 0 kWh or above 500 kWh is a fault of the meter. Such readings are dropped from all figures."),
			"winter":    page("Winter", "Winter is from November to February."),
			"intensity": page("Intensity", "The intensity of a site is the kWh of all its readings for each square metre of heated area. The remarks of sites tell the area."),
			"costs":     page("Costs", "The cost of consumption is kWh times the price of the city. The standing charge of a site is due for each of the 24 months of 2024 and 2025, whether there are readings or not."),
		},
		tasks: energyTasks(sites, readings),
	}
}

func energyTasks(sites []site, readings []reading) []Task {
	winter, faults, rented, milli := 0, 0, 0, 0
	byCity, bySite := map[string]int{}, map[string]int{}
	for _, r := range readings {
		s := sites[r.site]
		if !r.plausible() {
			if s.city == "Porto" {
				faults++
			}
			continue
		}
		bySite[s.name] += r.watts
		if r.winter() {
			winter += r.watts
			byCity[s.city] += r.watts
		}
		if s.kind == "rented" && r.day.Year() == 2025 {
			rented += r.watts
		}
		if s.city == "Lyon" {
			milli += r.watts * perKWh[s.city] // thousandths of a cent
		}
	}
	intensity := map[string]float64{}
	for _, s := range sites {
		intensity[s.name] = float64(bySite[s.name]) / float64(s.area)
		if s.city == "Lyon" {
			milli += 24 * standing["Lyon"] * 1000
		}
	}
	return []Task{
		number("winter", "How many kWh were used in winter, in all sites? The handbook has the rules.", float64(winter)/1000, 1),
		number("faults", "How many readings of sites in Porto are implausible, by the handbook?", float64(faults), 0),
		name("city", "In which city was most used in winter? Give the city as the tariffs write it. The handbook has the rules."+onTie, best(byCity, 1)[0]),
		number("rented", "How many kWh were used in rented buildings in 2025? Mind the handbook.", float64(rented)/1000, 1),
		names("intensity", "Which three sites have the highest intensity, the highest first? The handbook says what it is.", best(intensity, 3)),
		number("cost", "What did consumption and standing charges of all sites in Lyon cost in 2024 and 2025 together, in EUR? The handbook has the rules.", float64(milli)/1e5, 2),
	}
}
