"""The channel: whole frames in, whole frames out.

Reading can be left by an interrupt at any moment and taken up again: waiting
and taking bytes are two steps, and only the first may be interrupted.
Sending cannot: each frame is one call into C.
"""

from strands_worker.private import BUILTINS as __builtins__
from strands_worker.private import own

import _socket
import _thread
import os
import select
import struct
from collections import deque
from typing import Callable, Protocol

_thread, os = own(_thread), own(os)

_HEAD = struct.Struct("<IB")
_CHUNK = 1 << 14
_BIG = 1 << 20
_SLICE = 0.05  # seconds
_exit = os._exit
_deque = deque
_unpack = _HEAD.unpack_from
_pack = _HEAD.pack
Frame = tuple[int, bytes]

SPLIT = 1 << 16  # most bytes of a frame of text; the host's limit
GONE = 70  # exit status when the channel breaks under a running snippet


class Channel(Protocol):
    """A stream of bytes with a host at the other end."""

    fd: int | None  # what an event loop can watch; None = nothing

    def wait(self) -> bool:
        """Wait until bytes may be there, or for a while. Takes none of them."""

    def receive(self, size: int) -> bytes | None:
        """Take bytes that are there; None when there are none, b"" at the end."""

    send: Callable[[bytes], None]

    files: "deque[int]"  # descriptors that came along, in order; -1 = it came and could not be kept


_RIGHTS = struct.Struct("=i").iter_unpack


class SocketChannel:
    """A stream socket."""

    def __init__(self, fd: int) -> None:
        self.fd: int | None = fd
        self._socket = _socket.socket(fileno=fd)
        self.send = self._socket.sendall
        self.files: deque[int] = _deque()
        self._recvmsg = self._socket.recvmsg
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        self._poll = poll.poll

    def wait(self) -> bool:
        # A signal may end this function: there is nothing in it to lose.
        return bool(self._poll())

    def receive(self, size: int) -> bytes | None:
        try:
            data, extra, flags, _ = self._recvmsg(size, _SPACE, _FLAGS)
        except BlockingIOError:
            return None
        except ConnectionResetError:
            return b""
        if extra or flags & _CUT:
            self._keep(extra)
        return data

    def _keep(self, extra: "list[tuple[int, int, bytes]]") -> None:
        """The host sends one descriptor at a time; nothing else is read past it."""
        fds = [fd for _, _, data in extra for fd, in _RIGHTS(data)]
        self.files.append(fds[0] if fds else -1)
        for fd in fds[1:]:
            os.close(fd)


_SPACE = _socket.CMSG_SPACE(4) if hasattr(_socket, "CMSG_SPACE") else 0
_FLAGS = getattr(_socket, "MSG_DONTWAIT", 0) | getattr(_socket, "MSG_CMSG_CLOEXEC", 0)
_CUT = getattr(_socket, "MSG_CTRUNC", 0)


class PipeChannel:
    """Two pipes, where there are no sockets to inherit.

    A pipe cannot be watched everywhere, so a thread reads ahead.
    """

    _AHEAD = 1 << 16

    def __init__(self, fd_in: int, fd_out: int) -> None:
        self.fd: int | None = None
        self.files: deque[int] = _deque()
        self._in, self._out = fd_in, fd_out
        self._lock = _thread.allocate_lock()
        self._taken = _thread.allocate_lock()  # held while there is data to take
        self._there = _thread.allocate_lock()  # held while there is none
        self._there.acquire()
        self._data = b""
        _thread.start_new_thread(self._ahead, ())

    def _ahead(self) -> None:
        while True:
            try:
                data = os.read(self._in, self._AHEAD)
            except OSError:
                data = b""
            self._taken.acquire()
            self._data = data
            self._there.release()
            if not data:
                return

    def wait(self) -> bool:
        # A slice: on some systems a signal does not end a wait for a lock.
        if not self._there.acquire(True, _SLICE):
            return False
        self._there.release()
        return True

    def receive(self, size: int) -> bytes | None:
        with self._lock:
            if not self._there.acquire(False):
                return None
            data = self._data
            if not data or len(data) > size:
                self._data = data[size:]
                self._there.release()
                return data[:size]
            self._taken.release()
            return data

    def send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._out, view) :]


class Link:
    """Frames over a channel, and the run that they belong to.

    Sending is safe from every thread; the lock is reentrant because a garbage
    collection may run the model's code, which prints, inside any of our own.
    Reading is not: whoever reads holds the lead (hostcalls.Calls).
    """

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.lock = _thread.RLock()
        self.run: bytes | None = None  # the id that frames of a run begin with
        self._buffer = bytearray()
        self._taken: bytes | None = None  # what a lack of memory kept out of the buffer

    def take(self) -> Frame | None:
        """The next frame, if all of it is here."""
        buffer = self._buffer
        if len(buffer) < 5:
            return None
        size, kind = _unpack(buffer)
        end = 5 + size
        if len(buffer) < end:
            return None
        body = bytes(memoryview(buffer)[5:end])
        del buffer[:end]
        return kind, body

    def fill(self) -> bool:
        """Take in what has come. False: nothing had. EOFError: the end."""
        buffer = self._buffer
        size = _CHUNK
        if len(buffer) >= 5:
            size = min(max(_CHUNK, _unpack(buffer)[0] + 5 - len(buffer)), _BIG)
        data = self._taken
        if data is None:
            data = self._taken = self.channel.receive(size)
            if data is None:
                return False
        if not data:
            raise EOFError
        buffer += data
        self._taken = None
        return True

    def send(self, kind: bytes, body: bytes) -> None:
        """Send a frame whatever the state."""
        data = _pack(len(body), kind[0]) + body
        with self.lock:
            self._write(data)

    def emit(self, kind: bytes, body: bytes) -> bool:
        """Send a frame of the present run; False when there is none."""
        with self.lock:
            run = self.run
            if run is None:
                return False
            self._write(_pack(len(run) + len(body), kind[0]) + run + body)
            return True

    def finish(self, kind: bytes, body: bytes, over: Callable[[], None]) -> None:
        """Send the last frame of the present run. over is called between: nothing more can be sent, and the host does not
        know yet, so that no request can come."""
        with self.lock:
            run, self.run = self.run, None
            over()
            if run is not None:
                self._write(_pack(len(run) + len(body), kind[0]) + run + body)

    def _write(self, data: bytes) -> None:
        try:
            self.channel.send(data)
        except OSError:
            _exit(GONE)  # no host to tell, and nothing to go on for


def open_channel(fd_in: int, fd_out: int | None) -> Channel:
    return SocketChannel(fd_in) if fd_out is None else PipeChannel(fd_in, fd_out)
