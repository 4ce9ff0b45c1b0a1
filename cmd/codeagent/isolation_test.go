//go:build linux

package main_test

import (
	"strings"
	"testing"
)

func TestIsolationIsDemandedInWords(t *testing.T) {
	codeagent(t, "exec", "--isolation", "network=none,files_read=listed", "-c", "print(1)").check(t, 0, "1\n")
	codeagent(t, "exec", "--isolation", "filtered,network=none", "-c", "print(1)").check(t, 0, "1\n")
	r := codeagent(t, "exec", "--isolation", "filtered,disk=quota", "-c", "print(1)")
	if r.code != 2 || !strings.Contains(r.stderr, "disk is per-file, quota is required (level filtered was asked for)") {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
	r = codeagent(t, "doctor", "--isolation", "filtered,disk=quota")
	for _, want := range []string{"quota is required", "isolation          filtered", "disk             per-file   not stronger: level filtered"} {
		if r.code != 1 || !strings.Contains(r.stdout, want) {
			t.Errorf("exit code %d, %q is missing: %s", r.code, want, r.stdout)
		}
	}
	for demand, want := range map[string]string{
		"sound=none":         "choose level, files_read",
		"memory=all":         "choose cgroup, rlimit, none",
		"none,memory=cgroup": "nothing that could be demanded",
		"filtered,chroot":    "choose namespaces, filtered or none",
		"level=none":         "nothing to require",
	} {
		r := codeagent(t, "exec", "--isolation", demand, "-c", "1")
		if r.code != 2 || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: exit code %d: %s", demand, r.code, r.stderr)
		}
	}
}

func TestProgramsOfTheMachine(t *testing.T) {
	code := "import subprocess; print(subprocess.run('echo $((6*7))', shell=True, capture_output=True, text=True).stdout)"
	codeagent(t, "exec", "--processes", "--allow", "subprocess", "-c", code).check(t, 0, "42\n\n")
	if r := codeagent(t, "exec", "--allow", "subprocess", "-c", code); r.code != 1 || !strings.Contains(r.stderr, "PermissionError") {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
	if r := codeagent(t, "exec", "--processes", "--isolation", "filtered", "-c", "1"); r.code != 2 || !strings.Contains(r.stderr, "needs level namespaces") {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
	if r := codeagent(t, "exec", "--processes", "--interpreter", "exec", "-c", "1"); r.code != 2 || !strings.Contains(r.stderr, "leave it out") {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
}
