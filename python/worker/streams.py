"""What a snippet prints: sent as it comes, capped in the middle, kept whole.

The objects the model sees as sys.stdout and sys.stderr are fronts; behind
them stands one Output that the model has no name for.
"""

from strands_worker.private import BUILTINS as __builtins__
from strands_worker.private import own

import _codecs
import _thread
import io
import os
import sys
import time
from typing import Any, Callable, Iterable, NoReturn

from strands_worker.frames import SPLIT, Link
from strands_worker.interrupts import Interrupts

_thread, os = own(_thread), own(os)

_encode = str.encode
_decode = _codecs.utf_8_decode
_now = time.monotonic
_BURST = 1000  # sends in a window before writes are gathered
_WINDOW = 0.1  # seconds
_GATHER = 8192  # bytes
_DELAY = 0.05  # seconds that gathered text may wait
_PIECE = SPLIT - 1024
_LATE = 8192  # bytes kept of what threads print between two runs
_SPOOLS = 4  # files of full output that are kept
FOLDER = ".output"
STDOUT, STDERR = b"o", b"e"


def cut_at(data: bytes | bytearray | memoryview, at: int) -> int:
    """The nearest place not after at where UTF-8 text may be cut."""
    while 0 < at < len(data) and data[at] & 0xC0 == 0x80:
        at -= 1
    return at


class _Stream:
    """The state of one stream in one run."""

    __slots__ = ("kind", "name", "head", "total", "tail", "sent", "keep")

    def __init__(self, kind: bytes, name: str, limit: int) -> None:
        self.kind, self.name = kind, name
        self.head = limit // 2  # bytes that may still be sent at once
        self.keep = limit - self.head  # bytes of the end that are kept
        self.total = self.sent = 0
        self.tail = bytearray()


class _Spool:
    """The whole text of a run whose output was cut, in a file."""

    def __init__(self, folder: str, limit: int) -> None:
        self._folder, self._left = folder, limit
        self._off = limit <= 0
        self._memory: list[bytes] = []  # until it is clear that something is cut
        self._fd = -1
        self._pending = bytearray()
        self.name = ""
        self.problem = ""

    def add(self, data: bytes) -> None:
        if self._fd < 0:
            if not (self._off or self.problem):
                self._memory.append(data)
            return
        self._pending += data
        if len(self._pending) >= SPLIT:
            self._drain()

    def open(self, number: int) -> None:
        """Begin the file: from now on text goes there."""
        if self._fd >= 0 or self._off or self.problem:
            return
        path = f"{self._folder}/{FOLDER}"
        name = f"cell-{number}.txt"
        try:
            try:
                os.mkdir(path, 0o700)
            except FileExistsError:
                try:
                    os.unlink(f"{path}/cell-{number - _SPOOLS}.txt")
                except FileNotFoundError:
                    pass
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
            self._fd = os.open(f"{path}/{name}", flags | getattr(os, "O_BINARY", 0), 0o600)
        except OSError as e:
            self._fail(e)
            return
        self.name = f"{FOLDER}/{name}"
        self._pending += b"".join(self._memory)
        self._memory = []

    def close(self) -> None:
        if self._fd < 0:
            return
        self._drain()
        try:
            os.close(self._fd)
        except OSError:
            pass  # the model closed it
        self._fd = -1

    def _drain(self) -> None:
        data = self._pending
        if len(data) > self._left:
            del data[cut_at(data, self._left) :]
            self.problem = "the file of the full output has reached its size limit"
        try:
            view = memoryview(data)
            while view:
                written = os.write(self._fd, view)
                view = view[written:]
                self._left -= written
        except OSError as e:
            self._fail(e)
        self._pending = bytearray()

    def _fail(self, e: OSError) -> None:
        self._memory = []
        self.problem = f"the full output could not be kept: {e.strerror}"


