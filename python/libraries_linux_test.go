package python_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/strandsgo/strands/python"
)

// libraries are what a data analyst's agent uses; each starts threads, opens
// files of its own or makes unusual system calls when it is imported.
var libraries = []string{"numpy", "pandas", "scipy", "matplotlib", "pyarrow"}

// snippets use each of them, and say what comes out.
var snippets = []struct{ code, want string }{
	{"import numpy as np; print(round(np.linalg.det(np.eye(10) * 2)))", "1024"},
	{"import pandas as pd; print(pd.DataFrame({'k': [1, 1, 2], 'v': [1.5, 2, 3]}).groupby('k')['v'].sum().tolist())", "[3.5, 3.0]"},
	{"import scipy.stats, scipy.optimize, scipy.sparse, scipy.fft; print(round(scipy.stats.norm.cdf(0), 3), round(scipy.optimize.brentq(lambda x: x * x - 4, 0, 9), 6))", "0.5 2.0"},
	{"import pyarrow as pa, pyarrow.compute as pc, pyarrow.parquet as pq\nt = pa.Table.from_pandas(pd.DataFrame({'a': range(1000)}), nthreads=1)\npq.write_table(t, 'a.parquet')\nprint(pc.sum(pq.read_table('a.parquet', use_threads=False)['a']).as_py(), pd.read_parquet('a.parquet').shape)", "499500 (1000, 1)"},
	{"import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.title('x'); print(len(plt.get_fignums()))", "1"},
}

// withLibraries opens a session, or skips where nothing can be installed.
func withLibraries(t *testing.T, i python.Interpreter, preload []string) python.Session {
	t.Helper()
	t.Cleanup(func() { i.Close() })
	s, err := i.Open(t.Context(), python.Options{Libraries: []string{"*"}, Requirements: libraries, Preload: preload})
	if e, ok := errors.AsType[*python.InstallError](err); ok && e.Unreachable && os.Getenv("CI") != "true" {
		t.Skipf("the package index cannot be reached: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func result(t *testing.T, s python.Session, code string) *python.Result {
	t.Helper()
	var res *python.Result
	for o, err := range s.Exec(context.Background(), code) {
		if err != nil {
			t.Fatal(err)
		}
		res = o.Result
	}
	return res
}

// TestLibraries imports and uses them inside the sandbox, at both levels, with
// and without having them preloaded.
func TestLibraries(t *testing.T) {
	for _, level := range []python.Level{python.LevelNamespaces, python.LevelFiltered} {
		for name, preload := range map[string][]string{
			"preloaded":  {"numpy", "pandas", "scipy.stats", "scipy.optimize", "scipy.sparse", "scipy.fft", "matplotlib.pyplot", "pyarrow.parquet", "pyarrow.compute"},
			"in session": nil,
		} {
			t.Run(string(level)+" "+name, func(t *testing.T) {
				var warnings warned
				s := withLibraries(t, &python.Sandboxed{Level: level, Logger: warnings.logger()}, preload)
				if text := warnings.String(); text != "" {
					t.Errorf("not preloaded: %s", text)
				}
				for _, c := range snippets {
					res := result(t, s, c.code)
					if res.Err != nil || strings.TrimSpace(res.Stdout) != c.want {
						t.Errorf("%s: %+v", c.code, res)
					}
				}
				if res := result(t, s, "1"); res.StateLost {
					t.Errorf("%+v", res)
				}
			})
		}
	}
}

// TestPreloadedImportsAreFree: what was imported before the fork costs a
// session no more than a look into sys.modules.
func TestPreloadedImportsAreFree(t *testing.T) {
	s := withLibraries(t, &python.Sandboxed{Logger: quiet()}, []string{"numpy", "pandas", "matplotlib.pyplot"})
	res := result(t, s, "import sys, time\nprint([m for m in ('numpy', 'pandas', 'matplotlib.pyplot') if m not in sys.modules])\n"+
		"began = time.process_time()\nimport numpy, pandas, matplotlib.pyplot\nprint(time.process_time() - began)")
	lines := strings.Fields(res.Stdout)
	if res.Err != nil || len(lines) != 2 || lines[0] != "[]" {
		t.Fatalf("%+v", res)
	}
	if took, err := strconv.ParseFloat(lines[1], 64); err != nil || took > 0.2 { // importing them takes ten times that and more
		t.Errorf("the imports took %s s of processor time", lines[1])
	}
	res = result(t, s, "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nax.plot([1, 2, 3])\nprint('drawn')")
	if res.Err != nil || len(res.Images) != 1 {
		t.Errorf("%+v", res)
	}
}

// warned keeps the warnings of a backend.
type warned struct{ strings.Builder }

func (w *warned) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(&w.Builder, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
