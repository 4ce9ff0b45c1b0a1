package codeagent_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/codeagent"
)

// services are n functions in 16 modules.
func services(n int) []codeagent.Toolkit {
	type input struct {
		ID     string `json:"id" jsonschema:"which one"`
		Reason string `json:"reason,omitempty" jsonschema:"why, for the log"`
	}
	nouns := []string{"invoice", "order", "customer", "shipment", "refund", "ticket", "employee", "contract"}
	verbs := []string{"create", "get", "list", "cancel"}
	kits := make([]codeagent.Toolkit, 16)
	for i := range n {
		k := i % len(kits)
		name := fmt.Sprintf("%s_%s_%d", verbs[i/len(kits)%len(verbs)], nouns[i/len(kits)/len(verbs)%len(nouns)], k)
		kits[k].Name = fmt.Sprintf("service%d", k)
		kits[k].Functions = append(kits[k].Functions, strands.NewTool(name,
			fmt.Sprintf("Does what is asked to the record.\nService %d keeps it for ten years, whatever else is asked of it.", k),
			func(_ context.Context, in input) (string, error) { return name + " " + in.ID, nil }))
	}
	kits[3].Description = "Everything about freight."
	return kits
}

// TestCatalogue: what does not fit into the prompt can be found and used.
func TestCatalogue(t *testing.T) {
	kits := append(services(500), finance(t))
	cfg := codeagent.Config{Toolkits: kits}
	prompt, err := codeagent.Instructions(cfg)
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(prompt, "## Already defined")
	section, _, _ = strings.Cut(section, "## Notes")
	// A token of such text has about four characters.
	if tokens := utf8.RuneCountInString(section) / 4; tokens > 1000 || tokens < 100 {
		t.Errorf("500 functions cost %d tokens of prompt:\n%s", tokens, section)
	}
	for _, want := range []string{"service15", "- service3, 32 functions: Everything about freight.", "shop, ", "search_functions(", "help(name)"} {
		if !strings.Contains(section, want) {
			t.Errorf("no %q in\n%s", want, section)
		}
	}
	got := snippets(t, cfg,
		`print(search_functions("cancelling refunds"))`,
		`print(search_functions("orders from a CSV file", limit=1))`,
		`print(search_functions("zebra"))`,
		`print(search_functions("return on investment"))`,
		`help(cancel_refund_3)`,
		`cancel_refund_3(id="7")`,
		`from service3 import cancel_refund_3 as f; f("8")`,
	)
	wantText(t, got[0], false, "cancel_refund_", "(id: str, reason: str | None = None) -> str  # service", "\n    Does what is asked to the record.")
	if lines := strings.Split(got[0].Text(), "\n"); !strings.HasPrefix(strings.TrimSpace(lines[0]), "cancel_refund_") && !strings.Contains(lines[1], "cancel_refund_") {
		t.Errorf("the first hit is none for the task:\n%s", got[0].Text())
	}
	wantText(t, got[1], false, "load_orders(path: str) -> list[Order]  # shop")
	if strings.Count(got[1].Text(), "# ") != 1 {
		t.Errorf("more than one was asked for:\n%s", got[1].Text())
	}
	wantText(t, got[2], false, `No function fits "zebra"`, "service0")
	wantText(t, got[3], false, "calculate_roi(")
	wantText(t, got[4], false, "ten years")
	wantText(t, got[5], false, "cancel_refund_3 7")
	wantText(t, got[6], false, "cancel_refund_3 8")
}

func TestNoCatalogueBelowTheLimit(t *testing.T) {
	cfg := codeagent.Config{Toolkits: services(50)}
	prompt, err := codeagent.Instructions(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(prompt, "search_functions") || strings.Count(prompt, "def ") != 50 {
		t.Errorf("50 functions should be shown:\n%s", prompt)
	}
	cfg.DocLimit = 500
	short, err := codeagent.Instructions(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(short, "search_functions") || strings.Contains(short, "def ") {
		t.Errorf("50 functions are too many for 500 characters:\n%s", short)
	}
}
