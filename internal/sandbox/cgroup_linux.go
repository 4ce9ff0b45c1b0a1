package sandbox

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cgroups makes a group for each session below the group that this program
// is in. A controller that cannot be had is missing, with a reason.
type cgroups struct {
	name    string
	memory  string // folder of this zygote's group with that controller; "" = not to be had
	pids    string // the same folder as memory in version 2
	v2      bool
	missing []string
}

// cgroupMount is one mounted hierarchy, and where this program is in it.
type cgroupMount struct {
	dir         string // of this program's own group
	top         string // the mount point
	v2          bool
	controllers []string // version 1
}

// newCgroups finds where this zygote's groups can be made. It never fails:
// less is reported. The groups themselves are made by make, when the zygote
// is there to remove them whatever happens to this program.
func newCgroups() *cgroups {
	g := &cgroups{name: cgroupName()}
	mounts, err := cgroupMounts()
	if err != nil {
		g.missing = append(g.missing, "memory cgroup: "+err.Error())
		return g
	}
	g.find(mounts)
	return g
}

func (g *cgroups) find(mounts []cgroupMount) {
	for _, m := range mounts {
		if m.v2 && g.tryV2(m) {
			return
		}
	}
	g.memory = g.tryV1(mounts, "memory")
	g.pids = g.tryV1(mounts, "pids")
}

// make makes the groups.
func (g *cgroups) make() {
	for _, dir := range g.folders() {
		err := os.Mkdir(dir, 0o755)
		if err == nil && g.v2 {
			err = g.enable(dir)
		}
		if err == nil {
			continue
		}
		if g.memory == dir {
			g.memory = ""
			g.missing = append(g.missing, fmt.Sprintf("memory cgroup: %v", err))
		}
		if g.pids == dir {
			g.pids = ""
			g.missing = append(g.missing, fmt.Sprintf("pids cgroup: %v", err))
		}
		removeCgroup(dir)
	}
}

// enable lets a group of version 2 have controllers for the groups in it.
func (g *cgroups) enable(group string) error {
	want := "+memory"
	if g.pids != "" {
		want += " +pids"
	}
	return os.WriteFile(filepath.Join(group, "cgroup.subtree_control"), []byte(want), 0)
}

// cgroupName names the group of a program so that a later one in the same pid
// namespace can tell when it is a dead one's.
func cgroupName() string {
	return fmt.Sprintf("%s%d-%s-%08x", cgroupPrefix(), os.Getpid(), startTime(os.Getpid()), rand.Uint32())
}

func cgroupPrefix() string {
	ns, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return "strands-0-"
	}
	return "strands-" + strings.Trim(strings.TrimPrefix(ns, "pid:"), "[]") + "-"
}

// startTime is the 22nd field of /proc/PID/stat; "" when there is no such
// process.
func startTime(pid int) string {
	f, err := statFields(pid)
	if err != nil || len(f) < 20 {
		return ""
	}
	return f[19]
}

// statFields are those of /proc/PID/stat after the name, which may hold
// anything.
func statFields(pid int) ([]string, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	_, rest, _ := strings.Cut(string(data[strings.LastIndexByte(string(data), ')'):]), " ")
	return strings.Fields(rest), nil
}

func cgroupMounts() ([]cgroupMount, error) {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	paths := map[string]string{} // by controller, "" for version 2
	for line := range strings.Lines(string(own)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		for c := range strings.SplitSeq(f[1], ",") {
			paths[c] = f[2]
		}
	}
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var mounts []cgroupMount
	for line := range strings.Lines(string(info)) {
		left, right, ok := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 5 || len(r) < 3 || (r[0] != "cgroup" && r[0] != "cgroup2") {
			continue
		}
		m := cgroupMount{top: unescapeMount(l[4]), v2: r[0] == "cgroup2"}
		key := ""
		if !m.v2 {
			m.controllers = strings.Split(r[2], ",")
			i := slices.IndexFunc(m.controllers, func(c string) bool { return c != "" && paths[c] != "" })
			if i < 0 {
				continue
			}
			key = m.controllers[i]
		}
		rel, err := filepath.Rel(unescapeMount(l[3]), paths[key])
		if err != nil || strings.HasPrefix(rel, "..") {
			rel = "." // the mount shows a container's own part only
		}
		m.dir = filepath.Join(m.top, rel)
		mounts = append(mounts, m)
	}
	return mounts, nil
}

// tryV2 finds a folder whose groups have the memory controller: this program's
// own, or the one beside it when that holds processes, as it does: only the
// root may hold both.
func (g *cgroups) tryV2(m cgroupMount) bool {
	for _, dir := range []string{m.dir, filepath.Dir(m.dir)} {
		if !within(dir, m.top) {
			continue
		}
		enabled, err := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control"))
		controllers := strings.Fields(string(enabled))
		if err != nil || !slices.Contains(controllers, "memory") {
			continue
		}
		sweepCgroups(dir)
		if mayMake(dir) != nil {
			continue
		}
		g.v2, g.memory = true, filepath.Join(dir, g.name)
		if slices.Contains(controllers, "pids") {
			g.pids = g.memory
		}
		return true
	}
	return false
}

