//go:build linux

package pdf_test

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
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
	}, "no text"},
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

const (
	hostileTime   = 10 * time.Second // of processor time, which is no longer on a busy machine
	hostileMemory = 1 << 30
)

// TestHostile: whatever a document does, it ends in time, within memory, with
// a word about it, and leaves nothing half made. Through both modes, each in a
// program of its own, whose time and memory the system counts.
func TestHostile(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range hostile {
		src := c.paper().file(t)
		modes := []string{"convert-in-worker", "convert-here"}
		if slower > 1 { // its own memory and time would be measured; one mode looks for races
			modes = modes[:1]
		}
		for _, mode := range modes {
			t.Run(name+", "+mode, func(t *testing.T) {
				parent := t.TempDir()
				cmd := exec.Command(exe, mode, src, filepath.Join(parent, "b"))
				cmd.Env = append(os.Environ(), "GOMAXPROCS=16") // a large machine takes no more memory
				out, err := cmd.Output()
				if err != nil {
					t.Fatalf("the program died: %v", err)
				}
				var o outcome
				if err := json.Unmarshal(out, &o); err != nil {
					t.Fatal(err)
				}
				use := cmd.ProcessState.SysUsage().(*syscall.Rusage)
				took, peak := cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime(), use.Maxrss<<10
				t.Logf("%v, %d MiB: %+v %q", took, peak>>20, o.Report, o.Reason)
				if took > hostileTime*slower || peak > hostileMemory && slower == 1 { // the race detector takes much memory itself
					t.Errorf("took %v and %d MiB", took, peak>>20)
				}
				said := o.Reason
				if o.Report != nil {
					said = strings.Join(o.Report.Problems, "; ")
				}
				if slower > 1 && strings.Contains(said, "1 GiB of memory") {
					return // which is what the detector takes
				}
				if o.Other != "" || said == "" || !strings.Contains(said, c.want) {
					t.Errorf("%+v", o)
				}
				if left, _ := os.ReadDir(parent); o.Report == nil && len(left) != 0 {
					t.Errorf("left behind: %v", left)
				}
			})
		}
	}
}
