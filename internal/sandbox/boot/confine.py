"""Confines a fork of the warm parent, before it has seen a byte that it cannot trust.

Every step that fails raises, and the process ends: nothing goes on weaker than it was asked for.
"""

import os
import signal
import socket
import stat
import sys
from typing import Any

import _sandbox_kernel as kernel
import _sandbox_landlock as landlock
import _sandbox_root as root

UID = 1000  # inside the user namespace of a session
SIGNALS = 1024  # that a session may have waiting
MIB = 1 << 20

_TMPFS = kernel.NOSUID | kernel.NODEV | kernel.NOEXEC


def _bind_trees(binds: "list[list[str]]", host_view: int) -> "list[int]":
    """Copies the mounts to bind out of the host's view, which this process then leaves again."""
    own = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    kernel.setns(host_view, kernel.NEWNS, "entering the host's mounts")
    trees = [kernel.clone_tree(source) for source, _ in binds]
    kernel.setns(own, kernel.NEWNS, "leaving the host's mounts")
    os.close(own)
    return trees


def _mount_folders(session: "dict[str, Any]") -> None:
    """/work and /tmp are two folders of one tmpfs, so that one quota holds for both."""
    limits, owner = session["limits"], session["uid"]
    size = f",size={limits['disk']}" if limits["disk"] > 0 else ",size=0"
    inodes = f",nr_inodes={limits['files'] + 3}" if limits["files"] > 0 else ",nr_inodes=0"
    kernel.mount("tmpfs", "/tmp", "tmpfs", _TMPFS, f"mode=755{size}{inodes}")
    for name in ("work", "tmp"):
        os.mkdir(f"/tmp/{name}", 0o700)
        os.chown(f"/tmp/{name}", owner, owner)
    kernel.mount("/tmp/work", "/work", "", kernel.BIND)
    kernel.mount("/tmp/tmp", "/tmp", "", kernel.BIND)


def _mount_binds(session: "dict[str, Any]", trees: "list[int]") -> None:
    kernel.mount("tmpfs", "/mnt", "tmpfs", _TMPFS, "size=64k,mode=755")
    for (_, target), tree in zip(session["binds"], trees):
        root.make_point(target, stat.S_ISDIR(os.fstat(tree).st_mode))
        kernel.read_only(target, tree)
        kernel.attach_tree(tree, target)
        os.close(tree)
    kernel.mount("", "/mnt", "", kernel.BIND | kernel.REMOUNT | kernel.RDONLY | _TMPFS)


def _enter_namespaces(session: "dict[str, Any]", has_proc: bool, host_view: int, keeper: int) -> None:
    kernel.setns(keeper, kernel.READY_MADE, "entering the session's namespaces")
    kernel.unshare(kernel.NEWNS | kernel.NEWCGROUP, "unsharing namespaces")
    trees = _bind_trees(session["binds"], host_view) if session["binds"] else []
    if has_proc:
        root.mount_proc("/proc")
        _write("/proc/self/oom_score_adj", "1000")
    _mount_folders(session)
    if trees:
        _mount_binds(session, trees)


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _own_user_namespace() -> None:
    """Limits of processes count per user namespace and user: in its own a session has one of its own."""
    uid, gid = os.getuid(), os.getgid()
    kernel.prctl(kernel.SET_DUMPABLE, 1)  # else the files below belong to somebody else
    kernel.unshare(kernel.NEWUSER, "unsharing the user namespace")
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{UID} {uid} 1")
    _write("/proc/self/gid_map", f"{UID} {gid} 1")


def _set_limits(limits: "dict[str, int]", filtered: bool) -> None:
    for resource in (kernel.RLIMIT_CORE, kernel.RLIMIT_MEMLOCK, kernel.RLIMIT_MSGQUEUE):
        kernel.set_limit(resource, 0)
    kernel.set_limit(kernel.RLIMIT_SIGPENDING, min(SIGNALS, kernel.hard_limit(kernel.RLIMIT_SIGPENDING)))
    wanted = [
        (kernel.RLIMIT_CPU, limits["cpu"]),
        (kernel.RLIMIT_NPROC, limits["threads"]),
        (kernel.RLIMIT_AS, limits["memory"]),
    ]
    if filtered:
        wanted.append((kernel.RLIMIT_FSIZE, limits["disk"]))
    for resource, value in wanted:
        if value > 0:
            kernel.set_limit(resource, value)


