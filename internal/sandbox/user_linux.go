package sandbox

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Ids for sessions. The block is one that neither distributions nor container
// tools hand out, see systemd's UIDS-GIDS.
const (
	freeFirst   = 0x70000000
	freeLast    = 0x7fffffff
	userSlots   = 4096 // sessions of one zygote that have an id of their own at once
	insideFirst = 1000 // first id of sessions as seen in the zygote's user namespace
)

// Capabilities, by bit.
const (
	capSetgid = 6
	capSetuid = 7
)

// users hands out user ids of sessions: one each, so that no session has any
// right over another. Without the right to change users there is only the
// program's own.
type users struct {
	first uint32 // on the host; 0 = the program's own user for all

	mu   sync.Mutex
	used [userSlots]bool
}

// newUsers picks a random block, so that programs do not share ids.
func newUsers(self selfStatus) *users {
	if self.uid != 0 || self.capabilities>>capSetuid&1 == 0 || self.capabilities>>capSetgid&1 == 0 {
		return &users{}
	}
	for _, r := range self.uidRanges {
		first, last := max(r.first, freeFirst), min(r.last, freeLast)
		if first <= last && last-first >= userSlots {
			blocks := (last - first) / userSlots
			return &users{first: uint32(first + rand.N(blocks)*userSlots)}
		}
	}
	for _, r := range self.uidRanges { // a container with ids of its own: its last ones
		if r.last-r.first >= 10*userSlots {
			return &users{first: uint32(r.last - 2*userSlots)}
		}
	}
	return &users{}
}

// take returns a slot: ids first+slot on the host, insideFirst+slot inside.
func (u *users) take() (int, error) {
	if u.first == 0 {
		return 0, nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for i, used := range u.used {
		if !used {
			u.used[i] = true
			return i, nil
		}
	}
	return 0, fmt.Errorf("sandbox: %d sessions are open on this warm parent already", userSlots)
}

func (u *users) give(slot int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.used[slot] = false
}

// maps are the id maps of a zygote's user namespace: root inside is this
// program's user, so that the zygote can read what the program can.
func (u *users) maps(own int) []syscall.SysProcIDMap {
	m := []syscall.SysProcIDMap{{ContainerID: 0, HostID: own, Size: 1}}
	if u.first != 0 {
		m = append(m, syscall.SysProcIDMap{ContainerID: insideFirst, HostID: int(u.first), Size: userSlots})
	}
	return m
}

type idRange struct{ first, last uint64 }

// selfStatus is what this program may do.
type selfStatus struct {
	uid, gid     int
	capabilities uint64    // effective
	uidRanges    []idRange // ids that exist in this program's user namespace
	remembers    bool      // must ask the kernel how others' children ended after they were reaped, and can
}

func readSelf() (selfStatus, error) {
	s := selfStatus{uid: os.Geteuid(), gid: os.Getegid()}
	s.remembers = s.uid != 0 && kernelAtLeast(6, 15)
	st, err := readStatus(os.Getpid())
	if err != nil {
		return s, err
	}
	if s.capabilities, err = strconv.ParseUint(st["CapEff"], 16, 64); err != nil {
		return s, fmt.Errorf("reading own capabilities: %w", err)
	}
	f, err := os.Open("/proc/self/uid_map")
	if err != nil {
		return s, err
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var inside, outside, size uint64
		if _, err := fmt.Sscan(sc.Text(), &inside, &outside, &size); err == nil && size > 0 {
			s.uidRanges = append(s.uidRanges, idRange{inside, inside + size - 1})
		}
	}
	return s, nil
}

// readStatus parses /proc/PID/status.
func readStatus(pid int) (map[string]string, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil, err
	}
	st := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			st[key] = strings.TrimSpace(value)
		}
	}
	return st, nil
}
