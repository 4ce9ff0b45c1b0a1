"""Calls of host functions: from the main thread, other threads and coroutines.

Replies come over one channel in any order. Whoever waits takes the lead if
nobody has it, reads frames for all and hands the lead on when its own reply is
there; so a lone caller pays for no other thread. Event loops watch the
channel's descriptor instead of waiting.
"""

from strands_worker.private import BUILTINS as __builtins__
from strands_worker.private import BUILTINS

import _thread
import itertools
import os
import struct
from collections import deque
from typing import Any, AsyncIterator, Callable, Iterator

from strands_worker.bulk import Beside, Descriptor, Parcel, behind, readers
from strands_worker.frames import Frame, Link, SocketChannel
from strands_worker.interrupts import Interrupts
from strands_worker.streams import Output
from strands_worker.values import decode, decode_with

_CALL = struct.Struct("<II").pack
_DROP = struct.Struct("<I").pack
_ROOM = struct.Struct("<IQ").pack
_REPLY = struct.Struct("<8sIB").unpack_from
_REPLY_SIZE = 13
_REPLY_KIND = ord("R")
_MOST = (16 << 20) - 64  # bytes of arguments that the host takes
_allocate_lock = _thread.allocate_lock
_deque = deque
_exit = os._exit
VALUE, FAILED, ITEM, END, ROOM, ENDED = 0, 1, 2, 3, 4, -1  # ENDED: the run is over
_IN_SOCKET, _BEHIND = 0x10, 0x20  # where the big data of a reply is


Reply = tuple[int, bytes, Any]  # the status, the frame's body, its big data: a bulk.Source or None
Arguments = "bytes | Parcel"
_OVER: Reply = (ENDED, b"", None)


def _value(reply: Reply) -> Any:
    _, body, data = reply
    if data is None:
        return decode(body, _REPLY_SIZE)
    try:
        return decode_with(data.text, readers(data))
    finally:
        data.close()


class _Call:
    """A call in flight."""

    __slots__ = ("id", "run", "replies", "wake", "gate", "blocks")

    def __init__(self, ident: int, run: bytes | None) -> None:
        self.id, self.run = ident, run
        self.replies: deque[Reply] = _deque()
        self.gate: Any = None  # a lock, when a thread has to wait while another has the lead
        self.blocks = False  # a thread waits for it, which can take the lead
        self.wake: Callable[[], None] = self._open

    def _open(self) -> None:
        if self.gate is not None:
            try:
                self.gate.release()
            except RuntimeError:
                pass  # was open

    def close_gate(self) -> None:
        """Make the gate. Who did so looks once more at what it may have missed."""
        gate = _allocate_lock()
        gate.acquire()
        self.gate = gate


def _wait_for_gate(gate: Any) -> None:
    # A signal may end this function: there is nothing in it to lose.
    gate.acquire(True, -1)


