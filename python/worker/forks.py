"""Forking this process while it lives: the copy goes on with the same state, and another host's socket.

The host lets one fork through at a time, and the copy stands still in setsid until the host has looked at it and has put
its own socket and output in the place of ours.
"""

from strands_worker.private import BUILTINS as __builtins__
from strands_worker.private import own

import _thread
import errno
import os
import sys
import time
from typing import Any, Callable, Sequence

from strands_worker.cells import Cells
from strands_worker.files import Folder

_thread, errno, os = own(_thread), own(errno), own(os)

_modules = sys.modules
_sleep = time.sleep
_fork: Callable[[], int] | None = getattr(os, "fork", None)
_MOST = 10  # names told
_NEWS, _LONG = 500, 150  # files told, and the characters of a name: all fit into a frame
_PATIENCE, _MOST_LOOKS = 20, 400  # looks at threads that may be about to stop, with those that did not get so far
_PAUSE = 0.005  # seconds between them


class Refusal(Exception):
    """Why this process cannot be forked now."""

    def __init__(
        self, threads: Sequence[str] = (), tasks: Sequence[str] = (), message: str = "", again: bool = False
    ) -> None:
        self.body = {"threads": threads, "tasks": tasks, "message": message, "again": again}


def fork(cells: Cells) -> bool:
    """True in the copy, once the host has accepted it. Raises Refusal when there is none."""
    if _fork is None:
        raise Refusal(message="this system cannot fork")
    _check(cells)
    _reap()
    numbers = _generator()
    try:
        child = _fork()
    except OSError as e:
        # EPERM: the kernel, interrupted by a signal, began the call anew, and the host lets one through.
        again = e.errno in (errno.EAGAIN, errno.EPERM)
        raise Refusal(message=f"the system refused: {e.strerror}", again=again) from None
    if child:
        return False
    try:
        os.setsid()
    except OSError:
        os._exit(1)
    _restore(numbers)
    cells.loop.separate()
    return True


def _check(cells: Cells) -> None:
    """A fork has the thread that forks and no other: what others do, or hold, would be lost in it."""
    if tasks := _names(cells.loop.tasks(), _task_name):
        raise Refusal(tasks=tasks)
    cells.loop.retire_threads()
    looks, had = 0, ""
    for _ in range(_MOST_LOOKS):
        threads, (busy, has) = _threads(), _busy()
        if not (threads or busy):
            return
        looks += not busy or has != had  # a thread that had no turn since may only want to stop
        if looks == _PATIENCE:
            break
        had = has
        _sleep(_PAUSE)
    raise Refusal(threads=threads) if threads else Refusal(threads=busy, message="busy")


def _threads() -> list[str]:
    """Names of Python's threads beside this one."""
    count = _thread._count()
    if not count:
        return []
    names: list[str] = []
    try:
        me = _thread.get_ident()
        others = [t for ident, t in list(_modules["threading"]._active.items()) if ident != me]
        names = _names(others, lambda t: t.name)
    except BaseException:  # module threading is the model's to break
        pass
    return names + ["a thread without a name"] * min(count - len(names), 1)


def _busy() -> tuple[list[str], str]:
    """Names of the native threads beside this one that work right now or want to, and what tells that one had its turn.

    Idle ones are no reason: such a library starts others in the copy (Arrow, OpenBLAS), and keeps these for ever.
    """
    names, had = [], ""
    try:
        for number in os.listdir("/proc/self/task"):
            if int(number) != os.getpid():
                name, _, rest = _read(f"/proc/self/task/{number}/stat").partition(" (")[2].rpartition(") ")
                if rest[:1] in ("R", "D"):
                    names.append(name)
                    had += _read(f"/proc/self/task/{number}/schedstat")
    except (OSError, ValueError):
        pass  # no /proc, or the thread has gone
    return names[:_MOST], had


def idle() -> list[str]:
    """Names of the threads of libraries, which a copy does not have."""
    names = []
    try:
        for number in os.listdir("/proc/self/task"):
            if int(number) != os.getpid():
                names.append(_read(f"/proc/self/task/{number}/comm").strip())
    except (OSError, ValueError):
        pass
    return sorted(set(names))[:_MOST]


def _read(path: str) -> str:
    fd = os.open(path, os.O_RDONLY)
    try:
        return str(os.read(fd, 4096), "utf-8", "replace")
    finally:
        os.close(fd)


def _names(things: list[Any], name: Callable[[Any], Any]) -> list[str]:
    """What the model calls them, as far as that is a text."""
    names = []
    for thing in things[:_MOST]:
        try:
            told = name(thing)
        except BaseException:
            told = None
        names.append(told[:60] if type(told) is str else "?")
    return names


def _task_name(task: Any) -> Any:
    return f"{task.get_name()} ({task.get_coro().__qualname__})"


def _reap() -> None:
    """Bury forks that have ended; the host has looked at them long ago."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _generator() -> Any:
    """The state of random, which Python seeds anew in a fork: a copy shall be one."""
    try:
        return _modules["random"].getstate()
    except BaseException:
        return None


def _restore(numbers: Any) -> None:
    try:
        if numbers is not None:
            _modules["random"].setstate(numbers)
    except BaseException:
        pass


def news(folder: Folder) -> dict[str, Any]:
    """What became of the output folder since the copy was made: its files are not copied."""
    before = folder.names()
    changed = [entry["name"] for entry in folder.changed()]
    removed = sorted(before - folder.names())
    return {"changed": [n for n in changed if len(n) <= _LONG][:_NEWS], "removed": [n for n in removed if len(n) <= _LONG][:_NEWS]}
