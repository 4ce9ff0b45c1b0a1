"""What a code interpreter session can do beside running Python.

The server imports this module into each session, as _codeinterpreter, and
calls it by snippets. What goes back is printed: JSON, or the output of a
program followed by SystemExit with its status.
"""

from __future__ import annotations

import codecs
import json
import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from typing import Any

__all__: list[str] = []

_HOME = os.getcwd()  # the working directory, wherever the code goes later
_LINGER = 0.5  # seconds to wait for output after a program has ended
_KEPT = 1 << 20  # bytes shown of each stream of a task
_TASKS = 64  # kept at once


def clear() -> None:
    """Forget what the code has defined; files stay."""
    names = sys.modules["__main__"].__dict__
    for name in [n for n in names if not (n.startswith("__") and n.endswith("__"))]:
        del names[name]


# --- files


def listing(path: str) -> None:
    """Print the entries of a directory, hidden ones too, one level deep."""
    found: list[dict[str, Any]] = []
    try:
        at = _open_directory(path)
        try:
            for name in sorted(os.listdir(at)):
                try:
                    info = os.stat(name, dir_fd=at, follow_symlinks=False)
                except FileNotFoundError:
                    continue  # a task has just removed it
                directory = stat.S_ISDIR(info.st_mode)
                if directory or stat.S_ISREG(info.st_mode):
                    name = f"{path}/{name}" if path else name
                    found.append({"name": name, "directory": directory, "size": 0 if directory else info.st_size})
        finally:
            os.close(at)
    except OSError as e:
        _fail(f"{path or '.'}: {e.strerror}")
    _answer(found)


def remove(paths: list[str]) -> None:
    """Remove files and directories; says which ones could not be, and removes the others."""
    failed: list[str] = []
    for path in paths:
        parent, _, name = path.rpartition("/")
        try:
            at = _open_directory(parent)
            try:
                if stat.S_ISDIR(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode):
                    shutil.rmtree(name, dir_fd=at) if sys.version_info >= (3, 11) else shutil.rmtree(f"{_HOME}/{path}")
                else:
                    os.unlink(name, dir_fd=at)
            finally:
                os.close(at)
        except OSError as e:
            failed.append(f"{path}: {e.strerror}")
    _answer(failed)


def _open_directory(path: str) -> int:
    """A directory below the working directory, reached through no link."""
    at = os.open(_HOME, os.O_RDONLY | os.O_DIRECTORY)
    for part in filter(None, path.split("/")):
        try:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
        finally:
            os.close(at)
        at = below
    return at


# --- programs


def command(line: str) -> None:
    """Run a line in a fresh shell and pass on what it prints, and its status."""
    with _shell(line, subprocess.PIPE, subprocess.PIPE) as p:
        try:
            _pass_on(p)
            status = p.wait()
        except BaseException:
            _kill(p)
            raise
    raise SystemExit(status if status >= 0 else 128 - status)


def _shell(line: str, out: Any, err: Any) -> subprocess.Popen[bytes]:
    shell = "/bin/bash" if os.path.exists("/bin/bash") else "/bin/sh"
    return subprocess.Popen(
        [shell, "-c", line], cwd=_HOME, env=_environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=err,
        start_new_session=True,
    )  # fmt: skip


def _environment() -> dict[str, str]:
    """That of the session, with its own Python first and what that can import."""
    env = dict(os.environ)
    env["PATH"] = f"{os.path.dirname(sys.executable)}:/usr/local/bin:/usr/bin:/bin"
    env["PYTHONPATH"] = ":".join(p for p in sys.path if p.endswith("-packages"))
    env["HOME"] = _HOME
    return env


def _pass_on(p: subprocess.Popen[bytes]) -> None:
    """Copy both streams until they end, or the program has and nothing more comes."""
    assert p.stdout is not None and p.stderr is not None
    decoder = codecs.getincrementaldecoder("utf-8")
    streams = {p.stdout.fileno(): (sys.stdout, decoder("replace")), p.stderr.fileno(): (sys.stderr, decoder("replace"))}
    ended = 0.0
    while streams:
        ready, _, _ = select.select(list(streams), [], [], _LINGER / 5)
        for fd in ready:
            data = os.read(fd, 1 << 16)
            front, words = streams[fd]
            front.write(words.decode(data, final=not data))
            if not data:
                del streams[fd]
        if not ready and p.poll() is not None:
            ended = ended or time.monotonic()
            if time.monotonic() - ended > _LINGER:
                return  # something in the background holds on to them