def limit_descriptors(limits: "dict[str, int]") -> None:
    """The last limit, for when no descriptor is sent any more: the kernel also holds it against those on their way between
    all processes of a user, and the sessions of an ordinary user are all his."""
    if limits["open_files"] > 0:
        kernel.set_limit(kernel.RLIMIT_NOFILE, limits["open_files"])


def _rules(config: "dict[str, Any]", session: "dict[str, Any]") -> "list[tuple[str, int]]":
    access = landlock.RUN if config["programs"] else landlock.READ
    rules = [(path, access) for path in config["readable"]]
    rules += [(target, landlock.READ) for _, target in session["binds"]]
    rules += [(path, landlock.CHANGE) for path in session["folders"]]
    rules += [(f"/dev/{name}", landlock.DEVICE) for name in root.DEVICES]
    return rules


def _die_with_parent(parent: int) -> None:
    """The setting is cleared by a change of user, so it comes after it; then the parent may be gone already."""
    kernel.check(kernel.prctl(kernel.SET_PDEATHSIG, 9), "setting the death signal")
    if os.getppid() not in (0, parent):  # 0: the parent is outside the pid namespace, whose end is ours
        os._exit(1)


def _load_filter(template: "dict[str, Any]", listen: bool, notes: "dict[str, Any]") -> int:
    """Returns the listener that the filter asks about forks; -1 when there is none, and notes why."""
    code = bytearray(template["code"])
    for offset in template["pid_at"] or ():
        code[offset : offset + 4] = os.getpid().to_bytes(4, sys.byteorder)
    if listen:
        try:
            return kernel.load_filter(bytes(code), True)
        except kernel.StepError as e:  # a container's filter has one already
            notes["no_fork"] = str(e)
    kernel.load_filter(bytes(code), False)
    return -1


def _verify(filtered: bool, has_landlock: bool) -> None:
    """Tries what must not work. The host looks from outside too, but cannot see Landlock there."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()
        raise RuntimeError("the system call filter is not in force")
    except PermissionError:
        pass
    if has_landlock:
        try:
            os.close(os.open("/", os.O_RDONLY | os.O_DIRECTORY))
            raise RuntimeError("landlock is not in force")
        except PermissionError:
            pass


def _check_readable(paths: "list[str]") -> None:
    """A user of its own may be shut out from an interpreter in somebody's home: better said here than met later."""
    for path in paths:
        if not os.access(path, os.R_OK | (os.X_OK if os.path.isdir(path) else 0)):
            raise PermissionError(
                f"user {os.getuid()} cannot read {path}: keep interpreters and environments in a folder that every "
                "user may pass through (STRANDS_CACHE names it)"
            )


def confine(
    config: "dict[str, Any]", session: "dict[str, Any]", state: "dict[str, Any]", keeper: int
) -> "tuple[dict[str, Any], int]":
    """Confines this process as the level of config says, in the namespaces of its keeper where there are any.

    Returns what the host cannot see, and the filter's listener.
    """
    filtered = config["level"] == "filtered"
    notes: "dict[str, Any]" = {"no_fork": ""}
    os.setsid()  # kill(0) must not reach the neighbours
    if config["forks"] and config["remembered"]:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # else ended forks are zombies until the next one
    kernel.set_name("python-session")
    if not filtered:
        _enter_namespaces(session, state["proc"], state["host_view"], keeper)
    os.chdir(session["folders"][0])
    os.umask(0o022)
    kernel.close_from(4)
    own_namespace = not filtered and state["proc"]
    if not own_namespace:
        kernel.bound_capabilities(0)  # while it may: a change of user takes the right to
    if session["uid"]:
        kernel.become(session["uid"], session["uid"])
    if own_namespace:
        _own_user_namespace()
        kernel.bound_capabilities(0)  # now, because a new user namespace has all again
    notes["own_user"] = own_namespace or bool(session["uid"])
    kernel.set_capabilities(0)
    if session["first"]:
        _check_readable(config["required"])
    limits = dict(session["limits"])
    if not notes["own_user"]:
        limits["threads"] = -1  # it would count every process of the user
    _set_limits(limits, filtered)
    _die_with_parent(state["pid"])
    kernel.prctl(kernel.SET_DUMPABLE, 0)
    kernel.check(kernel.prctl(kernel.SET_NO_NEW_PRIVS, 1), "no_new_privs")
    abi = state["landlock"]
    if abi:
        landlock.restrict(abi, _rules(config, session))
    listener = _load_filter(config["filter"], config["forks"], notes)
    _verify(filtered, abi > 0)
    notes.update(landlock=abi, proc=state["proc"])
    return notes, listener
