package codeagent

import (
	"context"
	"embed"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/python"
)

var update = flag.Bool("update", false, "write the golden files anew")

//go:embed all:testdata/modules
var moduleFiles embed.FS

type roiInput struct {
	Investment float64 `json:"investment" jsonschema:"what was paid"`
	Returns    float64 `json:"returns" jsonschema:"what came back"`
}

func roiTool() strands.Tool {
	return strands.NewTool("calculate_roi", "Return on investment as a percentage.",
		func(_ context.Context, in roiInput) (float64, error) {
			return (in.Returns - in.Investment) / in.Investment * 100, nil
		})
}

type shelf struct{}

type searchInput struct {
	Query string `json:"query"`
	Limit int    `json:"limit,omitempty"`
}

func (shelf) Find(_ context.Context, in searchInput) ([]string, error) {
	return []string{in.Query}, nil
}

func testModules(t *testing.T) []python.Module {
	t.Helper()
	dir, err := fs.Sub(moduleFiles, "testdata/modules")
	if err != nil {
		t.Fatal(err)
	}
	modules, err := ModulesOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	return modules
}

// TestPrompt compares whole system prompts with golden files. Write them anew
// with go test ./codeagent -run TestPrompt -update, and read the difference.
func TestPrompt(t *testing.T) {
	for name, cfg := range map[string]Config{
		"bare":       {},
		"keep_state": {SystemPrompt: "You are terse.", KeepState: true, NoTempDir: true, Timeout: 90 * time.Second},
		"unconfined": {Interpreter: &python.Exec{}, Timeout: -1},
		"data":       {SystemPrompt: "You are a data analyst.", Toolkits: []Toolkit{DataAnalysis, Visualization}},
		"finance": {SystemPrompt: "You are a finance assistant.", Toolkits: []Toolkit{{
			Name:              "finance",
			Functions:         []strands.Tool{roiTool()},
			Objects:           []python.Object{python.ObjectOf("docs", "The handbook.", shelf{}, map[string]string{"Find": "Search it."})},
			UsageInstructions: "Amounts are in euros.\n",
		}, {
			Modules:            testModules(t),
			InitializationCode: "orders = load_orders('orders.csv')\nfence = '''```'''",
		}}},
		"catalogue": {DocLimit: 100, Toolkits: []Toolkit{{Functions: []strands.Tool{roiTool()}, Modules: testModules(t)}}},
	} {
		t.Run(name, func(t *testing.T) {
			instructions, err := Instructions(cfg)
			if err != nil {
				t.Fatal(err)
			}
			again, _ := Instructions(cfg)
			if again != instructions {
				t.Error("the same Config gives another prompt")
			}
			golden(t, "prompt_"+name+".md", instructions+"\n")
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is out of date; got\n%s", file, got)
	}
}

// TestPromptSize keeps the part that every agent pays for small.
func TestPromptSize(t *testing.T) {
	instructions, err := Instructions(Config{})
	if err != nil {
		t.Fatal(err)
	}
	if n := len([]rune(instructions)); n > 2500 {
		t.Errorf("the instructions have %d characters, more than 2,500", n)
	} else {
		t.Logf("%d characters", n)
	}
}

// TestPromptNamesNoHost: nothing of this machine may reach the model.
func TestPromptNamesNoHost(t *testing.T) {
	instructions, err := Instructions(Config{Toolkits: []Toolkit{DataAnalysis, Visualization, {Modules: testModules(t)}}})
	if err != nil {
		t.Fatal(err)
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{wd, os.TempDir() + "/", "/home/", "/root"} {
		if strings.Contains(instructions, secret) {
			t.Errorf("the prompt names %q", secret)
		}
	}
}
