package sandbox

import "strings"

// What a session may ask of the kernel. A name that an architecture does not
// have is skipped there. What stands nowhere below is ENOSYS, so that
// libraries fall back to something older; what users meet is EPERM, so that
// Python says PermissionError.

// allowed calls need no look at their arguments.
var allowed = strings.Fields(`
	read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 sendfile copy_file_range
	open openat close close_range lseek fallocate fadvise64 readahead
	fsync fdatasync sync_file_range flock ftruncate truncate
	stat fstat lstat newfstatat statx statfs fstatfs access faccessat faccessat2
	getdents64 getcwd chdir fchdir umask
	rename renameat renameat2 mkdir mkdirat rmdir link linkat unlink unlinkat symlink symlinkat readlink readlinkat
	getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr
	dup dup2 dup3 pipe pipe2 eventfd eventfd2
	poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2
	recvfrom recvmsg sendmsg shutdown getsockname getpeername
	mmap munmap mprotect mremap msync madvise brk membarrier
	rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigsuspend sigaltstack pause restart_syscall
	alarm getitimer setitimer nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time times
	timer_create timer_settime timer_gettime timer_getoverrun timer_delete
	timerfd_create timerfd_settime timerfd_gettime
	getpid getppid gettid getpgrp getpgid getsid getuid geteuid getgid getegid getgroups getresuid getresgid
	getrlimit setrlimit getrusage sysinfo uname getcpu getpriority
	sched_yield sched_getaffinity sched_getparam sched_getscheduler sched_get_priority_max sched_get_priority_min
	futex futex_waitv set_robust_list set_tid_address rseq arch_prctl
	exit exit_group wait4 waitid getrandom
`)

// fileOwner calls change what Landlock does not guard: they are allowed where
// the host's files are out of view.
var fileOwner = strings.Fields(`
	chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes utimensat futimesat
`)

// refused calls are those that users meet.
var refused = strings.Fields(`
	fork vfork execve execveat ptrace process_vm_readv process_vm_writev pidfd_open pidfd_getfd pidfd_send_signal
	socket connect bind listen accept accept4
	mount umount2 pivot_root chroot unshare setns open_tree move_mount fsopen mount_setattr swapon reboot
	keyctl add_key request_key bpf perf_event_open userfaultfd seccomp
	io_uring_setup io_uring_enter io_uring_register
	mknod mknodat setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr
	setuid setgid setreuid setregid setresuid setresgid setgroups setfsuid setfsgid capset
	setsid setpgid setpriority sched_setscheduler sched_setattr sched_setparam sched_setaffinity ioprio_set
	memfd_create shmget shmat msgget semget mq_open mlock mlockall
	personality tkill rt_sigqueueinfo rt_tgsigqueueinfo sethostname setdomainname settimeofday clock_settime
	init_module finit_module delete_module kexec_load syslog quotactl acct
`)

// programs are the refused calls that a session may make when it may start
// programs: the pid namespace ends them with it.
var programs = strings.Fields(`fork vfork execve execveat setsid setpgid`)

// Constants of the system call interface; the same on amd64 and arm64.
const (
	cloneThread     = 0x00010000
	cloneNamespaces = 0x7E020000 // every CLONE_NEW* that clone can take
	cloneVM         = 0x00000100
	afUnix          = 1
	sockStream      = 1
	sockTypeMask    = 0xf
	solSocket       = 1
)

var (
	// FIONREAD, FIONBIO, FIOCLEX, FIONCLEX, and TCGETS, TCGETS2, TIOCGWINSZ for isatty and its like.
	ioctls = []uint32{0x541B, 0x5421, 0x5451, 0x5450, 0x5401, 0x802C542A, 0x5413}
	// PR_SET_NAME, GET_NAME, CAPBSET_READ, GET_DUMPABLE, SET_VMA, GET_NO_NEW_PRIVS. Neither
	// SET_DUMPABLE nor SET_PDEATHSIG, which would undo what confines.
	prctls = []uint32{15, 16, 23, 3, 0x53564d41, 39}
	// Duplicates, flags, record locks and seals. Not SETOWN and SETSIG, which send any signal to any process of
	// the same user, nor SETPIPE_SZ, which holds memory that no limit counts.
	fcntls = []uint32{0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032, 1033, 1034}
	// SO_TYPE, ERROR, SNDBUF, RCVBUF, RCVTIMEO, SNDTIMEO, ACCEPTCONN, PROTOCOL, DOMAIN: what Python asks of any
	// socket. Not SO_PEERPIDFD, which is a handle of the host.
	getsockopts = []uint32{3, 4, 7, 8, 20, 21, 30, 38, 39}
	setsockopts = []uint32{7, 8, 20, 21}
)

// profile says which variant of the policy a session gets.
type profile struct {
	// anySignal lets kill and tgkill name any process: the pid namespace is
	// the limit. Otherwise only the session's own pid.
	anySignal bool
	// pretendOwner makes chmod, chown and utime succeed without doing
	// anything: where files of the host are in view, and the session's user
	// may own them or anybody may touch them. Refusing them would break
	// shutil.copy and zipfile.
	pretendOwner bool
	// programs lets it fork and execute.
	programs bool
	// notifyFork asks the listener about each fork, and each setsid, by which
	// a fork says that it is there, instead of refusing them.
	notifyFork bool
}

// rules says what happens to each named call under the profile.
func (p profile) rules() map[string]action {
	r := map[string]action{}
	set := func(names []string, a action) {
		for _, n := range names {
			r[n] = a
		}
	}
	set(allowed, always(retAllow))
	set(fileOwner, always(retAllow))
	if p.pretendOwner {
		set(fileOwner, always(retErrno)) // errno 0
	}
	set(refused, always(retEPERM))
	if p.programs {
		set(programs, always(retAllow))
	}
	// The flags of clone3 are in memory, where a filter cannot look; libc
	// then falls back to clone.
	r["clone3"] = always(retENOSYS)
	r["clone"] = p.clone()
	if p.notifyFork && !p.programs {
		set([]string{"fork", "setsid"}, always(retNotify))
	}
	signal := ownPid()
	if p.anySignal {
		signal = always(retAllow)
	}
	set([]string{"kill", "tgkill"}, signal)
	r["socketpair"] = socketpair()
	r["sendto"] = argIsNull(4) // a destination reaches sockets without connect
	r["ioctl"] = argIn(1, ioctls)
	r["prctl"] = argIn(0, prctls)
	r["fcntl"] = argIn(1, fcntls)
	r["getsockopt"] = sockopt(getsockopts)
	r["setsockopt"] = sockopt(setsockopts)
	r["prlimit64"] = argIn(0, []uint32{0}) // of the caller only
	return r
}
