package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// levels are those to try, strongest first.
func (c Config) levels() ([]Level, error) {
	switch {
	case c.Python.Exe == "" || c.Worker.Entry == "":
		return nil, errors.New("sandbox: Config.Python and Config.Worker are required")
	case archFor(runtime.GOARCH) == nil:
		return nil, &LevelError{Level: c.Level, Missing: []string{"no system call table for " + runtime.GOARCH}}
	case c.Processes && c.Level == LevelFiltered:
		return nil, fmt.Errorf("sandbox: Processes needs level %s", LevelNamespaces)
	case c.Level == LevelNamespaces || c.Level == LevelFiltered:
		return []Level{c.Level}, nil
	case c.Level != "":
		return nil, fmt.Errorf("sandbox: level %q cannot be demanded; use %s or %s", c.Level, LevelNamespaces, LevelFiltered)
	case c.Processes:
		return []Level{LevelNamespaces}, nil
	}
	return []Level{LevelNamespaces, LevelFiltered}, nil
}

// environment is all that a zygote and its sessions have of one. One thread
// for each library: others would not survive the fork, and each costs address
// space.
func environment(tmp, home string) map[string]string {
	env := map[string]string{
		"HOME": home, "TMPDIR": tmp, "USER": "python", "LOGNAME": "python", "LANG": "C.UTF-8",
		"PYTHONHASHSEED": "0", "PATH": "/usr/bin:/bin", "MPLCONFIGDIR": tmp + "/.matplotlib", "MPLBACKEND": "Agg",
		"MALLOC_ARENA_MAX": "2", "ARROW_IO_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system",
		// Else importing pyarrow, and so pandas, starts a thread.
		"JE_ARROW_MALLOC_CONF": "background_thread:false",
	}
	for _, lib := range []string{"OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR", "VECLIB_MAXIMUM"} {
		env[lib+"_NUM_THREADS"] = "1"
	}
	return env
}

// launch starts the process and waits until it has preloaded.
func launch(ctx context.Context, cfg Config, level Level, preload []string) (_ *Zygote, err error) {
	z := &Zygote{
		cfg: cfg, level: level, trace: &tail{}, sessions: map[uint32]*session{}, spaces: map[string]*family{},
		done: make(chan struct{}),
	}
	if z.self, err = readSelf(); err != nil {
		return nil, fmt.Errorf("sandbox: reading own status: %w", err)
	}
	z.users = newUsers(z.self)
	boot, err := z.bootConfig(preload)
	if err != nil {
		return nil, err
	}
	if !cfg.NoCgroup {
		z.groups = newCgroups()
	}
	defer func() {
		if err != nil {
			z.release()
		}
	}()
	if level == LevelFiltered {
		if z.users.first != 0 {
			if err := reachable(cfg.Python); err != nil {
				return nil, err
			}
		}
		if z.folder, err = newFolder(cfg.Dir, z.users.first != 0); err != nil {
			return nil, err
		}
		boot.Remove = z.folder.path
	}
	if err := z.spawn(&boot); err != nil {
		return nil, err
	}
	if err := z.greet(ctx, boot); err != nil {
		z.control.conn.Close()
		_ = z.cmd.Process.Kill()
		_ = z.cmd.Wait()
		z.readers.Wait()
		return nil, err
	}
	if z.groups != nil {
		z.groups.make()
	}
	z.readers.Go(z.receive)
	return z, nil
}

// bootConfig says all that is known before the process exists.
func (z *Zygote) bootConfig(preload []string) (bootConfig, error) {
	py := z.cfg.Python
	paths := slices.Concat(py.Roots, systemPaths)
	switch {
	case z.cfg.Processes && z.cfg.Programs == nil:
		paths = append(paths, systemPrograms...)
	case z.cfg.Processes:
		paths = append(paths, z.cfg.Programs...)
	}
	plan, err := planRoot(paths)
	if err != nil {
		return bootConfig{}, err
	}
	required, err := planRoot(py.Roots)
	if err != nil {
		return bootConfig{}, err
	}
	z.plan = plan
	machine := archFor(runtime.GOARCH)
	cfg := bootConfig{
		Level: z.level, Root: plan, Path: append([]string{}, py.Path...), Prefix: py.Prefix, Entry: z.cfg.Worker.Entry,
		Preload: append([]string{}, preload...), Readable: slices.Clone(plan.Binds),
		Required: required.Binds, Programs: z.cfg.Processes, Capabilities: z.self.capabilities,
		Numbers: map[string]uint32{}, Worker: [][2]string{}, Cgroups: []cgroupHandle{},
	}
	p := profile{pretendOwner: true}
	if z.level == LevelNamespaces {
		if err := checkOutside(plan); err != nil {
			return bootConfig{}, err
		}
		cfg.Forks = !z.cfg.Processes
		cfg.Remembered = z.self.remembers
		p = profile{anySignal: true, programs: z.cfg.Processes, notifyFork: cfg.Forks}
		cfg.Readable = append(cfg.Readable, "/proc")
	}
	if cfg.Filter, err = machine.compile(p); err != nil {
		return bootConfig{}, err
	}
	for _, name := range bootCalls {
		cfg.Numbers[name] = machine.nr[name]
	}
	for _, m := range z.cfg.Worker.Modules {
		cfg.Worker = append(cfg.Worker, [2]string{m.Name, m.Source})
	}
	return cfg, nil
}

