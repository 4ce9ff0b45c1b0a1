package suite

import (
	"fmt"
	"time"
)

var (
	firstNames = []string{"Ada", "Ben", "Cleo", "Dora", "Emil", "Fay", "Gus", "Hana", "Ivo", "Jule", "Kai", "Lena"}
	lastNames  = []string{"Adler", "Brandt", "Costa", "Dubois", "Ek", "Fischer", "Garcia", "Holm", "Ito", "Jensen", "Kovac", "Lund"}
)

// person is a name that no other number has.
func person(i int) string {
	return fmt.Sprintf("%s %s %d", firstNames[i%len(firstNames)], lastNames[i/len(firstNames)%len(lastNames)], i)
}

// date is a day of 2024 or 2025.
func (d draw) date() time.Time {
	return time.Date(2024, 1, 1+d.IntN(731), 0, 0, 0, 0, time.UTC)
}

type (
	customer struct {
		name, country string
		letters       bool
	}
	product struct {
		category string
		grams    int
	}
	order struct {
		customer, product, quantity, cents int
		status                             string
		day                                time.Time
	}
)

// shop has orders in a database, customers in a CSV file and products in JSON.
// The three write their keys in three ways.
func shop(d draw, rows int) world {
	customers, products, orders := shopRecords(d, rows)
	sales := sheet{name: "orders", columns: []string{"order_id", "customer", "sku", "day", "quantity", "amount", "status"}}
	for i, o := range orders {
		sales.rows = append(sales.rows, []any{i + 1, fmt.Sprintf("C-%05d", o.customer), fmt.Sprintf("SKU/%04d", o.product), o.day.Format(time.DateOnly),
			o.quantity, float64(o.cents) / 100, o.status})
	}
	people := sheet{name: "customers", columns: []string{"id", "name", "country", "remark"}}
	for i, c := range customers {
		remark := d.one("Met at the fair in spring.", "Pays by invoice.", "Calls often.")
		if c.letters {
			remark += d.one(" Wants the newsletter.", " Subscribed to our newsletter in May.")
		} else {
			remark += d.one("", " Declined the newsletter.", " No newsletter, please.")
		}
		people.rows = append(people.rows, []any{fmt.Sprintf("c%d", i), c.name, c.country, remark})
	}
	goods := sheet{name: "products", columns: []string{"sku", "category", "description"}}
	for i, p := range products {
		weight := fmt.Sprintf("%.2f kg", float64(p.grams)/1000)
		if i%3 == 0 {
			weight = fmt.Sprintf("%d g", p.grams)
		}
		goods.rows = append(goods.rows, []any{fmt.Sprintf("sku-%d", i), p.category, fmt.Sprintf("A %s product for every day. Weighs %s, comes in %s.", d.one("fine", "solid", "new"), weight, d.one("red", "blue", "grey"))})
	}
	return world{
		files: []file{{"sales", "sqlite", []sheet{sales}}, {"customers", "csv", []sheet{people}}, {"products", "json", []sheet{goods}}},
		handbook: map[string]string{
			"revenue":      page("What counts as revenue", "Revenue is the sum of the amounts of orders with the status `paid`. Orders that are open or returned are no revenue."),
			"fiscal-year":  page("The fiscal year", "Our fiscal year begins on 1 April. Fiscal year 2025 is from 1 April 2024 to 31 March 2025, both included."),
			"heavy-goods":  page("Heavy goods", "Heavy goods are products that weigh more than 20 kg. Weights are in the description of a product, in g or in kg."),
			"key-accounts": page("Key accounts", "A key account is a customer with a revenue of at least twice the mean revenue of all customers that have any revenue."),
		},
		tasks: shopTasks(customers, products, orders),
	}
}

func shopRecords(d draw, rows int) (customers []customer, products []product, orders []order) {
	for i := range 60 {
		customers = append(customers, customer{person(i), d.one("France", "Italy", "Norway", "Poland"), d.IntN(3) == 0})
	}
	for range 40 {
		products = append(products, product{d.one("garden", "kitchen", "office", "sports"), d.between(200, 40000)})
	}
	for range rows {
		c := d.IntN(len(customers))
		if d.IntN(3) == 0 {
			c = d.IntN(6) // who buys a lot
		}
		orders = append(orders, order{c, d.IntN(len(products)), d.between(1, 9), d.between(500, 90000), d.one("paid", "paid", "paid", "open", "returned"), d.date()})
	}
	return customers, products, orders
}

func shopTasks(customers []customer, products []product, orders []order) []Task {
	var norway, total, key int
	fiscal, letters, returned, byCustomer := map[string]int{}, map[string]int{}, map[string]int{}, map[int]int{}
	heavy := 0
	from, to := time.Date(2024, 4, 1, 0, 0, 0, 0, time.UTC), time.Date(2025, 4, 1, 0, 0, 0, 0, time.UTC)
	for _, o := range orders {
		c, p := customers[o.customer], products[o.product]
		if o.status == "returned" {
			returned[fmt.Sprintf("sku-%d", o.product)] += o.quantity
			if p.grams > 20000 {
				heavy += o.quantity
			}
		}
		if o.status != "paid" {
			continue
		}
		total += o.cents
		byCustomer[o.customer] += o.cents
		if c.country == "Norway" {
			norway += o.cents
		}
		if !o.day.Before(from) && o.day.Before(to) {
			fiscal[p.category] += o.cents
		}
		if c.letters {
			letters[c.name] += o.cents
		}
	}
	for _, cents := range byCustomer {
		if cents*len(byCustomer) >= 2*total {
			key++
		}
	}
	return []Task{
		number("revenue", "How much revenue did the customers in Norway bring? The handbook says what counts as revenue.", float64(norway)/100, 2),
		name("fiscal-year", "Which product category had the highest revenue in our fiscal year 2025? The handbook has the rules."+onTie, best(fiscal, 1)[0]),
		number("heavy-returns", "How many units of heavy goods were returned, counting the quantities of returned orders? The handbook says what heavy goods are.", float64(heavy), 0),
		name("newsletter", "Which customer among those who agreed to get the newsletter brought the highest revenue? The remarks tell who agreed."+onTie, best(letters, 1)[0]),
		number("key-accounts", "How many key accounts do we have, by the rule of the handbook?", float64(key), 0),
		names("returns", "Which three products were returned most, by quantity, the most returned first? Write their keys as the product list does."+onTie, best(returned, 3)),
	}
}
