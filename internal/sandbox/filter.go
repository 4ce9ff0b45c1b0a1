package sandbox

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/bpf"
)

// Return values of a seccomp program.
const (
	retAllow  = 0x7fff0000
	retNotify = 0x7fc00000
	retErrno  = 0x00050000 // | errno
	retEPERM  = retErrno | 1
	retENOSYS = retErrno | 38
	retKill   = 0x80000000 // the whole process
)

// Offsets in struct seccomp_data. Arguments are 64 bits, low word first.
const (
	offNumber = 0
	offArch   = 4
	offArg0   = 16
)

// pidPlaceholder stands in a program for the pid of the process that loads
// it, which is known only there. It is above every pid there can be.
const pidPlaceholder = 0x7ffffff1

// arch is one machine's system call interface.
type arch struct {
	name  string
	audit uint32 // AUDIT_ARCH_*
	x32   bool   // has a second table above x32Bit
	nr    map[string]uint32
}

// x32Bit marks calls of the x32 table of amd64: the same calls by other
// numbers, which would pass by a filter that does not know them.
const x32Bit = 0x40000000

//go:embed syscalls.txt
var syscallTable string

// Both tables are compiled everywhere, so that both are tested everywhere.
var (
	amd64 = newArch("amd64", 0xC000003E, true, 1)
	arm64 = newArch("arm64", 0xC00000B7, false, 2)
)

func newArch(name string, audit uint32, x32 bool, column int) *arch {
	a := &arch{name: name, audit: audit, x32: x32, nr: map[string]uint32{}}
	for line := range strings.Lines(syscallTable) {
		f := strings.Fields(line)
		if f[0] == "#" || f[column] == "-" {
			continue
		}
		n, err := strconv.ParseUint(f[column], 10, 32)
		if err != nil {
			panic("sandbox: syscalls.txt: " + line)
		}
		a.nr[f[0]] = uint32(n)
	}
	return a
}

// archFor returns the tables of a GOARCH; nil when there are none.
func archFor(goarch string) *arch {
	for _, a := range []*arch{amd64, arm64} {
		if a.name == goarch {
			return a
		}
	}
	return nil
}

// action is what happens at one call: instructions that end in a return on
// every path.
type action []bpf.Instruction

func load(off uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: off, Size: 4} }
func arg(n uint32) bpf.Instruction    { return load(offArg0 + 8*n) }
func ret(v uint32) bpf.Instruction    { return bpf.RetConstant{Val: v} }

func always(v uint32) action { return action{ret(v)} }

// argIn allows the call when the low word of argument n is one of values: the
// arguments in question are 32 bits wide.
func argIn(n uint32, values []uint32) action {
	a := action{arg(n)}
	for i, v := range values {
		a = append(a, bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipTrue: uint8(len(values) - i)})
	}
	return append(a, ret(retEPERM), ret(retAllow))
}

// argIsNull allows the call when argument n, a pointer, is NULL.
func argIsNull(n uint32) action {
	return action{
		arg(n), bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0, SkipTrue: 3},
		load(offArg0 + 8*n + 4), bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0, SkipTrue: 1},
		ret(retAllow), ret(retEPERM),
	}
}

func ownPid() action { return argIn(0, []uint32{pidPlaceholder}) }

// socketpair allows stream pairs of Unix sockets: a datagram one could send to
// an abstract address.
func socketpair() action {
	return action{
		arg(0), bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: afUnix, SkipTrue: 4},
		arg(1), bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: sockTypeMask},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: sockStream, SkipTrue: 1},
		ret(retAllow), ret(retEPERM),
	}
}

// sockopt allows options of the socket level only.
func sockopt(names []uint32) action {
	rest := argIn(2, names)
	a := action{arg(1), bpf.JumpIf{Cond: bpf.JumpEqual, Val: solSocket, SkipTrue: 1}, ret(retEPERM)}
	return append(a, rest...)
}

// clone allows threads. A fork is refused, asked about or allowed, as the
// profile says; namespaces never.
func (p profile) clone() action {
	fork := uint32(retEPERM)
	switch {
	case p.programs:
		return action{
			arg(0), bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: cloneNamespaces, SkipTrue: 1},
			ret(retAllow), ret(retEPERM),
		}
	case p.notifyFork:
		fork = retNotify
	}
	return action{
		arg(0), bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: cloneNamespaces, SkipTrue: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: cloneThread, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: cloneVM, SkipTrue: 2},
		ret(fork), ret(retAllow), ret(retEPERM),
	}
}

// span is a range of call numbers, from first up to the next span, with one
// action.
type span struct {
	first uint32
	do    action
}

// program assembles the filter of a profile for a machine.
func (a *arch) program(p profile) []bpf.Instruction {
	byNumber := map[uint32]action{}
	for name, do := range p.rules() {
		if nr, ok := a.nr[name]; ok {
			byNumber[nr] = do
		}
	}
	spans := []span{{0, always(retENOSYS)}}
	add := func(first uint32, do action) {
		last := &spans[len(spans)-1]
		switch {
		case last.first == first:
			last.do = do
		case !slices.Equal(last.do, do):
			spans = append(spans, span{first, do})
		}
	}
	for _, nr := range slices.Sorted(maps.Keys(byNumber)) {
		add(nr, byNumber[nr])
		add(nr+1, always(retENOSYS))
	}
	if a.x32 {
		add(x32Bit, always(retENOSYS)) // named, although the default says the same
	}
	prog := []bpf.Instruction{
		load(offArch), bpf.JumpIf{Cond: bpf.JumpEqual, Val: a.audit, SkipTrue: 1}, ret(retKill),
		load(offNumber),
	}
	return append(prog, search(spans)...)
}

// search finds the span of the number in the accumulator by halving: the
// kernel runs the program once for every number when it is loaded, and then
// for each call whose answer depends on arguments.
func search(spans []span) []bpf.Instruction {
	if len(spans) == 1 {
		return spans[0].do
	}
	mid := len(spans) / 2
	low, high := search(spans[:mid]), search(spans[mid:])
	prog := []bpf.Instruction{bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: spans[mid].first, SkipTrue: uint8(len(low))}}
	if len(low) > 255 { // conditional jumps reach no further
		prog = []bpf.Instruction{
			bpf.JumpIf{Cond: bpf.JumpLessThan, Val: spans[mid].first, SkipTrue: 1},
			bpf.Jump{Skip: uint32(len(low))},
		}
	}
	return append(append(prog, low...), high...)
}

// filter is a program as the kernel takes it: little-endian sock_filter
// structs, and the places where the loader writes its pid.
type filter struct {
	Code  []byte `json:"code"`
	PidAt []int  `json:"pid_at"` // byte offsets of 32-bit words
}

// compile assembles the filter of a profile.
func (a *arch) compile(p profile) (filter, error) {
	raw, err := bpf.Assemble(a.program(p))
	if err != nil {
		return filter{}, fmt.Errorf("assembling the system call filter: %w", err)
	}
	var f filter
	for i, in := range raw {
		if in.K == pidPlaceholder {
			f.PidAt = append(f.PidAt, 8*i+4)
		}
		f.Code = binary.LittleEndian.AppendUint16(f.Code, in.Op)
		f.Code = append(f.Code, in.Jt, in.Jf)
		f.Code = binary.LittleEndian.AppendUint32(f.Code, in.K)
	}
	return f, nil
}
