"""A host for one worker process, as the Go side is one, for tests."""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent

STUB = """
import json, sys, types
boot = json.load(open(sys.argv[1]))
for name, source in boot:
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, f"<{name}>", "exec", dont_inherit=True), module.__dict__)
def main():
    serve = sys.modules["strands_worker.main"].serve
    sys.argv[:] = [""]
    fds = [int(a) for a in %r.split()]
    serve(*fds)
main()
"""


def modules():
    """The worker's modules in the order of worker.go."""
    order = re.search(r"var order = \[\]string\{(.*?)\}", (FOLDER / "worker.go").read_text(), re.S)
    names = re.findall(r'"(\w+)"', order.group(1))
    return [("strands_worker", "")] + [
        (f"strands_worker.{name}", (FOLDER / f"{name}.py").read_text()) for name in names
    ]


class Result:
    def __init__(self):
        self.stdout = self.stderr = ""
        self.value = None
        self.pictures, self.files, self.frames = [], [], []
        self.done = None

    @property
    def error(self):
        return self.done["error"]


class Lost(Exception):
    """The worker has ended."""


class Host:
    """Starts a worker and talks to it. functions: id -> callable(arguments)."""

    def __init__(self, functions=None, pipes=False, before="", **config):
        self.functions = functions or {}
        self.dir = tempfile.TemporaryDirectory()
        boot = os.path.join(self.dir.name, "boot.json")
        self.work = os.path.join(self.dir.name, "work")
        os.mkdir(self.work)
        Path(boot).write_text(json.dumps(modules()))
        if pipes:
            (their_in, our_out), (our_in, their_out) = os.pipe(), os.pipe()
            self.write, self.read_some = lambda b: os.write(our_out, b), lambda n: os.read(our_in, n)
            self.ours, theirs, fds = (our_in, our_out), (their_in, their_out), f"{their_in} {their_out}"
        else:
            ours, theirs_socket = socket.socketpair()
            ours.settimeout(300)
            self.write, self.read_some = ours.sendall, ours.recv
            self.ours, theirs, fds = (ours,), (theirs_socket.fileno(),), str(theirs_socket.fileno())
        self.output = open(os.path.join(self.dir.name, "output"), "w+b")
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", "-X", "utf8", "-c", before + STUB % fds, boot],
            pass_fds=theirs, stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output, cwd=self.work,
        )  # fmt: skip
        if pipes:
            for fd in theirs:
                os.close(fd)
        else:
            theirs_socket.close()
        self.config = {"version": 1, "guard": False, "libraries": [], "figures": True, "output_limit": 65536,
                       "value_limit": 65536, "spool_limit": 1 << 24, "workdir": self.work} | config  # fmt: skip
        self.send_lock = threading.Lock()
        self.cancelled, self.ended = [], []
        self.send(b"C", json.dumps(self.config).encode())
        kind, body = self.receive()
        assert kind == b"H", (kind, body)
        self.ready = json.loads(body)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self, patience=60):
        for end in self.ours:
            os.close(end) if isinstance(end, int) else end.close()
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.output.close()
        self.dir.cleanup()
        return code

    def native_output(self):
        self.output.seek(0)
        return self.output.read().decode(errors="replace")

    def send(self, kind, body):
        with self.send_lock:
            try:
                self.write(struct.pack("<IB", len(body), kind[0]) + body)
            except OSError as e:
                raise Lost(self.native_output()) from e

    def _exactly(self, n):
        data = b""
        while len(data) < n:
            try:
                part = self.read_some(n - len(data))
            except ConnectionResetError:
                part = b""
            if not part:
                raise Lost(self.native_output())
            data += part
        return data

    def receive(self):
        size, kind = struct.unpack("<IB", self._exactly(5))
        return bytes([kind]), self._exactly(size)

    def request(self, kind, body):
        run = os.urandom(8)
        self.send(kind, run + body)
        return run

    def run(self, code, interrupts=(), on_frame=None, patience=60):
        """Run a snippet; interrupts are seconds after which SIGINT is sent, then patience to killing."""
        run = self.request(b"E", code.encode("utf-8", "surrogatepass"))
        result = Result()
        out, err = [], []
        over = threading.Event()

        def interrupt():
            for delay in interrupts:
                left, had = 20, self._had()
                while left:  # in slices, of which those count in which the worker had its turn
                    if over.wait(delay / 20):
                        return
                    before, had = had, self._had()
                    left -= had != before or not self._wants()
                self.process.send_signal(signal.SIGINT)
            if interrupts and not over.wait(patience):
                self.process.kill()  # as a driver would

        timer = threading.Thread(target=interrupt)
        timer.start()
        answering = []
        try:
            while True:
                kind, body = self.receive()
                assert body[:8] == run, "a frame of another run"
                body = body[8:]
                result.frames.append((kind, body))
                if on_frame:
                    on_frame(kind, body)
                if kind == b"o":
                    out.append(body.decode("utf-8"))
                elif kind == b"e":
                    err.append(body.decode("utf-8"))
                elif kind == b"v":
                    result.value = body.decode("utf-8")
                elif kind == b"p":
                    result.pictures.append(body)
                elif kind == b"f":
                    result.files.append(json.loads(body))
                elif kind == b"k":
                    thread = threading.Thread(target=self._answer, args=(run, body))
                    thread.start()
                    answering.append(thread)
                elif kind == b"q":
                    self.cancelled.append(struct.unpack("<I", body)[0])
                elif kind == b"d":
                    result.done = json.loads(body)
                    break
                else:
                    raise AssertionError(f"unexpected frame {kind}")
        finally:
            over.set()
            self.ended.append(run)
            timer.join()
        for thread in answering:
            thread.join()
        result.stdout, result.stderr = "".join(out), "".join(err)
        return result

    def between_runs(self, go, went):
        """Make the folder go, for which a thread of the code waits, and wait for what it makes then."""
        os.mkdir(os.path.join(self.work, go))
        end = time.monotonic() + 60
        while not os.path.exists(os.path.join(self.work, went)):
            assert time.monotonic() < end, "the thread does not go on"
            time.sleep(0.01)

    def _had(self):
        """The processor time of the worker's main thread, as the kernel counts it."""
        with open(f"/proc/{self.process.pid}/schedstat") as f:
            return f.read().split()[0]

    def _wants(self):
        """Whether the main thread waits for the processor, or the disk."""
        with open(f"/proc/{self.process.pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] in "RD"

    def reply(self, run, call, status, value):
        self.send(b"R", run + struct.pack("<IB", call, status) + json.dumps(value).encode())

    def _answer(self, run, body):
        call, function = struct.unpack_from("<II", body)
        try:
            value = self.functions[function](json.loads(body[8:]))
            if hasattr(value, "__next__"):
                for item in value:
                    if call in self.cancelled or run in self.ended:
                        return
                    self.reply(run, call, 2, item)
                self.reply(run, call, 3, None)
                return
            if value is not NO_ANSWER:
                self.reply(run, call, 0, value)
        except Lost:
            pass
        except Exception as e:
            self.reply(run, call, 1, {"type": type(e).__name__, "message": str(e)})


NO_ANSWER = object()


def function(ident, name, *params, returns="", doc="", stream=False):
    """A description; a param is "name: annotation" or "name: annotation = JSON"."""
    described = []
    for p in params:
        left, has_default, default = p.partition(" = ")
        pname, _, annotation = left.partition(": ")
        described.append({"name": pname, "annotation": annotation, "required": not has_default,
                          "default": json.loads(default) if has_default else None})  # fmt: skip
    return {"id": ident, "name": name, "doc": doc, "returns": returns, "stream": stream, "params": described}


class Case(unittest.TestCase):
    """A test with a worker of its own; config and functions are the class's."""

    config: dict = {}
    functions: dict = {}

    def setUp(self):
        self.host = Host(functions=self.functions, **self.config)
        self.addCleanup(self.host.close)

    def good(self, code, **how):
        """Run code that must not fail."""
        result = self.host.run(code, **how)
        self.assertIsNone(result.error, result.error and result.error["traceback"])
        return result

    def bad(self, code, kind, **how):
        """Run code that must fail with an exception of that type."""
        result = self.host.run(code, **how)
        self.assertIsNotNone(result.error, "it ran without an error")
        self.assertEqual(result.error["type"], kind, result.error["traceback"])
        return result

    def kept(self):
        """The state set by keep() is there, and the next run is right."""
        result = self.good("print('out'); kept + 1")
        self.assertEqual((result.stdout, result.value), ("out\n", "42"))

    def keep(self):
        self.good("kept = 41")
