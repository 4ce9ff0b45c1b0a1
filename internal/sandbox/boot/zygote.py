"""The warm parent: imports what sessions need, then forks one for each request.

It never runs model code and never reads a byte from a session. The control socket carries frames (u32 length, JSON);
descriptors ride on the first byte of a frame.
"""

import base64
import errno
import faulthandler
import importlib
import json
import os
import select
import shutil
import signal
import socket
import struct
import sys
import tempfile
import time
import traceback
from types import ModuleType
from typing import Any, Callable, NoReturn

import _sandbox_confine as confine
import _sandbox_keeper as keeper
import _sandbox_kernel as kernel
import _sandbox_landlock as landlock
import _sandbox_root as root
import _sandbox_share as share

CONTROL = 3
PAUSE = 50  # milliseconds without a request
MAX_FDS = 8
KEEP_CAPABILITIES = sum(1 << c for c in (0, 1, 3, 5, 6, 7, 8))  # CHOWN DAC_OVERRIDE FOWNER KILL SETGID SETUID SETPCAP

Frame = "dict[str, Any]"


class Control:
    """The host's socket."""

    def __init__(self, fd: int) -> None:
        self.socket = socket.socket(fileno=fd)

    def receive(self) -> "tuple[Frame, list[int]]":
        """Raises EOFError at the end."""
        space = socket.CMSG_SPACE(MAX_FDS * 4)
        head, ancillary, _, _ = self.socket.recvmsg(4, space, socket.MSG_CMSG_CLOEXEC)
        fds: "list[int]" = []
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.extend(struct.unpack(f"={len(data) // 4}i", data))
        head += self._exactly(4 - len(head))
        return json.loads(self._exactly(int.from_bytes(head, "little"))), fds

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def send(self, frame: "Frame", *fds: int) -> None:
        body = json.dumps(frame).encode()
        data = len(body).to_bytes(4, "little") + body
        if not fds:
            self.socket.sendall(data)
            return
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack(f"={len(fds)}i", *fds))]
        sent = self.socket.sendmsg([data], rights)
        self.socket.sendall(data[sent:])


class Refused(Exception):
    """What the host is told instead of "ready"."""

    def __init__(self, frame: "Frame") -> None:
        super().__init__(str(frame))
        self.frame = frame


def _isolate(config: "Frame") -> "Frame":
    """Brings this process to where it may fork sessions of the level from."""
    state: "Frame" = {"pid": os.getpid(), "proc": False, "no_proc": "", "host_view": -1, "landlock": landlock.version()}
    if config["level"] == "filtered":
        if os.geteuid() == 0:
            kernel.bound_capabilities(KEEP_CAPABILITIES)
            kernel.set_capabilities(KEEP_CAPABILITIES & config["capabilities"])
        return state
    state["host_view"] = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    state["pid_ns"] = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    kernel.unshare(kernel.NEWNS, "unsharing the mounts")
    state["no_proc"] = root.build(config["root"])
    state["proc"] = state["no_proc"] == ""
    kernel.set_host_name("sandbox")
    state["keepers"] = keeper.Keepers(config["remembered"])
    return state


def _import_all(config: "Frame", define: "Callable[[str, str], ModuleType]") -> None:
    sys.path[:] = config["path"]
    if config["prefix"]:
        sys.prefix = sys.exec_prefix = config["prefix"]
    for name, source in config["worker"]:
        define(name, source)
    for name in config["preload"]:
        try:
            importlib.import_module(name)
        except Exception as e:
            raise Refused({"preload": name, "reason": f"{type(e).__name__}: {e}"}) from e
        if not kernel.single_threaded():
            raise Refused({"preload": name, "reason": "it leaves threads running, which a fork would lose"})
    if not kernel.single_threaded():
        raise Refused({"failed": "the worker's modules leave threads running"})


def _reseed() -> None:
    """A fork continues the parent's generators: every session would draw the same numbers.

    Module random sees to itself. The state of numpy's is set because its way to a seed of its own is long.
    """
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.set_state(("MT19937", memoryview(os.urandom(4 * 624)).cast("I"), 624))


def _forget_folders() -> None:
    """Modules remember folders of the parent that sessions do not have."""
    tempfile.tempdir = None
    matplotlib = sys.modules.get("matplotlib")
    for name in ("get_configdir", "get_cachedir"):
        clear = getattr(getattr(matplotlib, name, None), "cache_clear", None)
        if clear:
            clear()


def _enter(doors: "list[int]") -> None:
    for door in doors:
        try:
            os.write(door, b"0")
        except OSError:
            pass  # the host looks, and does it the long way


