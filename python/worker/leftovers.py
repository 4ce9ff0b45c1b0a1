"""What a snippet leaves behind in the process: threads, descriptors, full memory."""

from strands_worker.private import BUILTINS as __builtins__
from strands_worker.private import own

import _thread
import gc
import mmap
import os
import sys
from typing import Any

_thread, gc, mmap, os = own(_thread), own(gc), own(mmap), own(os)

try:
    import resource

    resource = own(resource)
except ImportError:  # Windows
    resource = None

_modules = sys.modules
_count = _thread._count
_dup = os.dup
_close = os.close
_Module = type(os)


def threads(ours: int) -> list[str]:
    """Names the threads that still run, but for so many of ours."""
    count = _count() - ours
    if count <= 0:
        return []
    names: list[str] = []
    try:
        me = _thread.get_ident()
        for ident, thread in list(_modules["threading"]._active.items()):
            if ident != me and type(thread.name) is str:
                names.append(thread.name[:60])
    except BaseException:  # module threading is the model's to break
        pass
    more = "" if len(names) <= 10 else ", ..."
    told = f" ({', '.join(names[:10])}{more})" if names else ""
    return [f"{count} thread{'s' if count > 1 else ''} still running{told}"]


class Descriptors:
    """Closes descriptors that were leaked, when they are about to run out.

    That nobody needs a descriptor cannot be seen from the number alone: a
    library in C may hold it without telling Python, and the code may keep the
    number in a variable. So nothing is done until half of the limit is in
    use. Then those are closed that the last run opened, that no living Python
    object answers for, and whose number no variable of __main__ holds.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep  # the channel's
        self._limit = 256
        if resource is not None:
            soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            self._limit = soft if 0 < soft < 1 << 16 else 1 << 16
        self._mark = self._limit // 2
        self._before: set[int] = set()

    def crowded(self) -> bool:
        """Whether half of the descriptors are in use; the lowest free one tells."""
        try:
            fd = _dup(self._keep)
        except OSError:
            return True
        _close(fd)
        return fd >= self._mark

    def begin(self) -> None:
        """Before a run: what is open is not that run's."""
        if self._before:
            self._before = self._open() if self.crowded() else set()

    def end(self, variables: dict[str, Any]) -> list[str]:
        """After a run; returns warnings."""
        if not self.crowded():
            return []
        gc.collect()  # closes files in cycles that nothing refers to
        open_now = self._open()
        leaked = open_now - self._before - {0, 1, 2, self._keep}
        if leaked:
            leaked -= _owned()
        if leaked:
            leaked -= _numbers(variables)
        for fd in leaked:
            try:
                _close(fd)
            except OSError:
                pass
        self._before = open_now - leaked
        if leaked:
            return [f"closed {len(leaked)} descriptors that the code had opened and lost"]
        return [f"{len(open_now)} of at most {self._limit} descriptors are in use; close files when done"]

    def _open(self) -> set[int]:
        found = set()
        fstat = os.fstat
        for fd in range(self._limit):
            try:
                fstat(fd)
            except OSError:
                continue
            found.add(fd)
        return found


def _owned() -> set[int]:
    """Descriptors of living objects: files, sockets, selectors, directories."""
    found = set()
    for thing in gc.get_objects():
        try:
            kind = type(thing)
            if "fileno" in dir(kind) and kind.__module__ in _OWNERS:
                found.add(thing.fileno())
        except BaseException:  # closed, or of the model's making
            continue
    return found


_OWNERS = ("_io", "_socket", "socket", "select", "mmap", "tempfile", "ssl", "posix")


def _numbers(value: Any, depth: int = 3) -> set[int]:
    """Small whole numbers in variables, and in containers that they hold."""
    if type(value) is int:
        return {value} if 0 <= value < 1 << 16 else set()
    found: set[int] = set()
    if depth and type(value) in (dict, list, tuple, set, frozenset):
        for item in list(value.values() if type(value) is dict else value):
            found |= _numbers(item, depth - 1)
    elif depth and type(value) is not _Module:  # whose numbers are constants
        names = getattr(value, "__dict__", None)
        if type(names) is dict:
            found.update(n for n in list(names.values()) if type(n) is int and 0 <= n < 1 << 16)
    return found


class Ballast:
    """Address space to give back when memory is short, so that we can say so.

    It is never touched: it costs no memory, only room below the limit.
    """

    _SIZE = 4 << 20
    _AMPLE = 16 << 20  # below this it stays given back

    def __init__(self) -> None:
        self._held: Any = None

    def take(self) -> None:
        if self._held is None and resource is not None:
            flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
            try:
                mmap.mmap(-1, self._AMPLE, flags=flags).close()
                self._held = mmap.mmap(-1, self._SIZE, flags=flags)
            except (OSError, MemoryError):
                pass

    def give(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.close()
