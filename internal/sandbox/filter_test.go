package sandbox

import (
	"encoding/binary"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/bpf"
)

var arches = []*arch{amd64, arm64}

// evaluate runs a filter as the kernel would. The machine of x/net/bpf loads
// big-endian words, so each word is written that way round.
func evaluate(t *testing.T, vm *bpf.VM, audit, nr uint32, args ...uint64) uint32 {
	t.Helper()
	data := make([]byte, 64)
	binary.BigEndian.PutUint32(data[offNumber:], nr)
	binary.BigEndian.PutUint32(data[offArch:], audit)
	for i, v := range args {
		binary.BigEndian.PutUint32(data[offArg0+8*i:], uint32(v))
		binary.BigEndian.PutUint32(data[offArg0+8*i+4:], uint32(v>>32))
	}
	r, err := vm.Run(data)
	if err != nil {
		t.Fatalf("running the filter: %v", err)
	}
	return uint32(r)
}

func machine(t *testing.T, a *arch, p profile) *bpf.VM {
	t.Helper()
	vm, err := bpf.NewVM(a.program(p))
	if err != nil {
		t.Fatalf("%s: %v", a.name, err)
	}
	return vm
}

func TestSyscallNumbersAreThoseOfTheKernel(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	define := regexp.MustCompile(`SYS_(\w+)\s*=\s*(\d+)`)
	for _, a := range arches {
		src, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "unix", "zsysnum_linux_"+a.name+".go"))
		if err != nil {
			t.Fatal(err)
		}
		known := map[string]uint32{}
		for _, m := range define.FindAllStringSubmatch(string(src), -1) {
			n, _ := strconv.ParseUint(m[2], 10, 32)
			known[strings.ToLower(m[1])] = uint32(n)
		}
		for _, name := range append(slices.Collect(maps.Keys(profile{}.rules())), bootCalls...) {
			want, inKernel := known[name]
			got, inTable := a.nr[name]
			if inKernel != inTable || want != got {
				t.Errorf("%s: %s is %d (%v), the table says %d (%v)", a.name, name, want, inKernel, got, inTable)
			}
		}
	}
}

func TestPolicyNamesEachCallOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, list := range [][]string{allowed, fileOwner, refused} {
		for _, name := range list {
			if seen[name] {
				t.Errorf("%s stands in the policy twice", name)
			}
			seen[name] = true
			if _, x := amd64.nr[name]; !x {
				if _, y := arm64.nr[name]; !y {
					t.Errorf("%s is no call of any architecture", name)
				}
			}
		}
	}
}

// TestFilterAnswersEveryNumber holds the compiled search against the rules
// read plainly, for all numbers of both architectures.
func TestFilterAnswersEveryNumber(t *testing.T) {
	for _, a := range arches {
		for _, p := range []profile{{}, {anySignal: true}, {pretendOwner: true}, {notifyFork: true}, {programs: true, anySignal: true}} {
			vm := machine(t, a, p)
			want := map[uint32]uint32{}
			argued := map[uint32]bool{}
			for name, do := range p.rules() {
				nr, ok := a.nr[name]
				if !ok {
					continue
				}
				if r, constant := do[0].(bpf.RetConstant); constant {
					want[nr] = r.Val
				} else {
					argued[nr] = true
				}
			}
			for nr := range uint32(1200) {
				if argued[nr] {
					continue
				}
				w, ok := want[nr]
				if !ok {
					w = retENOSYS
				}
				if got := evaluate(t, vm, a.audit, nr); got != w {
					t.Fatalf("%s %+v: call %d gives %#x, want %#x", a.name, p, nr, got, w)
				}
			}
			for _, nr := range []uint32{x32Bit, x32Bit + 1, x32Bit | 59, x32Bit | 520, 0x7fffffff, 0xffffffff} {
				if got := evaluate(t, vm, a.audit, nr); got != retENOSYS {
					t.Errorf("%s: call %#x gives %#x, want ENOSYS", a.name, nr, got)
				}
			}
		}
	}
}

func TestFilterKillsForeignArchitectures(t *testing.T) {
	const i386, arm, riscv = 0x40000003, 0x40000028, 0xC00000F3
	for _, a := range arches {
		vm := machine(t, a, profile{programs: true, anySignal: true})
		for _, foreign := range []uint32{i386, arm, riscv, 0, amd64.audit ^ arm64.audit ^ a.audit} {
			for nr := range uint32(600) {
				if got := evaluate(t, vm, foreign, nr); got != retKill {
					t.Fatalf("%s: call %d of %#x gives %#x, want kill", a.name, nr, foreign, got)
				}
			}
		}
	}
}

