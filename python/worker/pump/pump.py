"""A session's worker beside a foreign kernel, and the way to it.

A kernel elsewhere runs code when asked and returns what was printed; nothing
can call into it meanwhile. So the worker is a process of its own there, which
talks frames over a socket as it does at home, and this module, in the kernel,
carries bytes between the socket and what the host sends and is sent back: a
turn at a time, each of them answered by one printed line.
"""

import base64
import json
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import time
import zlib
from typing import Any

INLINE = 24 << 10  # most bytes in a printed answer; more go through a file
MOST = 8 << 20  # of a turn
GATHER = 0.05  # seconds that output may wait for more
URGENT = b"dklwxHq"  # frames that the host waits for
_HEAD = struct.Struct("<IB")


class Pump:
    """The worker, and its socket."""

    def __init__(self, boot: dict[str, Any], bootstrap: str, token: str) -> None:
        self._token, self._home = token, os.getcwd()
        self.work = os.path.join(self._home, "work")
        os.makedirs(self.work, exist_ok=True)
        boot["path"] = [os.path.abspath(p) for p in sys.path if p]
        boot["parent"] = os.getpid()
        body = json.dumps(boot).encode()
        self._sock, theirs = socket.socketpair()
        self._out, into = os.pipe()
        fd = str(theirs.fileno())
        try:
            self._child = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", "-X", "utf8", "-c", bootstrap, fd, fd],
                cwd=self.work, stdin=subprocess.DEVNULL, stdout=into, stderr=into,
                pass_fds=(theirs.fileno(),), start_new_session=True,
            )  # fmt: skip
        finally:
            theirs.close()
            os.close(into)
        self._sock.sendall(len(body).to_bytes(4, "little") + body)
        self._sock.setblocking(False)
        os.set_blocking(self._out, False)
        self._rest = b""  # for the worker, which does not take it at the moment
        self._told = ""  # the file of the last answer
        self._head = b""  # of the frame that comes
        self._left, self._kind = 0, 0  # of its body
        self._files = 0

    def turn(self, data: bytes, wait: float, interrupt: bool, look: bool) -> dict[str, Any]:
        """Hand data over; return what came until something urgent did, or the time was over."""
        self._forget_file()
        self._rest += data
        if interrupt and self._child.poll() is None:
            self._child.send_signal(signal.SIGINT)
        now = time.monotonic()
        end = now + wait
        came, stray = bytearray(), bytearray()
        while True:
            over, urgent = self._take(came, stray)
            now = time.monotonic()
            if over or urgent or now >= end or len(came) >= MOST:
                break
            if came or stray:
                end = min(end, now + GATHER)
            self._wait(end - now)
        answer = self._answer(bytes(came), bytes(stray), over)
        if look:
            answer["ready"] = self._ready()
        return answer

    def _wait(self, seconds: float) -> None:
        poll = select.poll()
        poll.register(self._sock, select.POLLIN | (select.POLLOUT if self._rest else 0))
        poll.register(self._out, select.POLLIN)
        poll.poll(max(0, seconds) * 1000)

    def _take(self, came: bytearray, stray: bytearray) -> tuple[bool, bool]:
        """Send and read what can be at once. Whether the worker has ended, whether the host waits for what came."""
        while self._rest:
            try:
                self._rest = self._rest[self._sock.send(self._rest) :]
            except BlockingIOError:
                break
            except OSError:
                self._rest = b""
        over = urgent = False
        while len(came) < MOST and not over:
            try:
                part = self._sock.recv(1 << 18)
            except BlockingIOError:
                break
            except OSError:
                part = b""
            over = not part
            came += part
            urgent = self._scan(part) or urgent
        while len(stray) < 1 << 16:
            try:
                part = os.read(self._out, 1 << 14)
            except OSError:  # nothing is there
                break
            if not part:
                break
            stray += part
        return over, urgent

    def _scan(self, part: bytes) -> bool:
        """Whether a frame that the host waits for ends in part."""
        at, urgent = 0, False
        while at < len(part) or (self._kind and not self._left):
            if not self._kind:
                need = _HEAD.size - len(self._head)
                self._head += part[at : at + need]
                at += need
                if len(self._head) < _HEAD.size:
                    break
                self._left, self._kind = _HEAD.unpack(self._head)
                self._head = b""
                last = self._kind == ord("g") and self._left == 8  # a run id and nothing: the end of a file
                urgent = urgent or last
            step = min(self._left, len(part) - at)
            self._left -= step
            at += step
            if self._left:
                break
            urgent = urgent or self._kind in URGENT
            self._kind = 0
        return urgent

    def _answer(self, came: bytes, stray: bytes, over: bool) -> dict[str, Any]:
        answer: dict[str, Any] = {"cpu": self._cpu(), "peak": self._peak()}
        if came:
            text = base64.b64encode(came).decode()
            if len(came) > INLINE:
                self._files += 1
                answer["file"] = self._told = name = f".strands-{self._token}-{self._files}"
                with open(os.path.join(self._home, name), "w", encoding="ascii") as f:
                    f.write(text)
            else:
                answer["data"] = text
        if stray:
            answer["stray"] = base64.b64encode(stray).decode()
        if over:
            answer["exit"] = self._exit()
        return answer

    def _cpu(self) -> float:
        """Seconds of processor time, as the kernel's clock of that process tells them."""
        try:
            return time.clock_gettime((~self._child.pid << 3) | 2)
        except OSError:
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            return used.ru_utime + used.ru_stime

    def _peak(self) -> int:
        """Bytes of memory at the peak, as far as they can be seen."""
        try:
            with open(f"/proc/{self._child.pid}/status", encoding="utf-8", errors="replace") as f:
                for line in f:
                    if line.startswith("VmHWM:"):
                        return int(line.split()[1]) << 10
        except (OSError, ValueError):
            pass
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10

    def _ready(self) -> bool:
        """Whether a thread of the worker runs or wants to."""
        tasks = f"/proc/{self._child.pid}/task"
        try:
            for task in os.listdir(tasks):
                with open(f"{tasks}/{task}/stat", encoding="utf-8", errors="replace") as f:
                    if f.read().rpartition(")")[2].split()[0] == "R":
                        return True
        except OSError:
            pass  # nothing to be seen
        return False

    def _exit(self) -> list[Any]:
        """Exit status and the signal's name."""
        try:
            code = self._child.wait(2)
        except subprocess.TimeoutExpired:
            self._child.kill()
            code = self._child.wait()
        try:
            return [code, ""] if code >= 0 else [-1, signal.Signals(-code).name]
        except ValueError:
            return [-1, f"signal {-code}"]

    def _forget_file(self) -> None:
        """The host has read the last answer, or it would not ask again."""
        if self._told:
            os.unlink(os.path.join(self._home, self._told))
            self._told = ""

    def given(self, name: str) -> bytes:
        """The bytes in a file that the host wrote."""
        path = os.path.join(self._home, name)
        with open(path, encoding="ascii") as f:
            data = base64.b64decode(f.read())
        os.unlink(path)
        return data

    def tell(self, answer: dict[str, Any]) -> None:
        print(self._token + json.dumps(answer), flush=True)


_pump: Any = None


def start(packed: str, token: str) -> None:
    """Start the worker that packed describes."""
    global _pump
    given = json.loads(zlib.decompress(base64.b64decode(packed)))
    _pump = Pump(given["boot"], given["bootstrap"], token)
    _pump.tell({"work": _pump.work})


def turn(data: str = "", wait: float = 0.0, interrupt: bool = False, look: bool = False, file: str = "") -> None:
    """A turn. What is for the worker is in data, or in a file."""
    given = _pump.given(file) if file else base64.b64decode(data)
    _pump.tell(_pump.turn(given, wait, interrupt, look))
