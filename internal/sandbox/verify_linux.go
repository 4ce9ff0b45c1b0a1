package sandbox

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// sessionNamespaces are those that a session at LevelNamespaces shares with
// nobody outside.
var sessionNamespaces = []string{"cgroup", "ipc", "mnt", "net", "pid", "user", "uts"}

// expectation is what a session must be seen to be.
type expectation struct {
	level    Level
	zygote   int  // its pid
	uid      int  // as this program sees it
	bounded  bool // it could drop its bounding set; under no_new_privs that is a second wall only
	proc     bool
	readOnly []string // mounts of the host
}

// verify looks at a process from outside. What the process says about itself
// is not asked.
func (e expectation) verify(pid int) error {
	st, err := readStatus(pid)
	if err != nil {
		return err
	}
	want := map[string]string{"Seccomp": "2", "NoNewPrivs": "1", "Threads": "1"}
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd"} {
		if set != "CapBnd" || e.bounded {
			want[set] = "0000000000000000"
		}
	}
	for key, value := range want {
		if st[key] != value {
			return fmt.Errorf("%s is %q, want %q", key, st[key], value)
		}
	}
	id := strconv.Itoa(e.uid)
	if ids := strings.Fields(st["Uid"]); len(ids) != 4 || slices.ContainsFunc(ids, func(s string) bool { return s != id }) {
		return fmt.Errorf("user ids are %q, want %s", st["Uid"], id)
	}
	if e.level != LevelNamespaces {
		return nil
	}
	if err := e.namespaces(pid); err != nil {
		return err
	}
	return e.mounts(pid)
}

func (e expectation) namespaces(pid int) error {
	for _, kind := range sessionNamespaces {
		own, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
		if err != nil {
			return err
		}
		others := []string{"self", strconv.Itoa(e.zygote)}
		if kind == "user" && !e.proc {
			others = others[:1] // without /proc a session stays in the zygote's
		}
		for _, other := range others {
			theirs, err := os.Readlink(fmt.Sprintf("/proc/%s/ns/%s", other, kind))
			if err != nil {
				return err
			}
			if own == theirs {
				return fmt.Errorf("the %s namespace is shared", kind)
			}
		}
	}
	return nil
}

// mounts checks that nothing of the host is in view that was not asked for,
// and nothing of it writable.
func (e expectation) mounts(pid int) error {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		// id, parent, device, root, mount point, options, …
		f := strings.Fields(line)
		if len(f) < 6 {
			return fmt.Errorf("a mount that cannot be read: %q", line)
		}
		point, options := unescapeMount(f[4]), strings.Split(f[5], ",")
		switch {
		case within(point, "/dev") || point == "/proc" || point == "/work" || point == "/tmp":
		case point == "/", point == "/mnt", slices.ContainsFunc(e.readOnly, func(p string) bool { return within(point, p) }):
			if !slices.Contains(options, "ro") || !slices.Contains(options, "nosuid") || !slices.Contains(options, "nodev") {
				return fmt.Errorf("mount %s is %s, want ro,nosuid,nodev", point, f[5])
			}
		default:
			return fmt.Errorf("mount %s was not asked for", point)
		}
	}
	return nil
}

// unescapeMount undoes the octal escapes of mountinfo.
func unescapeMount(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
