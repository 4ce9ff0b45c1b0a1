package suite

import "fmt"

// sum adds the amounts of a kind in cents, of records that keep is true for.
func (r registry) sum(kind string, keep func(entry) bool) int {
	n := 0
	for _, e := range r[kind] {
		if keep(e) {
			n += e.cents
		}
	}
	return n
}

// count counts them.
func (r registry) count(kind string, keep func(entry) bool) int {
	n := 0
	for _, e := range r[kind] {
		if keep(e) {
			n++
		}
	}
	return n
}

// owner is the person that a record belongs to.
func (r registry) owner(e entry) entry {
	kind := "customer"
	if e.Owner[:3] == "EMP" {
		kind = "employee"
	}
	for _, p := range r[kind] {
		if p.ID == e.Owner {
			return p
		}
	}
	return entry{}
}

// totals are the cents of a kind by a key of the record.
func (r registry) totals(kind string, keep func(entry) bool, key func(entry) string) map[string]int {
	m := map[string]int{}
	for _, e := range r[kind] {
		if keep(e) {
			m[key(e)] += e.cents
		}
	}
	return m
}

func euros(cents int) float64 { return float64(cents) / 100 }

// tasks need two to seventy calls.
func (r registry) tasks() []Task {
	status := func(s string) func(entry) bool { return func(e entry) bool { return e.Status == s } }
	any := func(entry) bool { return true }
	group := func(g string) func(entry) bool { return func(e entry) bool { return r.owner(e).Group == g } }
	of := func(e entry) string { return r.owner(e).Name }
	debtor := r.owner(r["invoice"][3])
	traveller := r.owner(r["expense"][5])
	both := map[string]int{}
	for _, kind := range []string{"ticket", "complaint"} {
		for _, e := range r[kind] {
			if e.Status == "open" {
				both[r.owner(e).Group]++
			}
		}
	}
	unpaid := r.count("customer", func(c entry) bool {
		return r.count("invoice", func(e entry) bool { return e.Owner == c.ID && e.Status == "late" }) > 0 &&
			r.count("order", func(e entry) bool { return e.Owner == c.ID && e.Status == "open" }) > 0
	})
	own := func(p entry) func(entry) bool { return func(e entry) bool { return e.Owner == p.ID } }
	return []Task{
		number("debtor", fmt.Sprintf("What do all invoices of the customer %s come to, in EUR, whatever their state?", debtor.Name), euros(r.sum("invoice", own(debtor))), 2),
		number("traveller", fmt.Sprintf("What do the expenses and advances of the employee %s come to together, in EUR?", traveller.Name),
			euros(r.sum("expense", own(traveller))+r.sum("advance", own(traveller))), 2),
		number("incidents", "How many security incidents are late, and how many audits, in all?", float64(r.count("incident", status("late"))+r.count("audit", status("late"))), 0),
		name("payments", "Which customer has made the payments that come to the most, over payments that are done?"+onTie, best(r.totals("payment", status("done"), of), 1)[0]),
		number("country", "What do all orders of customers in Kenya come to, in EUR?", euros(r.sum("order", group("Kenya"))), 2),
		name("helpdesk", "From which country do the most tickets and complaints together come that are open?"+onTie, best(both, 1)[0]),
		number("unpaid", "How many customers have both an invoice that is late and an order that is open?", float64(unpaid), 0),
		names("bonuses", "Which three employees get the most in bonuses that are not void, the one with most first?",
			best(r.totals("bonus", func(e entry) bool { return e.Status != "void" }, of), 3)),
		name("department", "Which department's employees have the most worth of laptops and phones together?", bestOf(r.totals("laptop", any, r.groupOf), r.totals("phone", any, r.groupOf))),
		number("special", "What do special contracts that are open and belong to customers in Japan come to, in EUR?",
			euros(r.sum("contract", func(e entry) bool { return e.Group == "special" && e.Status == "open" && group("Japan")(e) })), 2),
		number("certificates", "How many employees of Research have no certificate that is done?", float64(r.count("employee", func(p entry) bool {
			return p.Group == "Research" && r.count("certificate", func(e entry) bool { return e.Owner == p.ID && e.Status == "done" }) == 0
		})), 0),
		name("newest", "What is the name of the project with the highest amount among those that are late?", best(r.totals("project", status("late"), func(e entry) string { return e.Name }), 1)[0]),
	}
}

// groupOf is the country or the department of a record's owner.
func (r registry) groupOf(e entry) string { return r.owner(e).Group }

// bestOf is the key with the greatest sum over two maps.
func bestOf(a, b map[string]int) string {
	sum := map[string]int{}
	for _, m := range []map[string]int{a, b} {
		for k, v := range m {
			sum[k] += v
		}
	}
	return best(sum, 1)[0]
}