class Output:
    """Both streams of the present run, in order, within their limits."""

    def __init__(self, link: Link, limit: int, spool_limit: int, folder: str) -> None:
        self._link, self._limit = link, limit
        # A file that holds no more than is shown is of no use.
        self._spool_limit = spool_limit if limit < spool_limit else 0
        self._folder = folder
        self._lock = link.lock  # one lock for all that is sent keeps the order
        self._runs = 0
        self._late: list[tuple[bytes, bytes]] = []
        self._late_size = 0
        self._flusher: Any = None
        self._reset()

    def _reset(self) -> None:
        self._streams = {
            STDOUT: _Stream(STDOUT, "stdout", self._limit),
            STDERR: _Stream(STDERR, "stderr", self._limit),
        }
        self._spool = _Spool(self._folder, self._spool_limit)
        self._sends = 0
        self._window = 0.0
        self._gathering = False
        self._gathered: list[bytes] = []
        self._gathered_kind = STDOUT
        self._gathered_size = 0
        self._since = 0.0

    def begin(self) -> None:
        self._runs += 1
        if self._streams[STDOUT].total or self._streams[STDERR].total or self._gathering:
            self._reset()
        self._sends, self._window = 0, _now()
        late, self._late, self._late_size = self._late, [], 0
        for kind, data in late:
            self.write(kind, data)

    def write(self, kind: bytes, data: bytes) -> None:
        """Take valid UTF-8 from any thread."""
        with self._lock:
            if self._link.run is None:
                if self._late_size < _LATE:
                    self._late.append((kind, data))
                    self._late_size += len(data)
                return
            stream = self._streams[kind]
            stream.total += len(data)
            self._spool.add(data)
            if stream.total > self._limit:
                self._spool.open(self._runs)
            size = len(data)
            if size <= stream.head:
                stream.head -= size
            else:
                at = cut_at(data, stream.head)
                stream.head = 0
                tail = stream.tail
                tail += memoryview(data)[at:][-2 * stream.keep - 4 :] if stream.keep else b""
                if len(tail) > 2 * stream.keep:
                    del tail[: cut_at(tail, len(tail) - stream.keep)]
                data = data[:at]
            if data:
                stream.sent += len(data)
                self._pass(kind, data)

    def _pass(self, kind: bytes, data: bytes) -> None:
        if not self._gathering:
            self._send(kind, data)
            self._sends += 1
            if self._sends > _BURST:
                now = _now()
                self._gathering = now - self._window < _WINDOW
                self._sends, self._window, self._since = 0, now, now
                if self._gathering:
                    self._start_flusher()
            return
        if kind != self._gathered_kind:
            self._send_gathered()
            self._gathered_kind = kind
        self._gathered.append(data)
        self._gathered_size += len(data)
        if self._gathered_size >= _GATHER or _now() - self._since >= _DELAY:
            self._send_gathered()

    def _send(self, kind: bytes, data: bytes) -> None:
        emit = self._link.emit
        if len(data) <= _PIECE:
            emit(kind, data)
            return
        at = 0
        while at < len(data):
            end = at + cut_at(memoryview(data)[at : at + _PIECE + 1], _PIECE)
            emit(kind, data[at:end])
            at = end

    def _send_gathered(self) -> None:
        self._since = _now()
        if self._gathered:
            data = b"".join(self._gathered)
            self._gathered, self._gathered_size = [], 0
            self._send(self._gathered_kind, data)

    def flush(self) -> None:
        if self._gathered:
            with self._lock:
                self._send_gathered()

    def _start_flusher(self) -> None:
        """A thread for as long as text is gathered: the code may stop printing."""
        if self._flusher is not None:
            return
        stop, ended = _thread.allocate_lock(), _thread.allocate_lock()
        stop.acquire()
        ended.acquire()

        def flusher() -> None:
            while not stop.acquire(True, _DELAY):
                with self._lock:
                    if not self._gathered_size:
                        # Nobody printed for a while: the next may pass at once.
                        self._gathering = False
                        self._sends, self._window = 0, _now()
                        self._flusher = None
                        break
                    self._send_gathered()
            ended.release()

        try:
            _thread.start_new_thread(flusher, ())
        except RuntimeError:
            return  # no thread to be had: the next write sends what is due
        self._flusher = (stop, ended)

    def own_threads(self) -> int:
        return 0 if self._flusher is None else 1

    def end(self) -> list[str]:
        """Send what is left; returns warnings."""
        flusher = self._flusher
        if flusher is not None:
            self._flusher = None
            flusher[0].release()
            flusher[1].acquire()
        with self._lock:
            self._send_gathered()
            self._spool.close()
            for stream in self._streams.values():
                self._send_tail(stream)
            return [self._spool.problem] if self._spool.problem else []

    def _send_tail(self, stream: _Stream) -> None:
        tail = stream.tail
        if not tail:
            return
        if stream.total > self._limit and len(tail) > stream.keep:
            del tail[: cut_at(tail, len(tail) - stream.keep)]
        if left := self.cut(stream.kind):
            where = f"; all of it is in {self._spool.name}" if self._spool.name else ""
            note = f"\n[... {left} bytes of {stream.name} left out{where} ...]\n"
            self._send(stream.kind, _encode(note))
        self._send(stream.kind, bytes(tail))

    def cut(self, kind: bytes) -> int:
        """Bytes of a stream that were, or are to be, left out."""
        stream = self._streams[kind]
        return stream.total - stream.sent - len(stream.tail)

    def spool_name(self) -> str:
        return self._spool.name