class Calls:
    """What is called and not yet answered; the reader of the channel."""

    def __init__(self, link: Link, interrupts: Interrupts, output: Output) -> None:
        self._link, self._interrupts, self._output = link, interrupts, output
        self._ids = itertools.count(1)
        self._pending: dict[int, _Call] = {}
        self._lead = _allocate_lock()
        self._requests: deque[Frame] = _deque()  # frames that are no replies
        self._loops: dict[Any, int] = {}
        interrupts.may_interrupt(SocketChannel.wait)
        interrupts.may_interrupt(_wait_for_gate)

    # --- reading

    def next_request(self) -> Frame:
        """The next frame that is no reply. EOFError when there will be none."""
        link = self._link
        with self._lead:
            while True:
                self._sort()
                if self._requests:
                    return self._requests.popleft()
                link.channel.wait()
                link.fill()

    def _sort(self) -> None:
        """Deliver every frame that is here; the reader has the lead."""
        take = self._link.take
        while frame := take():
            if frame[0] == _REPLY_KIND:
                self._deliver(frame[1])
            else:
                self._requests.append(frame)

    def _deliver(self, body: bytes) -> None:
        run, ident, status = _REPLY(body)
        data: Any = None
        if status > 15:
            if status & _IN_SOCKET:
                data = Beside(body, _REPLY_SIZE, Descriptor(self._link.channel.files.popleft()))
            else:
                data = behind(body, _REPLY_SIZE)
            status &= 15
        call = self._pending.get(ident)
        if call is None or call.run != run:
            return
        if type(data) is Beside and status != ROOM and (call.replies or not call.blocks):
            # Nobody waits for it, and the host waits until it is taken: it
            # may be what the next call of this thread has to wait for.
            data = data.fetch()
        call.replies.append((status, body, data))
        call.wake()

    def _next(self, call: _Call) -> Reply:
        """The next reply to a call, for a thread that may block."""
        replies, lead = call.replies, self._lead
        call.blocks = True  # before the lead is tried: who has it looks after giving it up
        try:
            while not replies:
                self._interrupts.checkpoint()
                if not lead.acquire(False):
                    if call.gate is None:
                        call.close_gate()
                    else:
                        _wait_for_gate(call.gate)
                    continue
                try:
                    self._read_until(replies)
                except EOFError:
                    _exit(0)
                finally:
                    lead.release()
        finally:
            call.blocks = False  # before the reply is taken: see _hand_over
            if len(self._pending) > 1:
                self._hand_over()
        return replies.popleft()

    def _read_until(self, replies: deque[Reply]) -> None:
        """Read for everybody until there are replies; the caller has the lead."""
        link = self._link
        self._sort()
        while not replies:
            link.channel.wait()
            if replies:
                return  # the run was ended: what comes is the next request
            link.fill()
            self._sort()
            if not replies:
                self._interrupts.checkpoint()

    def _hand_over(self) -> None:
        """Wake a thread that waits for its reply, to take the lead.

        In this order: a call without replies whose thread has left does not
        block any more. One that gets its reply just now gets it from a new
        leader, who will hand over in turn.
        """
        for call in list(self._pending.values()):
            if not call.replies and call.blocks:
                call.wake()
                return

    # --- calling

    def _start(self, function: int, arguments: Arguments) -> _Call:
        self._output.flush()
        call = _Call(next(self._ids) & 0xFFFFFFFF, self._link.run)
        self._pending[call.id] = call
        try:
            if type(arguments) is Parcel:
                arguments = self._load(call, arguments)
            if len(arguments) > _MOST:
                raise ValueError(f"arguments of {len(arguments)} bytes are too much for one call; the limit is {_MOST}")
            if call.run is None or not self._link.emit(b"k", _CALL(call.id, function) + arguments):
                raise _not_now()
        except BaseException:
            self._pending.pop(call.id, None)
            raise
        return call

    def _load(self, call: _Call, parcel: Parcel) -> bytes:
        """Give the host the big data of a call that is going to be made."""
        link = self._link
        if call.run is None or not link.emit(b"m", _ROOM(call.id, parcel.size)):
            raise _not_now()
        status, body, data = self._next(call)
        if status != ROOM:
            raise _exception(status, body)
        if data is not None:
            parcel.save_to(data.socket)
        else:
            for piece in parcel.pieces():
                link.emit(b"b", _DROP(call.id) + piece)
        return parcel.arguments(call.run)

    def call(self, function: int, arguments: Arguments) -> Any:
        """Call and wait for the value."""
        call = self._start(function, arguments)
        try:
            reply = self._next(call)
        finally:
            self._pending.pop(call.id, None)
        if self._interrupts.armed:
            self._interrupts.checkpoint()
        if reply[0] == VALUE:
            return _value(reply)
        raise _exception(reply[0], reply[1])

    def stream(self, function: int, arguments: Arguments) -> Iterator[Any]:
        """Call and yield the items as they come."""
        call = self._start(function, arguments)
        status = ITEM
        try:
            while True:
                reply = self._next(call)
                status = reply[0]
                if status != ITEM:
                    break
                yield _value(reply)
        finally:
            self._finish(call, status)
        if status not in (END, VALUE):
            raise _exception(status, reply[1])

    def _finish(self, call: _Call, status: int) -> None:
        self._pending.pop(call.id, None)
        if status == ITEM and call.run == self._link.run:
            self._link.emit(b"q", _DROP(call.id))

    def abandon(self) -> None:
        """End the calls of the run that is over; their threads get an error.

        To be called before the next request can come: one that reads for all must know by then that it is not for a reply.
        """
        for call in list(self._pending.values()):
            call.replies.append(_OVER)
            try:
                call.wake()
            except RuntimeError:
                pass  # its event loop is closed

    # --- calling from coroutines

    async def call_async(self, function: int, arguments: Arguments) -> Any:
        call = self._start(function, arguments)
        try:
            reply = await self._next_async(call)
        finally:
            self._forget(call)
        if reply[0] == VALUE:
            return _value(reply)
        raise _exception(reply[0], reply[1])

    async def stream_async(self, function: int, arguments: Arguments) -> AsyncIterator[Any]:
        call = self._start(function, arguments)
        status = ITEM
        try:
            while True:
                reply = await self._next_async(call)
                status = reply[0]
                if status != ITEM:
                    break
                yield _value(reply)
        finally:
            self._finish(call, status)
            self._forget(call)
        if status not in (END, VALUE):
            raise _exception(status, reply[1])

    def _forget(self, call: _Call) -> None:
        """A thread may still wait for it in the loop's stead."""
        self._pending.pop(call.id, None)
        call.replies.append(_OVER)
        call.wake()

    async def _next_async(self, call: _Call) -> Reply:
        import asyncio

        loop = asyncio.get_running_loop()
        while not call.replies:
            future = loop.create_future()

            def came() -> None:
                if not future.done():
                    future.set_result(None)

            call.wake = lambda: loop.call_soon_threadsafe(came)
            if call.replies:
                break
            watching = self._watch(loop)
            try:
                if not watching:
                    return await loop.run_in_executor(None, self._next_in_thread, call)
                await future
            finally:
                call.wake = call._open
                if watching:
                    self._unwatch(loop)
        return call.replies.popleft()

    def _next_in_thread(self, call: _Call) -> Reply:
        call.wake = call._open
        return self._next(call)

    def _watch(self, loop: Any) -> bool:
        fd = self._link.channel.fd
        if fd is None:
            return False
        count = self._loops.get(loop, 0)
        if count == 0:
            try:
                loop.add_reader(fd, self._readable)
            except NotImplementedError:
                return False
        self._loops[loop] = count + 1
        return True

    def _unwatch(self, loop: Any) -> None:
        self._loops[loop] -= 1
        if self._loops[loop] == 0:
            del self._loops[loop]
            loop.remove_reader(self._link.channel.fd)

    def _readable(self) -> None:
        """The event loop saw data; somebody who leads may be taking it already."""
        if not self._lead.acquire(False):
            return
        try:
            while self._link.fill():
                self._sort()
        except EOFError:
            _exit(0)
        finally:
            self._lead.release()
            self._hand_over()