func (g *cgroups) tryV1(mounts []cgroupMount, controller string) string {
	i := slices.IndexFunc(mounts, func(m cgroupMount) bool { return slices.Contains(m.controllers, controller) })
	if i < 0 {
		g.missing = append(g.missing, fmt.Sprintf("%s cgroup: no delegated group with this controller", controller))
		return ""
	}
	sweepCgroups(mounts[i].dir)
	if err := mayMake(mounts[i].dir); err != nil {
		g.missing = append(g.missing, fmt.Sprintf("%s cgroup: %v", controller, err))
		return ""
	}
	return filepath.Join(mounts[i].dir, g.name)
}

// mayMake reports why no group can be made in a folder. It makes none to see:
// if this program were killed there, nobody would remove it.
func mayMake(dir string) error {
	return unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
}

// sweepCgroups removes the groups of programs that were killed before they,
// or their zygote, could.
func sweepCgroups(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	prefix := cgroupPrefix()
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name(), prefix)
		f := strings.Split(rest, "-")
		if !ours || len(f) != 3 {
			continue
		}
		if pid, err := strconv.Atoi(f[0]); err == nil && startTime(pid) != f[1] {
			removeCgroup(filepath.Join(dir, e.Name()))
		}
	}
}

// removeCgroup removes a group and those in it. What still holds a process
// stays.
func removeCgroup(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			_ = unix.Rmdir(filepath.Join(dir, e.Name()))
		}
	}
	_ = unix.Rmdir(dir)
}

// folders are the groups of this zygote, each once.
func (g *cgroups) folders() []string {
	var dirs []string
	for _, d := range []string{g.memory, g.pids} {
		if d != "" && !slices.Contains(dirs, d) {
			dirs = append(dirs, d)
		}
	}
	return dirs
}

// parents are the folders that hold the groups of this zygote, opened: the
// zygote removes the groups by them when this program is killed.
func (g *cgroups) parents() ([]*os.File, error) {
	var files []*os.File
	for _, d := range g.folders() {
		f, err := os.Open(filepath.Dir(d))
		if err != nil {
			for _, f := range files {
				f.Close()
			}
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

func (g *cgroups) close() {
	for _, d := range g.folders() {
		removeCgroup(d)
	}
}

// cgroup is one session's.
type cgroup struct {
	memory, pids string // folders; "" = none
	v2           bool
}

// session makes the group of a session, empty. The memory limit is above that
// of the address space, which is the gentler one: reached first, it raises
// MemoryError and the state is kept.
func (g *cgroups) session(id uint32, l Limits) (*cgroup, error) {
	c := &cgroup{v2: g.v2}
	name := fmt.Sprintf("s%d", id)
	if g.memory != "" && l.Memory > 0 {
		c.memory = filepath.Join(g.memory, name)
	}
	if g.pids != "" && l.Threads > 0 {
		c.pids = filepath.Join(g.pids, name)
	}
	bytes := strconv.FormatInt(l.Memory+max(l.Disk, 0), 10) // the tmpfs counts here too
	settings := map[string][2]string{}
	if g.v2 {
		settings["memory.max"], settings["memory.swap.max"] = [2]string{c.memory, bytes}, [2]string{c.memory, "0"}
	} else {
		settings["memory.limit_in_bytes"] = [2]string{c.memory, bytes}
	}
	settings["pids.max"] = [2]string{c.pids, strconv.Itoa(l.Threads + 1)}
	for _, dir := range c.folders() {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			c.close()
			return nil, err
		}
	}
	for file, s := range settings {
		if s[0] == "" {
			continue
		}
		err := os.WriteFile(filepath.Join(s[0], file), []byte(s[1]), 0)
		if err != nil && file != "memory.swap.max" { // absent without swap
			c.close()
			return nil, err
		}
	}
	return c, nil
}

// doors are files by which a process puts itself into the group, writing 0.
// To move another one the kernel stops all forks and exits of the machine, and
// to be sure of that waits 10 ms or more. In version 2 there is no other way.
func (c *cgroup) doors() (files []*os.File) {
	if c == nil || c.v2 {
		return nil
	}
	for _, dir := range c.folders() {
		if f, err := os.OpenFile(filepath.Join(dir, "tasks"), os.O_WRONLY, 0); err == nil {
			files = append(files, f)
		}
	}
	return files
}

// enter sees that a process is in the group.
func (c *cgroup) enter(pid int) error {
	id := strconv.Itoa(pid)
	for _, dir := range c.folders() {
		file := filepath.Join(dir, "cgroup.procs")
		if in, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(in)) == id {
			continue
		}
		if err := os.WriteFile(file, []byte(id), 0); err != nil {
			return err
		}
	}
	return nil
}

func (c *cgroup) folders() []string {
	return (&cgroups{memory: c.memory, pids: c.pids}).folders()
}

// outOfMemory reports whether the kernel killed a process of the group for
// its limit.
func (c *cgroup) outOfMemory() bool {
	if c == nil || c.memory == "" {
		return false
	}
	file := "memory.oom_control"
	if c.v2 {
		file = "memory.events"
	}
	data, err := os.ReadFile(filepath.Join(c.memory, file))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "oom_kill" {
			return f[1] != "0"
		}
	}
	return false
}

// close removes the group of a dead session. The kernel may need a moment to
// take the last process out of it.
func (c *cgroup) close() {
	if c == nil {
		return
	}
	for _, dir := range c.folders() {
		for range 50 {
			if err := unix.Rmdir(dir); err != unix.EBUSY {
				break
			}
			time.Sleep(2 * time.Millisecond)
		}
	}
}
