//go:build linux

package sandbox

// attacks is the threat table of docs/design.md, tried out.
var attacks = []attack{
	// Reading.
	{name: "read a file of the host", code: `if TOKEN in open(SECRET).read(): escaped()`},
	{name: "read the user database", code: `if "root:" in open("/etc/passwd").read(): escaped()`},
	{name: "list the root", code: `if "usr" in os.listdir("/") and "etc" in os.listdir("/"): escaped()`},
	{name: "list a folder of the host", code: `if os.listdir("/etc"): escaped()`},
	{name: "read through a symbolic link", code: `
os.symlink(SECRET, "link")
if TOKEN in open("link").read(): escaped()`},
	{name: "read through a hard link", code: `
os.link(SECRET, os.path.join(DIR, "made"))
if TOKEN in open(os.path.join(DIR, "made")).read(): escaped()`},
	{name: "read the environment of a process", code: `if TOKEN.encode() in open(f"/proc/{VICTIM}/environ", "rb").read(): escaped()`},
	{name: "read what was inherited of the environment", code: `if TOKEN in str(os.environ): escaped()`},
	{name: "read a command line", code: `if TOKEN.encode() in open(f"/proc/{VICTIM}/cmdline", "rb").read(): escaped()`},
	{name: "read the memory of a process", code: `
f = os.open(f"/proc/{VICTIM}/mem", os.O_RDONLY)
if TOKEN.encode() in os.pread(f, 64, BUFFER): escaped()`},
	{name: "read memory by process_vm_readv", code: `
b = ctypes.create_string_buffer(32)
local = struct.pack("QQ", ctypes.addressof(b), 32)
remote = struct.pack("QQ", BUFFER, 32)
call("process_vm_readv", VICTIM, local, 1, remote, 1, 0)
if TOKEN[:10].encode() in b.raw: escaped()`},
	{name: "read through the root of a process", code: `if TOKEN in open(f"/proc/{VICTIM}/root{SECRET}").read(): escaped()`},
	{name: "read the folder of a process", code: `if os.listdir(f"/proc/{VICTIM}/cwd"): escaped()`},
	{name: "read an inherited descriptor", code: `
for fd in range(4, 64):
    try:
        if TOKEN.encode() in os.pread(fd, 64, 0): escaped(); break
    except OSError: pass
else: print("none")`},
	{name: "open a file by its handle", root: true, code: `
h = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
mid = ctypes.c_int()
libc.name_to_handle_at.restype = ctypes.c_int
if libc.name_to_handle_at(-100, SECRET.encode(), h, ctypes.byref(mid), 0) < 0: raise OSError(ctypes.get_errno(), "name_to_handle_at")
d = os.open(DIR, os.O_RDONLY)
f = libc.open_by_handle_at(d, h, 0)
if f < 0: raise OSError(ctypes.get_errno(), "open_by_handle_at")
if TOKEN.encode() in os.read(f, 64): escaped()`},
	{name: "make a device", root: true, code: `
import stat
os.mknod(os.path.join(DIR, "made"), stat.S_IFCHR | 0o666, os.makedev(1, 5))
if os.read(os.open(os.path.join(DIR, "made"), os.O_RDONLY), 1) == b"\0": escaped()`},
	{name: "watch a folder of the host", code: `
f = libc.inotify_init1(0)
if f < 0: raise OSError(ctypes.get_errno(), "inotify_init1")
if libc.inotify_add_watch(f, DIR.encode(), 0x100) < 0: raise OSError(ctypes.get_errno(), "inotify_add_watch")
escaped()`},

	// Network.
	{name: "connect by TCP", code: `socket.create_connection(("127.0.0.1", TCP), 5); escaped()`},
	{name: "connect by TCP from a thread", code: `
def f():
    socket.create_connection(("127.0.0.1", TCP), 5); escaped()
failed = []
threading.excepthook = lambda a: failed.append(a.exc_value)
t = threading.Thread(target=f); t.start(); t.join()
print(failed)`},
	{name: "send by UDP", effect: func(w *world) bool { return received(w.udp) }, code: `
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", UDP)); escaped()`},
	{name: "listen", code: `s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(); escaped()`},
	{name: "connect to an abstract socket", code: `
s = socket.socket(socket.AF_UNIX); s.connect("\0" + TOKEN); escaped()`},
	{name: "connect to a socket with a path", code: `
s = socket.socket(socket.AF_UNIX); s.connect(os.path.join(DIR, "socket")); escaped()`},
	{name: "send from a datagram pair", effect: func(w *world) bool { return received(w.dgram) }, code: `
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
a.sendto(b"x", "\0" + TOKEN + "-dgram"); escaped()`},
	{name: "open a netlink socket", code: `socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0); escaped()`},
	{name: "open a vsock socket", code: `
with unsupported(errno.EAFNOSUPPORT): socket.socket(40, socket.SOCK_STREAM); escaped()`},
	{name: "open a crypto socket", code: `
with unsupported(errno.EAFNOSUPPORT): socket.socket(38, socket.SOCK_SEQPACKET); escaped()`},
	{name: "open a packet socket", root: true, code: `
with unsupported(errno.EAFNOSUPPORT): socket.socket(17, socket.SOCK_RAW, 0); escaped()`},
	{name: "open a socket by io_uring", code: `
with unsupported(errno.ENOSYS, errno.EPERM): call("io_uring_setup", 4, ctypes.create_string_buffer(256)); escaped()`},

	// Writing.
	{name: "write to a file of the host", effect: (*world).changed, code: `open(TARGET, "a").write("x"); escaped()`},
	{name: "empty a file of the host", effect: (*world).changed, code: `os.truncate(TARGET, 0); escaped()`},
	{name: "empty a file by opening it", effect: (*world).changed, code: `os.open(TARGET, os.O_RDONLY | os.O_TRUNC); escaped()`},
	{name: "make a file on the host", effect: (*world).changed, code: `open(os.path.join(DIR, "made"), "w"); escaped()`},
	{name: "make a folder on the host", effect: (*world).changed, code: `os.mkdir(os.path.join(DIR, "made")); escaped()`},
	{name: "make a link on the host", effect: (*world).changed, code: `os.symlink("x", os.path.join(DIR, "made")); escaped()`},
	{name: "remove a file of the host", effect: (*world).changed, code: `os.unlink(TARGET + "-gone"); escaped()`},
	{name: "rename a file of the host", effect: (*world).changed, code: `os.rename(TARGET + "-gone", TARGET); escaped()`},
	{name: "change the mode of a file", effect: (*world).changed, code: `os.chmod(TARGET, 0o600); escaped()`},
	{name: "change the mode by a descriptor", effect: (*world).changed, code: `os.fchmod(os.open(TARGET, os.O_RDONLY), 0o600); escaped()`},
	{name: "change the times of a file", effect: (*world).changed, code: `os.utime(TARGET); escaped()`},
	{name: "change the attributes of a file", effect: (*world).changed, code: `os.setxattr(TARGET, "user.x", b"x"); escaped()`},
	{name: "change the owner of a file", root: true, code: `
os.chown(TARGET, 12345, 12345)
if os.stat(TARGET).st_uid == 12345: escaped()`},
	{name: "poison the interpreter", root: true, code: `os.close(os.open(os.__file__, os.O_RDWR)); escaped()`},
	{name: "make the root writable", root: true, code: `
if libc.mount(None, b"/", None, 32 | 4096, None) < 0: raise OSError(ctypes.get_errno(), "mount")
escaped()`},
	{name: "change a setting of the kernel", root: true, code: `os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY)); escaped()`},
	{name: "write to shared memory", code: `
p = "/dev/shm/" + TOKEN
open(p, "w").close(); os.unlink(p); escaped()`},
	{name: "write through the root of a process", effect: (*world).changed, code: `
open(f"/proc/{VICTIM}/root{TARGET}", "a").write("x"); escaped()`},

	// Processes.
	{name: "fork", allow: true, code: `
p = os.fork()
if p == 0: os._exit(0)
os.waitpid(p, 0); escaped()`},
	{name: "clone", allow: true, code: `
p = call("clone", 17, 0, 0, 0, 0)
if p == 0: os._exit(0)
os.waitpid(p, 0); escaped()`},
	{name: "clone3", code: `
p = call("clone3", struct.pack("11Q", 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0), 88)
if p == 0: os._exit(0)
os.waitpid(p, 0); escaped()`},
	{name: "run a program", allow: true, code: `
import subprocess
if subprocess.run(["/bin/echo", "x"], capture_output=True).stdout: escaped()`},
	{name: "run a shell", allow: true, code: `
if os.system("true") == 0: escaped()
else: print("refused")`},
	{name: "spawn", allow: true, code: `
p = os.posix_spawn("/bin/true", ["true"], {})
os.waitpid(p, 0); escaped()`},
	{name: "connect from a program", code: `
import subprocess
there = f"import socket; socket.create_connection(('127.0.0.1', {TCP}), 5); print('there')"
p = subprocess.run([sys._base_executable or "python3", "-I", "-S", "-c", there], capture_output=True, text=True)
if "there" in p.stdout: escaped()
print(p.stderr[-200:])`},
	{name: "read from a program", code: `
import subprocess
if TOKEN in subprocess.run(["/bin/cat", SECRET], capture_output=True, text=True).stdout: escaped()`},
	{name: "become a program", allow: true, code: `os.execv("/bin/echo", ["echo", "ESCAPED"])`},
	{name: "become a program without a file", code: `
f = call("memfd_create", b"x", 0)
os.write(f, open("/bin/echo", "rb").read())
os.execve(f, ["echo", "ESCAPED"], {})`},
	{name: "call the kernel as 32-bit code", amd64: true, code: `
code = bytes([0x53, 0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0x5b, 0xc3])  # getpid by int 0x80
m = mmap.mmap(-1, 4096, prot=7)
m.write(code)
f = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))
if f() == os.getpid(): escaped()
else: print("UNSUPPORTED")`},
	{name: "kill a process", effect: func(w *world) bool { return !w.alive() }, code: `
os.kill(VICTIM, 9); escaped(); time.sleep(.1)`},
	{name: "signal everybody", family: true, code: `os.kill(-1, 0); escaped()`},
	{name: "kill by a pidfd", effect: func(w *world) bool { return !w.alive() }, code: `
call("pidfd_send_signal", call("pidfd_open", VICTIM, 0), 9, None, 0); escaped(); time.sleep(.1)`},
	{name: "kill by asynchronous input", effect: func(w *world) bool { return !w.alive() }, code: `
r, q = os.pipe()
fcntl.fcntl(r, fcntl.F_SETOWN, VICTIM)
fcntl.fcntl(r, 10, 9)  # F_SETSIG
fcntl.fcntl(r, fcntl.F_SETFL, os.O_ASYNC)
os.write(q, b"x"); escaped(); time.sleep(.1)`},
	{name: "kill the neighbour", code: `os.kill(NEIGHBOUR, 0); escaped()`},
	{name: "trace a process", code: `
call("ptrace", 16, VICTIM, 0, 0); os.waitpid(VICTIM, 0); call("ptrace", 17, VICTIM, 0, 0); escaped()`},
	{name: "slow a process down", code: `os.setpriority(os.PRIO_PROCESS, VICTIM, 19); escaped()`},
	{name: "bind a process to a processor", code: `os.sched_setaffinity(VICTIM, os.sched_getaffinity(0)); escaped()`},
	{name: "limit a process", code: `
import resource
resource.prlimit(VICTIM, resource.RLIMIT_CORE, (0, 0)); escaped()`},
	{name: "take a descriptor of a process", code: `
f = call("pidfd_getfd", call("pidfd_open", VICTIM, 0), 0, 0); escaped()`},

	// The kernel's surface.
	{name: "make a user namespace", code: `
if libc.unshare(0x10000000) < 0: raise OSError(ctypes.get_errno(), "unshare")
escaped()`},
	{name: "enter a namespace", code: `
f = os.open(f"/proc/{VICTIM}/ns/uts", os.O_RDONLY)
with unsupported(errno.EPERM):
    if libc.setns(f, 0) < 0: raise OSError(ctypes.get_errno(), "setns")
    escaped()`},
	{name: "change the root", root: true, code: `os.chroot("/"); escaped()`},
	{name: "load a BPF program", code: `
with unsupported(errno.EPERM): call("bpf", 0, struct.pack("IIIII", 2, 4, 8, 1, 0) + bytes(100), 72); escaped()`},
	{name: "count events", code: `
with unsupported(errno.EACCES, errno.ENOENT, errno.EPERM):
    call("perf_event_open", struct.pack("IIQQQQQ", 1, 112, 0, 0, 0, 0, 0x60) + bytes(80), 0, -1, -1, 0); escaped()`},
	{name: "handle page faults", code: `
with unsupported(errno.ENOSYS): call("userfaultfd", 1); escaped()`},
	{name: "keep a key", code: `
with unsupported(errno.ENOSYS): call("add_key", b"user", b"x", b"y", 1, -2); escaped()`},
	{name: "hold memory in a file", code: `call("memfd_create", b"x", 0); escaped()`},
	{name: "hold memory in a segment", code: `
i = call("shmget", 0, 4096, 0o1600); libc.shmctl(i, 0, None); escaped()`},
	{name: "hold memory in a queue", code: `
q = call("mq_open", TOKEN.encode(), 0o102, 0o600, None)
libc.mq_unlink(b"/" + TOKEN.encode()); escaped()`},
	{name: "read the kernel's log", root: true, code: `
if libc.klogctl(3, ctypes.create_string_buffer(1024), 1024) < 0: raise OSError(ctypes.get_errno(), "klogctl")
escaped()`},
	{name: "become dumpable", code: `
if libc.prctl(4, 1, 0, 0, 0) < 0: raise OSError(ctypes.get_errno(), "prctl")
escaped()`},
	{name: "change the personality", code: `call("personality", 0x0040000); escaped()`},
	{name: "add a listener to the filter", code: `
prog = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0x7fff0000))
libc.prctl(38, 1, 0, 0, 0)
call("seccomp", 1, 8, struct.pack("@HP", 1, ctypes.addressof(prog))); escaped()`},
	{name: "name the host", root: true, code: `
if libc.sethostname(socket.gethostname().encode(), len(socket.gethostname())) < 0: raise OSError(ctypes.get_errno(), "sethostname")
escaped()`},
	{name: "become root", root: true, code: `os.setuid(0); escaped()`},
	{name: "take a capability back", root: true, code: `
call("capset", struct.pack("Ii", 0x20080522, 0), struct.pack("6I", 0x200000, 0x200000, 0, 0, 0, 0)); escaped()`},

	// The terminal, the channel, the neighbours.
	{name: "queue signals, which count for the user", code: `
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN + 3])
for _ in range(3000): os.kill(os.getpid(), signal.SIGRTMIN + 3)
queued = 0
while signal.sigtimedwait([signal.SIGRTMIN + 3], 0): queued += 1
if queued > 2000: escaped()`},
	{name: "open a terminal", code: `os.openpty(); escaped()`},
	{name: "take a handle of the host from the channel", code: `
s = socket.socket(fileno=os.dup(3))
with unsupported(errno.ENOPROTOOPT):
    struct.unpack("i", s.getsockopt(socket.SOL_SOCKET, 77, 4)); escaped()`},
	{name: "read the credentials of the host from the channel", code: `
s = socket.socket(fileno=os.dup(3))
if struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, 17, 12))[0] == HOST: escaped()`},
	{name: "read the neighbour's files", code: `
where = FOLDER or f"/proc/{NEIGHBOUR}/root"
if "neighbour" in open(f"{where}/work/private").read(): escaped()`},
	{name: "read the neighbour's folder", code: `if FOLDER and os.listdir(FOLDER): escaped()`},
	{name: "write the neighbour's files", code: `
if FOLDER: open(f"{FOLDER}/work/public", "w"); escaped()`},
}