# --- exceptions ------------------------------------------------------------


class HostError(RuntimeError):
    """A host function failed. Its subclasses carry the host's own names."""

    __module__ = "builtins"  # shown without a prefix


# Exceptions that cannot be made of a message alone.
_NEED_MORE = (UnicodeError, BUILTINS.get("BaseExceptionGroup", UnicodeError))
_errors: dict[str, type[Exception]] = {}


def _not_now() -> RuntimeError:
    return RuntimeError("host functions can be called only while a snippet runs")


def _exception(status: int, body: bytes) -> Exception:
    if status == ENDED:
        return RuntimeError("the snippet that made this call has ended")
    try:
        told = decode(body, _REPLY_SIZE)
        name, message = str(told.get("type") or ""), str(told.get("message") or "")
    except (ValueError, AttributeError):
        return HostError("the host's answer was not understood")
    return _error_class(name)(message)


def _error_class(name: str) -> type[Exception]:
    """A built-in exception of that name, else a HostError called so."""
    if found := _errors.get(name):
        return found
    builtin = BUILTINS.get(name)
    if isinstance(builtin, type) and issubclass(builtin, Exception):
        if issubclass(builtin, _NEED_MORE):
            builtin = HostError
        kind: type[Exception] = builtin
    elif name.isidentifier() and len(_errors) < 256:
        kind = type(name, (HostError,), {"__module__": "builtins"})
    else:
        kind = HostError
    _errors[name] = kind
    return kind