def _kill(p: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(p.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    p.wait()


# --- tasks: commands in the background


class _Task:
    def __init__(self, line: str) -> None:
        self.out, self.err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        self.begun = time.monotonic()
        self.seconds = 0.0
        self.canceled = False
        self.process = _shell(line, self.out, self.err)

    def status(self) -> str:
        code = self.process.poll()
        if code is None:
            return "working"
        self.seconds = self.seconds or time.monotonic() - self.begun
        if self.canceled:
            return "canceled"
        return "completed" if code == 0 else "failed"

    def stop(self) -> None:
        if self.process.poll() is None:
            self.canceled = True
            _kill(self.process)

    def close(self) -> None:
        self.out.close()
        self.err.close()

    def tell(self) -> dict[str, Any]:
        status = self.status()
        code = self.process.returncode
        return {
            "status": status,
            "stdout": _ends(self.out),
            "stderr": _ends(self.err),
            "exitCode": None if code is None else code if code >= 0 else 128 - code,
            "seconds": self.seconds or time.monotonic() - self.begun,
        }


_tasks: dict[str, _Task] = {}


def start(name: str, line: str) -> None:
    """Start a line in the background."""
    if len(_tasks) >= _TASKS:
        for old in [n for n, t in _tasks.items() if t.status() != "working"]:
            _tasks.pop(old).close()
    if len(_tasks) >= _TASKS:
        _fail(f"{_TASKS} tasks are running; stop one")
    _tasks[name] = _Task(line)
    _answer(_tasks[name].tell())


def task(name: str, stop: bool) -> None:
    """Tell of a task, after stopping it if that is wanted."""
    found = _tasks.get(name)
    if found is None:
        _fail(f"there is no task {name}")
    if stop:
        found.stop()
    _answer(found.tell())


def _ends(file: Any) -> str:
    """The text of a file, without the middle when it is long."""
    size = os.fstat(file.fileno()).st_size
    if size <= _KEPT:
        return os.pread(file.fileno(), _KEPT, 0).decode("utf-8", "replace")
    half = _KEPT // 2
    head, tail = os.pread(file.fileno(), half, 0), os.pread(file.fileno(), half, size - half)
    return f"{head.decode('utf-8', 'replace')}\n[... {size - 2 * half} bytes left out ...]\n{tail.decode('utf-8', 'replace')}"


# --- JavaScript, in a process that is kept


class _Scripts:
    def __init__(self, argv: list[str]) -> None:
        self.process = subprocess.Popen(
            argv, cwd=_HOME, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        self.rest = b""

    def run(self, request: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(request.encode() + b"\n")
        self.process.stdin.flush()
        try:
            return self.reply(None)
        except KeyboardInterrupt:
            # Its state lasts if it stops when told to.
            self.process.send_signal(signal.SIGINT)
            try:
                self.reply(0.3)
            except (EOFError, TimeoutError):
                _kill(self.process)
            raise

    def reply(self, patience: float | None) -> dict[str, Any]:
        assert self.process.stdout is not None
        fd = self.process.stdout.fileno()
        while b"\n" not in self.rest:
            if not select.select([fd], [], [], patience)[0]:
                raise TimeoutError
            data = os.read(fd, 1 << 20)
            if not data:
                raise EOFError
            self.rest += data
        line, _, self.rest = self.rest.partition(b"\n")
        reply: dict[str, Any] = json.loads(line)
        return reply


_scripts: _Scripts | None = None


def script(argv: list[str], request: str) -> None:
    """Run a script in the session's JavaScript process."""
    global _scripts
    if _scripts is None or _scripts.process.poll() is not None:
        _scripts = _Scripts(argv)
    try:
        reply = _scripts.run(request)
    except (EOFError, BrokenPipeError):
        with _scripts.process as ended:
            status = ended.wait()
        _scripts = None
        sys.stderr.write(f"JavaScript ended ({_ending(status)}): its variables are gone, Python's are not.\n")
        raise SystemExit(1) from None
    sys.stdout.write(reply["stdout"])
    sys.stderr.write(reply["stderr"])
    raise SystemExit(reply["exitCode"])


def _ending(status: int) -> str:
    if status >= 0:
        return f"exit status {status}; perhaps the memory limit"
    return signal.Signals(-status).name


# --- answers


def _answer(value: Any) -> None:
    sys.stdout.write(json.dumps(value))


def _fail(message: str) -> Any:
    sys.stderr.write(message)
    raise SystemExit(1)
