package codeagent_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"testing"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/codeagent"
	"github.com/strandsgo/strands/internal/pyenv"
	"github.com/strandsgo/strands/strandstest"
)

const growth = `
sales = pd.DataFrame({"month": [1, 2, 3, 4], "A": [100, 120, 150, 200]})
change = (sales["A"].iloc[-1] / sales["A"].iloc[0] - 1) * 100
ax = sns.lineplot(sales, x="month", y="A")
ax.set_title("Sales of A")
slope = stats.linregress(sales["month"], sales["A"]).slope
print(f"growth: {change:.1f} %, slope: {slope:.1f}, mean: {np.mean(sales['A']):.1f}")
`

// Toolkits are combined by listing them. The first run makes a Python
// environment with what they require; later ones use it.
func ExampleConfig_toolkits() {
	agent, err := codeagent.New(codeagent.Config{
		Model: &strandstest.Script{Turns: []strandstest.Turn{
			{Python: growth},
			{Text: `A grew by {{ match 1 "growth: (.*?)," }}.`},
		}},
		SystemPrompt: "You are a data analyst.",
		Toolkits:     []codeagent.Toolkit{codeagent.DataAnalysis, codeagent.Visualization},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer agent.Close()
	res, err := agent.Ask(context.Background(), "How did the sales of A grow?")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Text())
	// Output: A grew by 100.0 %.
}

// TestReadyMadeToolkits needs a package index the first time.
func TestReadyMadeToolkits(t *testing.T) {
	agent := newAgent(t, codeagent.Config{
		Model:    script(growth, "plt.plot([1, 2]); plt.figure(); plt.bar([1], [2]); datetime.date(2026, 1, 2)"),
		Toolkits: []codeagent.Toolkit{codeagent.DataAnalysis, codeagent.Visualization},
	})
	s := agent.NewSession()
	defer s.Close()
	if _, err := codeagent.REPL(t.Context(), s); err != nil {
		if e, ok := errors.AsType[*pyenv.InstallError](err); ok && e.Unreachable && os.Getenv("CI") != "true" {
			t.Skip("no package index (with CI=true this is a failure): ", err)
		}
		t.Fatal(err)
	}
	if _, err := s.Ask(t.Context(), "go"); err != nil {
		t.Fatal(err)
	}
	got := results(s)
	wantText(t, got[0], false, "growth: 100.0 %, slope: 33.0, mean: 142.5")
	wantText(t, got[1], false, "datetime.date(2026, 1, 2)")
	for i, want := range []int{1, 2} {
		if n := pictures(got[i]); n != want {
			t.Errorf("snippet %d: %d pictures, want %d", i+1, n, want)
		}
	}
}

func pictures(r *strands.ToolResult) int {
	n := 0
	for _, p := range r.Parts {
		if p.Image != nil && p.Image.MIME == "image/png" && len(p.Image.Data) > 1000 {
			n++
		}
	}
	return n
}