class _Binary(io.RawIOBase):
    """sys.stdout.buffer: bytes, shown as the UTF-8 text that they should be."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._rest = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        given = bytes(data)
        text, used = _decode(self._rest + given, "replace", False)
        self._rest = (self._rest + given)[used:]
        if text:
            self._write(_encode(text, "utf-8", "backslashreplace"))
        return len(given)

    def close(self) -> None:
        self.flush()


class Front(io.TextIOBase):
    """sys.stdout or sys.stderr as the model sees it."""

    encoding = "utf-8"  # type: ignore[assignment]
    errors = "backslashreplace"  # type: ignore[assignment]
    newlines = None  # type: ignore[assignment]
    line_buffering = True
    write_through = True
    mode = "w"

    def __init__(self, output: Output, interrupts: Interrupts, kind: bytes) -> None:
        self._interrupts = interrupts
        self._send = output.write
        self._flush = output.flush
        self._kind = kind
        self._fd = 1 if kind == STDOUT else 2
        self.name = "<stdout>" if kind == STDOUT else "<stderr>"
        self.buffer = _Binary(lambda data: output.write(kind, data))

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if text:
            self._send(self._kind, _encode(text, "utf-8", "backslashreplace"))
            if self._interrupts.armed:
                self._interrupts.checkpoint()
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self._flush()

    def close(self) -> None:
        """It is not the model's to close."""

    def detach(self) -> NoReturn:
        raise io.UnsupportedOperation("detach")

    def reconfigure(self, **_: Any) -> None:
        """Nothing to choose here."""

    def fileno(self) -> int:
        return self._fd

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False


class NoInput(io.TextIOBase):
    """sys.stdin: there is nobody to ask."""

    encoding = "utf-8"  # type: ignore[assignment]
    name = "<stdin>"
    mode = "r"

    def _none(self, *_: Any) -> NoReturn:
        raise EOFError("there is no input here; put the value into the code instead")

    read = readline = readlines = __next__ = _none  # type: ignore[assignment]

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        """It is not the model's to close."""

    def fileno(self) -> int:
        return 0

    def isatty(self) -> bool:
        return False


class Fronts:
    """The objects in sys, put back before each run."""

    def __init__(self, output: Output, interrupts: Interrupts) -> None:
        self._output, self._interrupts = output, interrupts
        self._classes = [(c, dict(vars(c))) for c in (Front, NoInput, _Binary)]
        self._make()

    def _make(self) -> None:
        self.stdin = NoInput()
        self.stdout = Front(self._output, self._interrupts, STDOUT)
        self.stderr = Front(self._output, self._interrupts, STDERR)
        self._clean = [(f, dict(f.__dict__)) for f in (self.stdin, self.stdout, self.stderr)]

    def restore(self) -> None:
        try:
            changed = any(front.__dict__ != state for front, state in self._clean)
        except BaseException:  # the model's object did not want to be compared
            changed = True
        if changed:
            self._make()
        write = self._classes[0][1]["write"]
        if Front.__dict__.get("write") is not write:
            for cls, names in self._classes:
                for name, value in names.items():
                    if name not in ("__dict__", "__weakref__") and cls.__dict__.get(name) is not value:
                        setattr(cls, name, value)
        sys.stdin = sys.__stdin__ = self.stdin  # type: ignore[misc,assignment]
        sys.stdout = sys.__stdout__ = self.stdout  # type: ignore[misc,assignment]
        sys.stderr = sys.__stderr__ = self.stderr  # type: ignore[misc,assignment]
