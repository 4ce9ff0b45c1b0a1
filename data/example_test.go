package data_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/strandsgo/strands/data"
)

// Two stores that write their keys differently; profile finds what joins them.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	orders, people := filepath.Join(dir, "orders.csv"), filepath.Join(dir, "people.json")
	os.WriteFile(orders, []byte("id,customer,total\n1,C-001,10.5\n2,C-001,99\n3,C-002,20\n"), 0o600)
	os.WriteFile(people, []byte(`[{"code": "c1", "name": "Ada"}, {"code": "c2", "name": "Grace"}]`), 0o600)

	shop, err := data.Open(ctx, orders, data.Options{Name: "shop"})
	if err != nil {
		log.Fatal(err)
	}
	defer shop.Close()
	crm, err := data.Open(ctx, people, data.Options{Name: "crm"})
	if err != nil {
		log.Fatal(err)
	}
	defer crm.Close()
	data.Relate(shop, crm)

	// In an agent: codeagent.Config{Toolkits: []codeagent.Toolkit{
	//	codeagent.DataAnalysis, codeagent.ObjectOf("shop", shop), codeagent.ObjectOf("crm", crm)}}
	fmt.Println(shop.Instructions())
	profile, err := shop.Profile(ctx, "orders")
	if err != nil {
		log.Fatal(err)
	}
	for row := range profile.Rows() {
		fmt.Printf("%s: %s. joins: %q\n", row[0], row[7], row[8])
	}
	// Output:
	// shop is a copy of files in SQLite; write its SQL, with parameters as ?. It is read-only. Tables: orders. Aggregate in the database rather than fetch a large result.
	// id: 1, 2, 3. joins: ""
	// customer: C-001 ×2, C-002. joins: "crm: people.code (100% of values, written differently)"
	// total: 10.5, 20.0, 99.0. joins: ""
}
