package sandbox

import (
	"strings"
	"testing"
)

// full is what the strongest machine gives.
func full() Report {
	return Report{
		Level: LevelNamespaces, FilesRead: "listed", FilesWrite: "session", FileMetadata: "hidden", Network: "none",
		UnixSockets: "none", Processes: "none", Threads: "own", Signals: "own", Memory: "cgroup", CPU: "rlimit",
		Disk: "quota", Kernel: "allowlist", ProcFS: "own", Landlock: 7,
	}
}

// TestUnmet weakens each resource in turn: exactly a demand of it is not met.
func TestUnmet(t *testing.T) {
	if got := full().Unmet(full()); len(got) > 0 {
		t.Errorf("what there is does not meet itself: %q", got)
	}
	for _, w := range vocabulary {
		strong, weak := full(), full()
		if w.field == nil {
			weak.Landlock = 1
		} else {
			*w.field(&strong), *w.field(&weak) = w.values[0], w.values[len(w.values)-1]
		}
		weak.Missing = []string{w.topic + "reason of this"}
		got := weak.Unmet(strong)
		if len(got) != 1 || !strings.HasPrefix(got[0], w.name+" is ") || w.field != nil && w.topic != "" && !strings.Contains(got[0], "reason of this") {
			t.Errorf("%s: %q", w.name, got)
		}
		if got := strong.Unmet(weak); len(got) > 0 {
			t.Errorf("%s: stronger than was demanded: %q", w.name, got)
		}
		if got := weak.Unmet(Report{}); len(got) > 0 {
			t.Errorf("%s: nothing was demanded: %q", w.name, got)
		}
	}
	if got := (Report{}).Unmet(Report{Memory: "rlimit"}); len(got) != 1 {
		t.Errorf("a report that says nothing meets a demand: %q", got)
	}
}

func TestSetDemand(t *testing.T) {
	var r Report
	for _, w := range vocabulary {
		value := "3"
		if w.field != nil {
			value = w.values[0]
		}
		if err := r.Set(w.name, value); err != nil || w.value(&r) != value {
			t.Errorf("Set(%s, %s): %v, %q", w.name, value, err, w.value(&r))
		}
	}
	if err := r.CheckDemand(); err != nil {
		t.Error(err)
	}
	for _, c := range [][3]string{
		{"memory", "lots", "memory=lots: choose cgroup, rlimit, none"},
		{"sound", "none", `"sound" is no word of isolation: choose level, files_read`},
		{"landlock", "x", "give a version"},
	} {
		if err := r.Set(c[0], c[1]); err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("Set(%s, %s): %v", c[0], c[1], err)
		}
	}
	for _, bad := range []Report{{Memory: "lots"}, {Level: "strong"}, {Level: LevelNone}} {
		if err := bad.CheckDemand(); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

func TestWordsSayWhy(t *testing.T) {
	r := full()
	r.Level, r.FileMetadata, r.Disk, r.Memory, r.CPU = LevelFiltered, "visible", "per-file", "rlimit", "none"
	r.Missing = []string{"level namespaces: user namespaces: clone: no", "memory cgroup: not delegated"}
	want := map[string]string{
		"level": r.Missing[0], "file_metadata": r.Missing[0], "disk": r.Missing[0], "memory": r.Missing[1], "cpu": "the limit is switched off",
	}
	for _, w := range r.Words() {
		if w.Why != want[w.Name] {
			t.Errorf("%s is %s: %q, want %q", w.Name, w.Value, w.Why, want[w.Name])
		}
	}
	for _, w := range Unconfined("this system: confinement needs Linux").Words() {
		if w.Why == "" {
			t.Errorf("%s is %s, and no reason", w.Name, w.Value)
		}
	}
}
