"""System calls that the standard library has no functions for."""

import ctypes
import errno
import os
import struct

# mount(2)
RDONLY, NOSUID, NODEV, NOEXEC = 1, 2, 4, 8
REMOUNT, BIND, REC, PRIVATE = 32, 4096, 16384, 1 << 18
DETACH = 2

# clone(2), unshare(2)
THREAD = 0x00010000
NEWNS, NEWCGROUP, NEWUTS, NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
NEWUSER, NEWPID, NEWNET = 0x10000000, 0x20000000, 0x40000000
READY_MADE = NEWUTS | NEWIPC | NEWNET  # namespaces that a session gets from its keeper, as it does that of pids

# prctl(2)
SET_PDEATHSIG, SET_DUMPABLE, SET_NAME, CAPBSET_DROP = 1, 4, 15, 24
SET_NO_NEW_PRIVS, CAP_AMBIENT, CAP_AMBIENT_CLEAR_ALL = 38, 47, 4

# setrlimit(2)
RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_CORE, RLIMIT_NPROC = 0, 1, 4, 6
RLIMIT_NOFILE, RLIMIT_MEMLOCK, RLIMIT_AS, RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE = 7, 8, 9, 11, 12

AT_FDCWD, AT_EMPTY_PATH, AT_RECURSIVE = -100, 0x1000, 0x8000
OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC = 1, 0x80000
MOVE_MOUNT_F_EMPTY_PATH = 4

# seccomp(2). With the second a call that the listener has read of waits for the answer whatever signal comes, but death.
NEW_LISTENER, WAIT_KILLABLE = 1 << 3, 1 << 5

# Numbers by name, told by the host, which has them for its architecture.
NUMBERS: dict[str, int] = {}

_libc = ctypes.CDLL(None, use_errno=True)
_prctl = _libc["prctl"]
_prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)


class StepError(Exception):
    """A step that failed, with the words that the host reports."""

    def __init__(self, step: str, code: int) -> None:
        super().__init__(f"{step}: {os.strerror(code).lower()}")
        self.code = code


def check(result: int, step: str) -> int:
    if result < 0:
        raise StepError(step, ctypes.get_errno())
    return result


def syscall(name: str, *args: "int | bytes") -> int:
    """Returns -1 with ctypes.get_errno() set on failure."""
    words = [ctypes.c_long(a) if isinstance(a, int) else ctypes.c_char_p(a) for a in args]
    return _libc.syscall(ctypes.c_long(NUMBERS[name]), *words)


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    args = [s.encode() if s else None for s in (source, target, kind)]
    step = f"mounting {kind or source or 'flags'} on {target}"
    check(_libc.mount(*args, ctypes.c_ulong(flags), data.encode() if data else None), step)


def unmount(target: str) -> None:
    check(_libc.umount2(target.encode(), DETACH), f"unmounting {target}")


def pivot_root(new: str, old: str) -> None:
    check(syscall("pivot_root", new.encode(), old.encode()), "changing the root")


def clone_tree(path: str) -> int:
    """Returns a descriptor of a detached copy of the mounts at path."""
    flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE
    return check(syscall("open_tree", AT_FDCWD, path.encode(), flags), f"opening {path}")


def attach_tree(tree: int, target: str) -> None:
    step = f"binding {target}"
    check(syscall("move_mount", tree, b"", AT_FDCWD, target.encode(), MOVE_MOUNT_F_EMPTY_PATH), step)


def read_only(target: str, tree: int = AT_FDCWD) -> None:
    """Makes a mount and all below it read-only, without devices and set-uid."""
    attr = struct.pack("=QQQQ", RDONLY | NOSUID | NODEV, 0, 0, 0)
    flags = AT_RECURSIVE | (AT_EMPTY_PATH if tree != AT_FDCWD else 0)
    name = b"" if tree != AT_FDCWD else target.encode()
    check(syscall("mount_setattr", tree, name, flags, attr, len(attr)), f"making {target} read-only")


def unshare(flags: int, step: str) -> None:
    check(_libc.unshare(ctypes.c_int(flags)), step)


def setns(fd: int, kind: int, step: str) -> None:
    check(_libc.setns(ctypes.c_int(fd), ctypes.c_int(kind)), step)


def single_threaded() -> bool:
    """Native threads count too: the kernel refuses this of a process that has any."""
    return _libc.unshare(ctypes.c_int(THREAD)) == 0


def pidfd_open(pid: int) -> int:
    return check(syscall("pidfd_open", pid, 0), "opening the child")


def prctl(option: int, *args: int) -> int:
    return _prctl(option, *(*args, 0, 0, 0, 0)[:4])


def set_name(name: str) -> None:
    _libc.prctl(ctypes.c_int(SET_NAME), ctypes.c_char_p(name.encode()), 0, 0, 0)


def set_host_name(name: str) -> None:
    check(_libc.sethostname(name.encode(), ctypes.c_size_t(len(name))), "naming the host")


def set_limit(resource: int, value: int) -> None:
    limit = struct.pack("=QQ", value, value)
    check(_libc.setrlimit(ctypes.c_int(resource), ctypes.c_char_p(limit)), f"limiting resource {resource}")


def hard_limit(resource: int) -> int:
    limit = ctypes.create_string_buffer(16)
    check(_libc.getrlimit(resource, limit), f"reading the limit of resource {resource}")
    return struct.unpack("=QQ", limit.raw)[1]


def become(uid: int, gid: int) -> None:
    """Changes all ids for good, and drops the supplementary groups."""
    check(_libc.setgroups(ctypes.c_size_t(0), None), "dropping groups")
    check(_libc.setresgid(*[ctypes.c_uint(gid)] * 3), "changing the group")
    check(_libc.setresuid(*[ctypes.c_uint(uid)] * 3), "changing the user")


def bound_capabilities(keep: int) -> None:
    """Drops all capabilities but those of the bit set from what programs could gain; needs CAP_SETPCAP."""
    for capability in range(64):
        if not keep >> capability & 1 and prctl(CAPBSET_DROP, capability) < 0:
            break  # past the last one of this kernel, or it may not: the host looks


def set_capabilities(keep: int) -> None:
    """Drops all capabilities but those of the bit set, for good."""
    prctl(CAP_AMBIENT, CAP_AMBIENT_CLEAR_ALL)
    header = struct.pack("=Ii", 0x20080522, 0)  # version 3: two words of 32 bits
    low, high = keep & 0xFFFFFFFF, keep >> 32
    data = struct.pack("=6I", low, low, 0, high, high, 0)
    check(syscall("capset", header, data), "dropping capabilities")


def load_filter(code: bytes, listen: bool) -> int:
    """Returns the descriptor of the listener when there is to be one."""
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
    if not listen:
        return check(syscall("seccomp", 1, 0, program), "loading the system call filter")
    fd = syscall("seccomp", 1, NEW_LISTENER | WAIT_KILLABLE, program)
    if fd < 0 and ctypes.get_errno() == errno.EINVAL:  # before Linux 5.19
        fd = syscall("seccomp", 1, NEW_LISTENER, program)
    return check(fd, "listening to the system call filter")


def close_from(first: int) -> None:
    """Closes descriptors without /proc, in one call where the kernel has it."""
    if syscall("close_range", first, 0xFFFFFFFF, 0) < 0:
        os.closerange(first, os.sysconf("SC_OPEN_MAX"))