// spawn starts the interpreter and sends it the bootstrap.
func (z *Zygote) spawn(boot *bootConfig) error {
	conn, theirs, err := socketPair("zygote")
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	z.control = &control{conn: conn}
	defer theirs.Close()
	r, w, err := os.Pipe()
	if err != nil {
		conn.Close()
		return fmt.Errorf("sandbox: %w", err)
	}
	defer w.Close()

	tmp := "/tmp"
	if z.folder != nil {
		tmp = z.folder.path
	}
	// Not -I, for which the hash seed would be random: sets print in the same
	// order in every process, so that runs can be repeated. The environment is
	// ours, and stub takes the working folder off the path. -u makes the streams
	// of C unbuffered too: what they print comes with the snippet that prints it.
	z.cmd = exec.Command(z.cfg.Python.Exe, "-s", "-S", "-B", "-u", "-X", "utf8", "-c", stub)
	z.cmd.Dir = "/"
	z.cmd.Stdout, z.cmd.Stderr = w, w
	z.cmd.ExtraFiles = []*os.File{theirs}
	for key, value := range environment(tmp, tmp) {
		z.cmd.Env = append(z.cmd.Env, key+"="+value)
	}
	z.cmd.SysProcAttr = z.attributes()
	if z.groups != nil {
		folders, err := z.groups.parents()
		if err != nil {
			conn.Close()
			r.Close()
			return fmt.Errorf("sandbox: opening cgroups: %w", err)
		}
		for _, f := range folders {
			defer f.Close()
			z.cmd.ExtraFiles = append(z.cmd.ExtraFiles, f)
			boot.Cgroups = append(boot.Cgroups, cgroupHandle{Folder: 2 + len(z.cmd.ExtraFiles), Name: z.groups.name})
		}
	}
	if err := z.cmd.Start(); err != nil {
		conn.Close()
		r.Close()
		if z.level == LevelNamespaces && refusedByKernel(err) {
			return &isolationError{level: z.level, step: "user namespaces: clone: " + errors.Unwrap(err).Error()}
		}
		return fmt.Errorf("sandbox: starting the interpreter: %w", err)
	}
	z.readers.Go(func() { drain(z.trace, r) })
	return nil
}

// refusedByKernel tells a refused namespace from an interpreter that cannot
// be started.
func refusedByKernel(err error) bool {
	for _, e := range []error{unix.EPERM, unix.EINVAL, unix.ENOSPC, unix.EUSERS, unix.ENOSYS} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// attributes put the process into its namespaces. No death signal: it would
// fire with the thread that starts it; the end of the control socket does.
func (z *Zygote) attributes() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setsid: true}
	if z.level != LevelNamespaces {
		return a
	}
	a.Cloneflags = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC |
		unix.CLONE_NEWUTS | unix.CLONE_NEWNET
	a.UidMappings = z.users.maps(z.self.uid)
	a.GidMappings = z.users.maps(z.self.gid)
	a.GidMappingsEnableSetgroups = z.users.first != 0
	return a
}

// greet sends the bootstrap and waits for its answer.
func (z *Zygote) greet(ctx context.Context, boot bootConfig) error {
	payload, err := bootPayload(boot, z.cfg.Python, z.cfg.CodeDir)
	if err != nil {
		return err
	}
	conn := z.control.conn
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := conn.Write(payload); err != nil {
		return z.died(ctx, err)
	}
	m, fds, err := z.control.receive()
	closeAll(fds)
	switch {
	case err != nil:
		return z.died(ctx, err)
	case m.Isolation != "":
		return &isolationError{level: z.level, step: m.Isolation}
	case m.Preload != "":
		return &preloadError{m.Preload, m.Reason}
	case m.Ready == nil:
		return fmt.Errorf("sandbox: the warm parent: %s", m.Failed)
	}
	z.noProc = m.Ready.NoProc
	if z.level == LevelFiltered && m.Ready.Landlock < minLandlock {
		return &isolationError{level: z.level, step: fmt.Sprintf("Landlock: the kernel has version %d, %d is needed", m.Ready.Landlock, minLandlock)}
	}
	if z.outside, err = outsiders(os.Getpid(), z.Pid()); err != nil {
		return z.unseen(ctx, "the namespaces", err)
	}
	if z.noProc != "" { // then sessions stay in the zygote's
		delete(z.outside, namespaceOf(z.Pid(), "user"))
	}
	st, err := readStatus(z.cmd.Process.Pid)
	if err != nil {
		return z.unseen(ctx, "the status", err)
	}
	if _, err := fmt.Sscanf(st["VmSize"], "%d kB", &z.size); err != nil { // that of a dead process has no size
		return z.unseen(ctx, "the size", err)
	}
	if st["Threads"] != "1" {
		return fmt.Errorf("sandbox: the warm parent has %s threads, it must have one", st["Threads"])
	}
	z.size <<= 10
	return nil
}

// minLandlock is the ABI that LevelFiltered stands on: below it truncation and
// TCP are not covered. At LevelNamespaces Landlock is a second wall only.
const minLandlock = 4

// died explains a control socket that ended early.
func (z *Zygote) died(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("sandbox: starting the warm parent: %w", context.Cause(ctx))
	}
	_ = z.cmd.Process.Kill()
	z.readers.Wait()
	return fmt.Errorf("sandbox: the warm parent ended while it started (%w): %s", err, z.trace)
}

// unseen explains a look at the warm parent that failed: most likely it has
// ended meanwhile, and it is of no use in any case.
func (z *Zygote) unseen(ctx context.Context, what string, err error) error {
	return z.died(ctx, fmt.Errorf("looking at %s of it: %w", what, err))
}

// handshake is the one message of the bootstrap in a session. It brings the
// listener of the system call filter.
type handshake struct {
	Ready *struct {
		OwnUser  bool   `json:"own_user"`
		Proc     bool   `json:"proc"`
		Landlock int    `json:"landlock"`
		NoFork   string `json:"no_fork"` // why there is no listener
	} `json:"ready"`
	Failed string `json:"failed"`
}
