"""The worker's entry: configure, ready, then requests until the channel ends."""

from strands_worker.private import BUILTINS as __builtins__
from strands_worker.private import own

import faulthandler
import gc
import os
import struct
import sys
from typing import Any

from strands_worker import cells, figures, fixed, forks, functions, leftovers, modules
from strands_worker.bulk import HAS_ARROW, table_of
from strands_worker.files import Folder
from strands_worker.frames import Link, open_channel
from strands_worker.guard import Guard
from strands_worker.hostcalls import Calls
from strands_worker.streams import STDERR, STDOUT, Fronts, Output, cut_at
from strands_worker.values import TAGS, decode, encode

gc, os = own(gc), own(os)
TAGS["$table"] = table_of

VERSION = 1
_RUN = 8
_PIECE = 1 << 20
_DONE = encode(
    {"error": None, "interrupted": False, "stdout_cut": 0, "stderr_cut": 0, "full_output": "", "warnings": []}
)
_NAME_SIZE = struct.Struct("<BH")
_MODULES = [name for name in sys.modules if name.partition(".")[0] == "strands_worker"]  # this one is the last
_recursion_limit = sys.getrecursionlimit()
_set_recursion_limit = sys.setrecursionlimit
_exit = os._exit
_get_recursion_limit = sys.getrecursionlimit


def _trace_crashes() -> None:
    """A crash's last words are the lines of Python. Those of C, from 3.14 on, are many and say nothing to a model."""
    try:
        faulthandler.enable(2, all_threads=True, **({"c_stack": False} if sys.version_info >= (3, 14) else {}))
    except (OSError, RuntimeError, ValueError):
        pass  # no descriptor 2: crashes are told by their signal alone


def serve(fd_in: int, fd_out: int | None = None) -> None:
    """Answer the host on a stream socket, or a pair of pipes, until it is gone."""
    _trace_crashes()
    link = Link(open_channel(fd_in, fd_out))
    try:
        while not (frame := link.take()):
            link.channel.wait()
            link.fill()
    except EOFError:
        return
    if frame[0] != ord("C"):
        raise RuntimeError("the first frame must be the configuration")
    _Session(link, decode(frame[1]), fd_in).serve()
    _exit(0)  # the interpreter's own end would run the model's finalizers, which may have none


