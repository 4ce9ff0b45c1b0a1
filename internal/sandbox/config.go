package sandbox

import (
	"errors"
	"time"
)

// ErrZygote is the end of the warm parent process; its sessions end with it.
// Start another one.
var ErrZygote = errors.New("the warm parent process has ended")

// Config says what a Zygote is made of. Python and Worker are required.
type Config struct {
	Python Python
	Worker Worker
	// Preload are modules imported before sessions are forked. One that cannot
	// be imported, or leaves threads behind, is left out, see
	// Zygote.Warnings.
	Preload []string
	// Level is what is demanded; "" = the strongest that the machine offers.
	// LevelNone is refused: a plain process is not this package's business.
	Level Level
	// Dir is where the folders of sessions are made at LevelFiltered; "" =
	// os.TempDir. As root every user must be able to pass through it.
	Dir string
	// CodeDir is an existing folder of this program's user where compiled
	// code of the worker is kept, which a start is faster by; "" = nowhere.
	CodeDir string
	// Processes lets sessions start the programs that are in their root, which
	// needs LevelNamespaces: the pid namespace ends them with the session.
	// Limits of memory and processor time then hold for each process, and
	// for all together only in a cgroup.
	Processes bool
	// Programs are folders and files of the host added to the root for
	// Processes, read-only; nil = the machine's programs and libraries:
	// /bin, /usr/bin, /lib, /usr/lib.
	Programs []string
	// NoCgroup leaves cgroups alone.
	NoCgroup bool
	// First are the limits of the session that Start opens to see that it
	// works. The first Fork returns it when it asks for the same.
	First Limits
}

// SessionConfig is what one session may use and read.
type SessionConfig struct {
	Limits Limits
	Binds  []Bind
}

// Bind makes a folder or file of the host readable in a session where it lies,
// never writable. Nothing is copied and Limits.Disk does not count it: how
// large it may become is up to the program, which may go on writing there and
// is seen doing so. The session's user owns nothing on the host when this
// program runs as root, so others must be allowed to read it.
type Bind struct {
	Source string // absolute path on the host, clean
	// Target is the absolute path in the session, below /mnt; "" = the last
	// part of Source there. At LevelFiltered a session sees the host's paths:
	// Target must be "" or equal to Source.
	Target string
}

// Limits bound a session. Zero means the default, negative none.
type Limits struct {
	Memory    int64         // bytes of address space, and of the memory cgroup when there is one; 4 GiB
	CPU       time.Duration // processor time of the session, in whole seconds; 1 h
	Disk      int64         // bytes in /work and /tmp together; of one file at LevelFiltered; 256 MiB
	Files     int           // in /work and /tmp together; 4096; not enforced at LevelFiltered
	OpenFiles int           // descriptors; 256
	Threads   int           // 64
}

// withDefaults replaces zeros. Negative values stay and mean none.
func (l Limits) withDefaults() Limits {
	def := func(p *int64, v int64) {
		if *p == 0 {
			*p = v
		}
	}
	def(&l.Memory, 4<<30)
	def(&l.Disk, 256<<20)
	for p, v := range map[*int]int{&l.Files: 4096, &l.OpenFiles: 256, &l.Threads: 64} {
		if *p == 0 {
			*p = v
		}
	}
	if l.CPU == 0 {
		l.CPU = time.Hour
	}
	return l
}
