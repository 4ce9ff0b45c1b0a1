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

// keptNamespaces are those of them that a keeper is born with.
var keptNamespaces = []string{"ipc", "net", "pid", "uts"}

// expectation is what a session must be seen to be.
type expectation struct {
	level    Level
	outside  map[string]bool // the namespaces of this program and of the zygote, by name
	uid      int             // as this program sees it
	bounded  bool            // it could drop its bounding set; under no_new_privs that is a second wall only
	proc     bool
	readOnly []string // mounts of the host
}

// verify looks at a process from outside. What the process says about itself
// is not asked. It returns the namespaces that the process is in, by name.
func (e expectation) verify(pid int) ([]string, error) {
	if err := e.status(pid); err != nil || e.level != LevelNamespaces {
		return nil, err
	}
	spaces, err := e.namespaces(pid)
	if err == nil {
		err = e.mounts(pid)
	}
	return spaces, err
}

func (e expectation) status(pid int) error {
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
	return nil
}

func (e expectation) namespaces(pid int) (spaces []string, err error) {
	for _, kind := range sessionNamespaces {
		own, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
		if err != nil {
			return nil, err
		}
		if e.outside[own] {
			return nil, fmt.Errorf("the %s namespace is shared", kind)
		}
		if kind != "user" || e.proc {
			spaces = append(spaces, own)
		}
	}
	return spaces, nil
}

// outsiders names the namespaces of processes.
func outsiders(pids ...int) (map[string]bool, error) {
	names := map[string]bool{}
	for _, pid := range pids {
		for _, kind := range sessionNamespaces {
			name, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
			if err != nil {
				return nil, err
			}
			names[name] = true
		}
	}
	return names, nil
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
