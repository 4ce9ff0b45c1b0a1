package sandbox

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// maxForks bounds the forks of a session, and their forks, that live at once.
const maxForks = 16

// family is the processes of one pid namespace: a keeper, which runs nothing,
// a session, and the forks of it. They share the user, the folders and the
// system call filter; each has its own socket, limits and cgroup.
type family struct {
	z    *Zygote
	slot int           // of the user
	turn chan struct{} // holds the right to fork

	mu       sync.Mutex
	spaces   []string          // its namespaces, by name
	kept     []string          // those of them that live as long as the keeper
	keeper   int               // pidfd, which ends all when it is killed; -1 = there is none
	members  map[*session]bool // that were not closed
	asked    *admission        // the fork under way
	listener *listener         // nil = nothing is asked, so nothing forks
	watching sync.WaitGroup
}

func newFamily(z *Zygote, slot int, first *session) *family {
	f := &family{z: z, slot: slot, keeper: -1, turn: make(chan struct{}, 1), members: map[*session]bool{first: true}}
	f.turn <- struct{}{}
	return f
}

// keep takes the handle of the keeper.
func (f *family) keep(handle int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keeper = handle
	if len(f.members) == 0 {
		_ = unix.PidfdSendSignal(handle, unix.SIGKILL, nil, 0)
	}
}

// settle notes the namespaces of the first member. Those that were made in
// advance, with the keeper, must be of no other family. The others are the
// session's own by construction, and end with it, not with the keeper: the
// kernel may give their names away before this program hears that it died.
func (f *family) settle(spaces []string) error {
	kept := slices.DeleteFunc(slices.Clone(spaces), func(name string) bool {
		kind, _, _ := strings.Cut(name, ":")
		return !slices.Contains(keptNamespaces, kind)
	})
	if err := f.z.claim(f, kept); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.spaces, f.kept = spaces, kept
	return nil
}

// claim notes that namespaces are f's, until disclaim.
func (z *Zygote) claim(f *family, spaces []string) error {
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, name := range spaces {
		if z.spaces[name] != nil {
			return fmt.Errorf("the namespace %s is that of another session", name)
		}
	}
	for _, name := range spaces {
		z.spaces[name] = f
	}
	return nil
}

func (z *Zygote) disclaim(spaces []string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, name := range spaces {
		delete(z.spaces, name)
	}
}

// listen takes the listener of the filter, if there is one.
func (f *family) listen(fds []int) {
	if len(fds) != 1 {
		closeAll(fds)
		return
	}
	l, err := newListener(fds[0])
	if err != nil {
		return // then every fork fails
	}
	f.mu.Lock()
	f.listener = l
	f.mu.Unlock()
	f.watching.Go(func() { f.watch(l) })
}

// watch answers what the filter asks. Nothing is let through that was not
// ordered, and each order lets one thing through once.
func (f *family) watch(l *listener) {
	calls := archFor(runtime.GOARCH).nr
	for {
		n, ok := l.next()
		if !ok {
			return
		}
		f.mu.Lock()
		a := f.asked
		switch {
		case a == nil:
			l.refuse(n)
		case n.nr == int32(calls["setsid"]):
			a.arrive(l, n)
		default:
			a.clone(l, n, calls)
		}
		f.mu.Unlock()
	}
}

// add makes a fork a member.
func (f *family) add(s *session) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.members) > maxForks {
		return &ForkError{Reason: fmt.Sprintf("%d forks of this session are open already; close one", len(f.members)-1)}
	}
	f.members[s] = true
	return nil
}

// leave takes a member out. With the last one the keeper is killed, and so
// every process that there is.
func (f *family) leave(s *session) (last bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.members, s)
	if len(f.members) > 0 {
		return false
	}
	f.z.disclaim(f.kept) // before the kernel can give their names to others
	if f.keeper >= 0 {
		_ = unix.PidfdSendSignal(f.keeper, unix.SIGKILL, nil, 0)
	}
	return true
}

// end frees what the family had, when the last member is dead.
func (f *family) end() error {
	f.mu.Lock()
	l, keeper := f.listener, f.keeper
	f.mu.Unlock()
	if l != nil {
		l.file.Close()
		f.watching.Wait()
	}
	var err error
	if keeper >= 0 {
		if !waitHandle(keeper, dying) {
			err = fmt.Errorf("sandbox: the keeper of a session does not die")
		}
		unix.Close(keeper)
	}
	f.z.users.give(f.slot)
	return err
}

// sweep kills what is in the pid namespace without being a member: a fork that
// was let through and did not do as it should.
func (f *family) sweep() {
	f.mu.Lock()
	spaces := f.spaces
	known := map[int]bool{}
	for s := range f.members {
		known[s.pid] = true
	}
	if keeper, err := pidOf(f.keeper); err == nil {
		known[keeper] = true
	}
	f.mu.Unlock()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || known[pid] || !slices.Contains(spaces, namespaceOf(pid, "pid")) {
			continue
		}
		handle, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		if slices.Contains(spaces, namespaceOf(pid, "pid")) { // the handle is of the one that was looked at
			_ = unix.PidfdSendSignal(handle, unix.SIGKILL, nil, 0)
			waitHandle(handle, dying)
		}
		unix.Close(handle)
	}
}

// namespaceOf names a namespace of a process; "" when it is gone.
func namespaceOf(pid int, kind string) string {
	name, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
	if err != nil {
		return ""
	}
	return name
}