class _Session:
    """The state of a session."""

    def __init__(self, link: Link, config: dict[str, Any], fd: int) -> None:
        self._link, self._config = link, config
        self._workdir = config.get("workdir") or os.getcwd()
        os.chdir(self._workdir)
        self._guard = Guard(bool(config.get("guard")), config.get("libraries") or ())
        self._interrupts = self._guard.interrupts
        self._output = Output(
            link, _number(config, "output_limit", 1 << 16), _number(config, "spool_limit", 16 << 20), self._workdir
        )
        self._fronts = Fronts(self._output, self._interrupts)
        self._calls = Calls(link, self._interrupts, self._output)
        self._sources = cells.Sources()
        self._cells = cells.Cells(self._guard, self._sources)
        self._folder = Folder(self._workdir, _number(config, "file_limit", 0))
        self._descriptors = leftovers.Descriptors(fd)
        self._figures = bool(config.get("figures"))
        if self._figures:
            os.environ.setdefault("MPLBACKEND", "Agg")
        self._value_limit = min(_number(config, "value_limit", 1 << 16), (1 << 20) - 4096)
        self._initialized = False
        self._ballast = leftovers.Ballast()
        self._handlers = {
            ord("E"): self._exec, ord("L"): self._list, ord("G"): self._read, ord("W"): self._write,
            ord("F"): self._fork, ord("N"): self._news,
        }  # fmt: skip

    def serve(self) -> None:
        self._hello()
        # The model has no business here, and pickling finds nothing of ours.
        for name in _MODULES:
            sys.modules.pop(name, None)
        while True:
            try:
                kind, body = self._calls.next_request()
            except EOFError:
                return
            handler = self._handlers.get(kind)
            if handler is None:
                raise RuntimeError(f"a frame of unknown type {kind}")
            handler(body[:_RUN], body[_RUN:])

    def _hello(self) -> None:
        version = ".".join(map(str, sys.version_info[:3]))
        self._link.send(b"H", encode({"version": VERSION, "pid": os.getpid(), "python": version, "arrow": HAS_ARROW}))

    # --- running code

    def _exec(self, run: bytes, source: bytes) -> None:
        try:
            self._begin(run)
        except MemoryError:
            self._ballast.give()
            self._begin(run)
        error: BaseException | None = None
        value: Any = cells.NOTHING
        shown = ""
        stage = "run" if self._initialized else "initialization"
        try:
            if not self._initialized:
                self._initialize()
                stage = "run"
            value = self._cells.run(str(source, "utf-8", "replace"))
            if value is not None and value is not cells.NOTHING:
                shown = self._cells.show(value)
        except BaseException as e:  # whatever the model's code raises, the session goes on
            error = e
        self._interrupts.calm()
        value = None
        if issubclass(type(error), MemoryError):  # isinstance would ask the model's object
            self._ballast.give()
        try:
            if self._interrupts.raised:
                self._cells.forget_halves()
            body = self._end(error, stage, shown)
        except MemoryError:
            error = None
            self._ballast.give()
            gc.collect()
            body = self._end(MemoryError(), stage, "")
        self._interrupts.end()
        self._link.finish(b"d", body, self._calls.abandon)

    def _begin(self, run: bytes) -> None:
        """Put back what the model may have changed; may be done twice."""
        self._ballast.take()
        if _get_recursion_limit() < _recursion_limit:
            _set_recursion_limit(_recursion_limit)
        self._fronts.restore()
        self._cells.restore()
        self._descriptors.begin()
        self._interrupts.begin()
        self._link.run = run
        self._output.begin()

    def _initialize(self) -> None:
        """The names that the program offers, and its initialization code."""
        config, guard, names = self._config, self._guard, self._cells.names
        if draws := config.get("fixed"):
            fixed.install(draws["seed"], draws["time"])
        guard.record(True)
        try:
            offered, importable = functions.install(config.get("namespaces") or [], self._calls)
            names.update(offered)
            for name in importable + [m["name"] for m in config.get("modules") or []]:
                guard.allowed.add(name)
            if config.get("modules"):
                names.update(modules.install(config["modules"], self._sources))
            for number, code in enumerate(config.get("init") or [], 1):
                self._cells.run_as(f"<init {number}>", code)
        finally:
            guard.record(False)
        self._initialized = True

    def _end(self, error: BaseException | None, stage: str, shown: str) -> bytes:
        """Send what a run leaves behind; returns the body of the last frame."""
        emit = self._link.emit
        report = None if error is None else self._report(error, stage)
        if self._figures:
            warnings = figures.collect(lambda png: emit(b"p", png))
        else:
            warnings = []
        # First, because looking at files needs descriptors.
        warnings += self._descriptors.end(self._cells.names)
        warnings += leftovers.threads(self._output.own_threads())
        if pending := self._cells.loop.pending():
            warnings.append(f"{pending} asyncio tasks are pending; they go on at the next await")
        warnings += self._output.end()
        if shown:
            emit(b"v", _bounded(shown, self._value_limit))
        for entry in self._folder.changed():
            emit(b"f", encode(entry))
        interrupted = self._interrupts.raised
        out, err = self._output.cut(STDOUT), self._output.cut(STDERR)
        spool = self._output.spool_name()
        if report is None and not (warnings or interrupted or out or err or spool):
            return _DONE
        return encode(
            {
                "error": report,
                "interrupted": interrupted,
                "stdout_cut": out,
                "stderr_cut": err,
                "full_output": spool,
                "warnings": warnings,
            }
        )

    def _report(self, error: BaseException, stage: str) -> dict[str, str]:
        told = cells.Report(error, self._sources)
        if hint := told.hint(self._workdir):
            told.message = f"{told.message} ({hint})" if told.message else hint
        return {"type": told.type, "message": told.message, "traceback": told.traceback, "stage": stage}

    # --- forks

    def _fork(self, run: bytes, _: bytes) -> None:
        try:
            copy = forks.fork(self._cells)
        except forks.Refusal as e:
            self._link.send(b"t", run + encode({"refused": e.body, "idle": []}))
            return
        if copy:
            self._hello()
        else:
            self._link.send(b"t", run + encode({"refused": None, "idle": forks.idle()}))

    def _news(self, run: bytes, _: bytes) -> None:
        self._link.send(b"n", run + encode(forks.news(self._folder)))

    # --- files

    def _list(self, run: bytes, body: bytes) -> None:
        self._link.send(b"l", run + encode(_fitting(self._folder.entries())))

    def _read(self, run: bytes, body: bytes) -> None:
        try:
            for piece in self._folder.read(str(body, "utf-8"), _PIECE - _RUN):
                self._link.send(b"g", run + piece)
        except (OSError, ValueError) as e:
            self._fail(run, e)
        else:
            self._link.send(b"g", run)

    def _write(self, run: bytes, body: bytes) -> None:
        place, size = _NAME_SIZE.unpack_from(body)
        end = _NAME_SIZE.size + size
        try:
            name = str(body[_NAME_SIZE.size : end], "utf-8")
            self._folder.write(name, bool(place & 1), bool(place & 2), body[end:])
        except (OSError, ValueError) as e:
            self._fail(run, e)
        else:
            self._link.send(b"w", run)

    def _fail(self, run: bytes, error: Exception) -> None:
        message = getattr(error, "strerror", None) or str(error)
        self._link.send(b"x", run + encode({"message": message[:2000]}))


def _number(config: dict[str, Any], name: str, default: int) -> int:
    value = config.get(name)
    return default if value is None else max(0, int(value))


def _bounded(text: str, limit: int) -> bytes:
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= limit:
        return data
    head = cut_at(data, limit // 2)
    tail = cut_at(data, len(data) - (limit - limit // 2))
    note = f"\n[... {tail - head} bytes left out ...]\n".encode()
    return data[:head] + note + data[tail:]


def _fitting(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As many as one frame holds."""
    size = 0
    for i, entry in enumerate(entries):
        size += len(encode(entry)) + 1
        if size > _PIECE - 1024:
            return entries[:i]
    return entries
