package suite

import (
	"fmt"
	"strings"
	"time"
)

type (
	vehicle struct {
		plate, fuel, model string
		seats              int
	}
	trip struct {
		vehicle, metres, millilitres int
		private                      bool
		day                          time.Time
	}
	repair struct {
		vehicle, euros int
		part           string
		day            time.Time
	}
)

// gramsPerLitre of carbon dioxide is a rule of the handbook.
var gramsPerLitre = map[string]int{"diesel": 2650, "petrol": 2320}

// fleet has trips in a database, vehicles in a Parquet file and repairs as
// text in CSV. Plates are written in three ways.
func fleet(d draw, rows int) world {
	var vehicles []vehicle
	for i := range 50 {
		plate := fmt.Sprintf("%s-%s%s %d", d.one("B", "HH", "M"), string(rune('A'+i%26)), string(rune('A'+i/26)), 100+i*7)
		vehicles = append(vehicles, vehicle{plate, d.one("diesel", "petrol"), d.one("Vito", "Kangoo", "Caddy", "Transit"), d.between(2, 9)})
	}
	var trips []trip
	for range rows {
		trips = append(trips, trip{d.IntN(len(vehicles)), d.between(900, 320000), d.between(100, 30000), d.IntN(5) == 0, d.date()})
	}
	var repairs []repair
	for range max(rows/10, 120) {
		repairs = append(repairs, repair{d.IntN(len(vehicles)), d.between(40, 1900), d.one("brake pads", "battery", "clutch", "tyres"), d.date()})
	}
	log := sheet{name: "trips", columns: []string{"trip_id", "plate", "day", "km", "litres", "purpose"}}
	for i, t := range trips {
		purpose := "B"
		if t.private {
			purpose = "P"
		}
		log.rows = append(log.rows, []any{i + 1, vehicles[t.vehicle].plate, t.day.Format(time.DateOnly), float64(t.metres) / 1000, float64(t.millilitres) / 1000, purpose})
	}
	cars := sheet{name: "vehicles", columns: []string{"plate", "model", "fuel", "remark"}}
	for _, v := range vehicles {
		cars.rows = append(cars.rows, []any{strings.NewReplacer("-", "", " ", "").Replace(v.plate), v.model, v.fuel, fmt.Sprintf("%s with %d seats.", d.one("Clean van", "Old van", "Grey van"), v.seats)})
	}
	work := sheet{name: "repairs", columns: []string{"plate", "done", "report"}}
	for _, r := range repairs {
		work.rows = append(work.rows, []any{strings.ToLower(strings.ReplaceAll(vehicles[r.vehicle].plate, "-", " ")), r.day.Format("02/01/2006"),
			d.one(fmt.Sprintf("Replaced %s, %d EUR.", r.part, r.euros), fmt.Sprintf("Cost %d EUR: new %s fitted.", r.euros, r.part))})
	}
	return world{
		files: []file{{"log", "sqlite", []sheet{log}}, {"vehicles", "parquet", []sheet{cars}}, {"workshop", "csv", []sheet{work}}},
		handbook: map[string]string{
			"emissions": page("Emissions", "Burning a litre of diesel makes 2.65 kg of carbon dioxide, a litre of petrol 2.32 kg. Emissions are reported for business trips only."),
			"purposes":  page("Purposes of trips", "The purpose `B` is business, `P` is private. Mileage, consumption and emissions are reported for business trips only."),
			"wear":      page("Wear parts", "Wear parts are brake pads and tyres. A battery and a clutch are none."),
			"plates":    page("Plates", "The workshop writes plates in small letters with spaces, the vehicle list without spaces and hyphens. They are the same plates. The workshop writes dates as day/month/year."),
		},
		tasks: fleetTasks(vehicles, trips, repairs),
	}
}

func fleetTasks(vehicles []vehicle, trips []trip, repairs []repair) []Task {
	grams, seats, wear := 0, 0, 0
	km, costs := map[string]int{}, map[string]int{}
	used, driven := map[string]int{}, map[string]int{}
	perVehicle := map[int]int{}
	for _, t := range trips {
		if t.private {
			continue
		}
		v := vehicles[t.vehicle]
		grams += t.millilitres * gramsPerLitre[v.fuel] / 10 // in units of 10 mg: exact
		km[v.model] += t.metres
		used[v.model] += t.millilitres
		driven[v.model] += t.metres
		perVehicle[t.vehicle] += t.metres
		if v.seats >= 7 {
			seats += t.metres
		}
	}
	for _, r := range repairs {
		costs[vehicles[r.vehicle].model] += r.euros
		if r.part == "tyres" || r.part == "brake pads" {
			if vehicles[r.vehicle].fuel == "diesel" && r.day.Year() == 2025 {
				wear += r.euros
			}
		}
	}
	thirst := map[string]float64{}
	for model, n := range used {
		thirst[model] = float64(n) / float64(driven[model])
	}
	most := 0
	for i := range vehicles {
		if perVehicle[i] > perVehicle[most] {
			most = i
		}
	}
	atMost := 0
	for _, r := range repairs {
		if r.vehicle == most {
			atMost += r.euros
		}
	}
	return []Task{
		number("emissions", "How many kg of carbon dioxide do we report for all trips? The handbook has the factors and says which trips are reported.", float64(grams)/1e5, 1),
		name("mileage", "Which model of vehicle has the highest mileage to report? The handbook says which trips are reported."+onTie, best(km, 1)[0]),
		number("seats", "How many km do we report for vehicles with seven or more seats? The remarks tell the seats.", float64(seats)/1000, 1),
		number("wear", "How many EUR did wear parts of diesel vehicles cost in repairs done in 2025? The handbook says what wear parts are.", float64(wear), 0),
		names("thirst", "List the two models that consume most litres per km over all trips that are reported, the thirstiest first.", best(thirst, 2)),
		number("busiest", "How many EUR did all repairs cost of the one vehicle with the most km to report?", float64(atMost), 0),
	}
}
