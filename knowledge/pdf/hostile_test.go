//go:build linux

package pdf_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/strandsgo/strands/knowledge/pdf"
)

// packed is a stream of a megabyte and a half that unpacks to a thousand times
// that: one packed piece, over and over.
var packed = sync.OnceValue(func() []byte {
	var piece bytes.Buffer
	w, _ := flate.NewWriter(&piece, flate.BestSpeed)
	_, _ = w.Write(bytes.Repeat([]byte(" "), 1<<20)) // to memory
	_ = w.Flush()
	return slices.Concat([]byte{0x78, 0x9c}, bytes.Repeat(piece.Bytes(), 1500), []byte{3, 0, 0, 0, 0, 1})
})

// hostile are documents made to hurt, and what must come of each: an error
// that says so, or a report with a problem that does.
var hostile = map[string]struct {
	paper func() *paper
	want  string
}{
	"decompression bomb": {func() *paper {
		p := &paper{sheets: []sheet{lines(700, "x")}}
		p.after = func(o map[int][]byte) {
			o[6] = fmt.Appendf(nil, "<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream", len(packed()), packed())
		}
		return p
	}, ""},
	"a page of two million characters": {func() *paper {
		p := &paper{sheets: []sheet{{}, lines(700, "fine")}}
		for i := range 21_000 {
			p.sheets[0].texts = append(p.sheets[0].texts, text{x: 10, y: 790 - float64(i)*.037, size: .03, s: strings.Repeat("many words ", 9) + "x"})
		}
		return p
	}, ""},
	"a million bookmarks": {func() *paper {
		p := &paper{sheets: []sheet{lines(700, "word")}, outline: []mark{{title: "A"}}}
		p.after = func(o map[int][]byte) {
			first := len(o) + 1
			for i := range 1_000_000 {
				o[first+i] = append(strconv.AppendInt([]byte("<</Title(b)/Next "), int64(first+i+1), 10), " 0 R>>"...)
			}
			o[p.marks[0]] = fmt.Appendf(nil, "<< /Title (A) /Next %d 0 R >>", first)
		}
		return p
	}, "too many"},
}

const hostileTime = 10 * time.Second // of processor time, which is no longer on a busy machine

// processorTime is what this process and its children have used.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var sum time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			t.Fatal(err)
		}
		sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return sum
}

// peak is the most memory this process ever had resident.
func peak(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("memory is only watched on Linux")
	}
	var kb int64
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	if _, err := fmt.Sscan(after, &kb); err != nil {
		t.Fatal(err)
	}
	return kb << 10
}

// TestHostile: whatever a document does, it ends in time, within memory, with
// a word about it, and leaves nothing half made. Through both modes.
func TestHostile(t *testing.T) {
	for name, c := range hostile {
		src := c.paper().file(t)
		runtime.GC()
		for mode, o := range map[string]pdf.Options{"worker": workerOptions(t), "in process": {}} {
			t.Run(name+", "+mode, func(t *testing.T) {
				parent := t.TempDir()
				began := processorTime(t)
				report, err := pdf.Convert(t.Context(), src, filepath.Join(parent, "b"), o)
				took := processorTime(t) - began
				t.Logf("%v, %d MiB: %+v, %v", took, peak(t)>>20, report, err)
				if took > hostileTime*slower || peak(t) > 1<<30 {
					t.Errorf("took %v and %d MiB", took, peak(t)>>20)
				}
				e, typed := errors.AsType[*pdf.Error](err)
				switch {
				case err != nil && !typed:
					t.Errorf("%v", err)
				case err == nil && (len(report.Problems) == 0 || !strings.Contains(report.Problems[0], c.want)):
					t.Errorf("%+v", report)
				case typed && !strings.Contains(e.Reason, c.want):
					t.Errorf("%v", err)
				}
				if left, _ := os.ReadDir(parent); err != nil && len(left) != 0 {
					t.Errorf("left behind: %v", left)
				}
			})
		}
	}
}