func TestFilterLooksAtArguments(t *testing.T) {
	const sigchld = 17
	threads := uint64(0x3d0f00)
	cases := []struct {
		name string
		call string
		args []uint64
		p    profile
		want uint32
	}{
		{"a thread", "clone", []uint64{threads}, profile{}, retAllow},
		{"a fork", "clone", []uint64{sigchld}, profile{}, retEPERM},
		{"a fork that is asked about", "clone", []uint64{0x1200000 | sigchld}, profile{notifyFork: true}, retNotify},
		{"a vfork is not asked about", "clone", []uint64{cloneVM | 0x4000 | sigchld}, profile{notifyFork: true}, retEPERM},
		{"a fork for programs", "clone", []uint64{sigchld}, profile{programs: true}, retAllow},
		{"a user namespace", "clone", []uint64{0x10000000 | sigchld}, profile{programs: true}, retEPERM},
		{"a user namespace of a fork that is asked about", "clone", []uint64{0x10000000 | sigchld}, profile{notifyFork: true}, retEPERM},
		{"a thread in a net namespace", "clone", []uint64{threads | 0x40000000}, profile{}, retEPERM},
		{"a signal to oneself", "kill", []uint64{pidPlaceholder, 9}, profile{}, retAllow},
		{"a signal to pid 1", "kill", []uint64{1, 9}, profile{}, retEPERM},
		{"a signal to everybody", "kill", []uint64{0xffffffff, 9}, profile{}, retEPERM},
		{"a signal to the group", "kill", []uint64{0, 9}, profile{}, retEPERM},
		{"a thread's signal", "tgkill", []uint64{pidPlaceholder, 4, 9}, profile{}, retAllow},
		{"any signal", "kill", []uint64{0xffffffff, 9}, profile{anySignal: true}, retAllow},
		{"a stream pair", "socketpair", []uint64{1, 1 | 0x80800}, profile{}, retAllow},
		{"a datagram pair", "socketpair", []uint64{1, 2}, profile{}, retEPERM},
		{"an internet pair", "socketpair", []uint64{2, 1}, profile{}, retEPERM},
		{"send", "sendto", []uint64{3, 1, 1, 0, 0, 0}, profile{}, retAllow},
		{"send with an address", "sendto", []uint64{3, 1, 1, 0, 0x1000, 16}, profile{}, retEPERM},
		{"send with a high address", "sendto", []uint64{3, 1, 1, 0, 0x7f00_0000_0000, 16}, profile{}, retEPERM},
		{"isatty", "ioctl", []uint64{0, 0x5401}, profile{}, retAllow},
		{"typing into the terminal", "ioctl", []uint64{0, 0x5412}, profile{}, retEPERM},
		{"typing, with bits above the word", "ioctl", []uint64{0, 0x1_0000_5412}, profile{}, retEPERM},
		{"naming a thread", "prctl", []uint64{15}, profile{}, retAllow},
		{"becoming dumpable", "prctl", []uint64{4, 1}, profile{}, retEPERM},
		{"clearing the death signal", "prctl", []uint64{1, 0}, profile{}, retEPERM},
		{"non-blocking", "fcntl", []uint64{3, 4, 0x800}, profile{}, retAllow},
		{"signals by files", "fcntl", []uint64{3, 8, 1}, profile{}, retEPERM},
		{"which signal by files", "fcntl", []uint64{3, 10, 9}, profile{}, retEPERM},
		{"the type of a socket", "getsockopt", []uint64{3, 1, 3}, profile{}, retAllow},
		{"a handle of the host", "getsockopt", []uint64{3, 1, 77}, profile{}, retEPERM},
		{"an option of another layer", "setsockopt", []uint64{3, 6, 7}, profile{}, retEPERM},
		{"own limits", "prlimit64", []uint64{0, 7, 0, 0}, profile{}, retAllow},
		{"limits of others", "prlimit64", []uint64{1, 7, 0, 0}, profile{}, retEPERM},
		{"clone3", "clone3", []uint64{0x1000, 88}, profile{programs: true}, retENOSYS},
		{"chmod", "fchmodat", []uint64{0}, profile{}, retAllow},
		{"chmod that does nothing", "fchmodat", []uint64{0}, profile{pretendOwner: true}, retErrno},
		{"execve", "execve", []uint64{0}, profile{}, retEPERM},
		{"execve for programs", "execve", []uint64{0}, profile{programs: true}, retAllow},
	}
	for _, a := range arches {
		for _, c := range cases {
			got := evaluate(t, machine(t, a, c.p), a.audit, a.nr[c.call], c.args...)
			if got != c.want {
				t.Errorf("%s: %s: %#x, want %#x", a.name, c.name, got, c.want)
			}
		}
	}
}

func TestCompiledFilterFitsTheKernel(t *testing.T) {
	for _, a := range arches {
		f, err := a.compile(profile{})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(f.Code) / 8; n > 4096 {
			t.Errorf("%s: %d instructions, the kernel takes 4096", a.name, n)
		}
		if len(f.PidAt) != 2 {
			t.Fatalf("%s: the pid stands in %d places, want kill's and tgkill's", a.name, len(f.PidAt))
		}
		for _, at := range f.PidAt {
			if got := binary.LittleEndian.Uint32(f.Code[at:]); got != pidPlaceholder {
				t.Errorf("%s: word at %d is %#x", a.name, at, got)
			}
		}
		if f, _ = a.compile(profile{anySignal: true}); len(f.PidAt) != 0 {
			t.Errorf("%s: a pid where any signal is allowed", a.name)
		}
	}
}
