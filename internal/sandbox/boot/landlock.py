"""Landlock: which files a process may touch, whatever its user may."""

import ctypes
import os
import stat
import struct

import _sandbox_kernel as kernel

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
MAKE_CHAR, MAKE_SOCK, MAKE_BLOCK = 1 << 6, 1 << 9, 1 << 11
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV

READ = READ_FILE | READ_DIR
CHANGE = ~(EXECUTE | MAKE_CHAR | MAKE_SOCK | MAKE_BLOCK | IOCTL_DEV)
DEVICE = READ_FILE | WRITE_FILE | TRUNCATE
RUN = READ | EXECUTE

NETWORK = 3  # bind and connect of TCP, from ABI 4
SCOPES = 3  # abstract sockets and signals, from ABI 6


def version() -> int:
    """The ABI of this kernel; 0 when it has none."""
    return max(0, kernel.syscall("landlock_create_ruleset", 0, 0, 1))


def _rights(abi: int) -> int:
    return (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(abi, 16)) - 1


def restrict(abi: int, rules: "list[tuple[str, int]]") -> None:
    """Confines this thread to the rules, for good. A path that is not there gets none."""
    rights = _rights(abi)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    attr = struct.pack("=QQQ", rights, NETWORK, SCOPES)
    ruleset = kernel.check(kernel.syscall("landlock_create_ruleset", attr, size, 0), "landlock")
    for path, access in rules:
        try:
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        access &= rights
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            access &= OF_FILES
        rule = struct.pack("=Qi", access, fd)
        kernel.check(kernel.syscall("landlock_add_rule", ruleset, 1, rule, 0), f"landlock rule for {path}")
        os.close(fd)
    kernel.check(kernel.syscall("landlock_restrict_self", ruleset, 0), "landlock")
    os.close(ruleset)


def unavailable() -> str:
    """Why version() is 0."""
    return os.strerror(ctypes.get_errno()).lower()