class Zygote:
    def __init__(self, control: Control, config: "Frame", state: "Frame") -> None:
        self.control, self.config, self.state = control, config, state
        self.children: "dict[int, tuple[int, int]]" = {}  # pidfd: id, pid
        self.poll = select.poll()
        self.poll.register(control.socket, select.POLLIN)
        module, _, function = config["entry"].partition(":")
        self.entry = getattr(sys.modules[module], function)
        self.shared = False

    def share(self) -> None:
        share.share()
        self.shared = True

    def serve(self) -> None:
        while True:
            ready = self.poll.poll(None if self.shared else PAUSE)
            if not ready:
                self.share()
            for fd, _ in ready:
                if fd in self.children:
                    self.reap(fd)
                else:
                    frame, fds = self.control.receive()
                    self.fork(frame, fds)
                    for fd in fds:
                        os.close(fd)

    def reap(self, pidfd: int) -> None:
        number, pid = self.children.pop(pidfd)
        self.poll.unregister(pidfd)
        os.close(pidfd)
        _, status, usage = os.wait4(pid, 0)
        cpu = usage.ru_utime + usage.ru_stime
        self.control.send({"exited": number, "status": status, "cpu": cpu})

    def fork(self, session: "Frame", fds: "list[int]") -> None:
        """Forks the session; fds are its socket, its output, and the doors of its cgroups. The host gets handles of it and of its keeper."""
        handles = []
        if self.config["level"] != "filtered":
            handles.append(self.state["keepers"].take())
            kernel.setns(handles[0], kernel.NEWPID, "entering the pid namespace")
        pid = os.fork()
        if pid == 0:
            self.become(session, fds, *handles)
        if handles:
            kernel.setns(self.state["pid_ns"], kernel.NEWPID, "returning to the pid namespace")
        pidfd = kernel.pidfd_open(pid)
        self.children[pidfd] = (session["id"], pid)
        self.poll.register(pidfd, select.POLLIN)
        self.control.send({"forked": session["id"]}, pidfd, *handles)
        for handle in handles:
            os.close(handle)

    def become(self, session: "Frame", fds: "list[int]", keeper: int = -1) -> NoReturn:
        """Turns this fork into the session. Never returns into the parent's code."""
        code = 1
        try:
            self.control.socket.detach()
            _enter(fds[2:])
            os.dup2(fds[0], CONTROL, inheritable=False)
            os.dup2(fds[1], 1)
            os.dup2(fds[1], 2)
            listener = -1
            try:
                notes, listener = confine.confine(self.config, session, self.state, keeper)
                answer = {"ready": notes}
            except BaseException as e:
                answer = {"failed": str(e) or type(e).__name__}
            os.environ.update(session["env"] or ())
            _reseed()
            faulthandler.enable(2)
            _hand_over(answer, listener)
            if "ready" in answer:
                confine.limit_descriptors(session["limits"])
                self.entry(CONTROL)
                code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def end(self) -> None:
        """The host has gone: nothing of it may stay."""
        for pidfd, (_, pid) in self.children.items():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(pidfd)
        if self.config["remove"]:
            shutil.rmtree(self.config["remove"], ignore_errors=True)
        deadline = time.monotonic() + 5
        for group in self.config["cgroups"]:
            _remove_cgroup(group["folder"], group["name"], deadline)


def _remove_cgroup(folder: int, name: str, deadline: float) -> None:
    """Removes a group of ours and the groups of its sessions, by the descriptor of the folder it is in."""
    try:
        group = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return
    with os.scandir(group) as entries:
        sessions = [e.name for e in entries if e.is_dir(follow_symlinks=False)]
    for session in sessions:
        _remove_folder(session, group, deadline)
    _remove_folder(name, folder, deadline)


def _remove_folder(name: str, parent: int, deadline: float) -> None:
    while True:
        try:
            os.rmdir(name, dir_fd=parent)
            return
        except OSError as e:
            if e.errno != errno.EBUSY or time.monotonic() > deadline:
                return  # the next start sweeps it
            time.sleep(0.002)  # the kernel is about to take the last process out


def _hand_over(answer: "Frame", listener: int) -> None:
    """Tells the host, which alone has the listener from now on."""
    host = Control(os.dup(CONTROL))
    host.send(answer, *([] if listener < 0 else [listener]))
    host.socket.close()
    if listener >= 0:
        os.close(listener)


def _forget_bootstrap() -> None:
    """Sessions have no business here."""
    for name in [n for n in sys.modules if n.startswith("_sandbox_")]:
        del sys.modules[name]


def main(config: "Frame", define: "Callable[[str, str], ModuleType]") -> None:
    """Serves until the host's end of the control socket is closed."""
    control = Control(CONTROL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    kernel.NUMBERS.update(config["numbers"])
    kernel.close_from(CONTROL + 1 + len(config["cgroups"]))  # what the host did not mean to pass on
    kernel.set_name("python-zygote")
    kernel.set_limit(kernel.RLIMIT_NOFILE, kernel.hard_limit(kernel.RLIMIT_NOFILE))  # see confine.limit_descriptors
    config["filter"]["code"] = base64.b64decode(config["filter"]["code"])
    try:
        try:
            state = _isolate(config)
        except (kernel.StepError, OSError) as e:
            raise Refused({"isolation": str(e)}) from e
        _import_all(config, define)
    except Refused as e:
        control.send(e.frame)
        os._exit(1)
    except BaseException:
        control.send({"failed": traceback.format_exc()})
        os._exit(1)
    if config["level"] != "filtered":
        kernel.unmount("/tmp")
    zygote = Zygote(control, config, state)
    _forget_folders()
    _forget_bootstrap()
    if config["preload"]:
        zygote.share()  # else the first session, which is on its way, would wait for what it does not gain
    control.send({"ready": {"no_proc": state["no_proc"], "landlock": state["landlock"]}})
    try:
        zygote.serve()
    except (EOFError, OSError):
        zygote.end()
    os._exit(0)
