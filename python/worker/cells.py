"""Snippets: compiled, run in __main__, and told about when they fail."""

from strands_worker.private import BUILTINS as __builtins__

import _ast
import linecache
import sys
import traceback
import types
from typing import Any, Callable, Coroutine

from strands_worker import limits
from strands_worker.guard import Guard

_AST = 0x400  # PyCF_ONLY_AST
_AWAIT = 0x2000  # PyCF_ALLOW_TOP_LEVEL_AWAIT
_COROUTINE = 0x80  # CO_COROUTINE
_compile = compile
_eval = eval
_Expr = _ast.Expr
_Expression = _ast.Expression
_modules = sys.modules
_settrace = sys.settrace
_setprofile = sys.setprofile
_lines = linecache.cache
_TracebackException = traceback.TracebackException
# Not kind.__qualname__: a metaclass of the model's may answer that.
_qualname = type.__dict__["__qualname__"].__get__
_module = type.__dict__["__module__"].__get__
NOTHING: Any = object()


class Sources:
    """The text of everything the model or the program wrote, for tracebacks."""

    _CELLS = 2000  # of the oldest the text is forgotten

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}

    def add(self, name: str, source: str) -> None:
        entry = (len(source), None, source.splitlines(True), name)
        self._known[name] = _lines[name] = entry
        if len(self._known) > self._CELLS:
            oldest = next(iter(self._known))
            del self._known[oldest]
            _lines.pop(oldest, None)

    def __contains__(self, name: str) -> bool:
        return name in self._known or name == "<string>"

    def put_back(self) -> None:
        """linecache may have been cleared."""
        _lines.update(self._known)

    def line(self, name: str, number: int) -> str:
        lines = self._known.get(name, (0, None, ()))[2]
        return lines[number - 1].strip() if 0 < number <= len(lines) else ""


class Cells:
    """The module __main__ and what runs in it."""

    def __init__(self, guard: Guard, sources: Sources) -> None:
        self._guard, self._sources = guard, sources
        self._count = 0
        self._first_main = _modules.get("__main__")  # kept: its functions are on the stack
        self.main = types.ModuleType("__main__")
        self.names = self.main.__dict__
        self._snapshot: dict[str, Any] = {}
        self.loop = _Loop()

    def restore(self) -> None:
        """Make __main__ what Python takes it for."""
        self.names["__builtins__"] = self._guard.builtins
        if _modules.get("__main__") is not self.main:
            if "builtins" not in _modules:
                for name, module in self._snapshot.items():
                    _modules.setdefault(name, module)
            _modules["__main__"] = self.main
        if not self._snapshot:
            self._snapshot = dict(_modules)

    def forget_halves(self) -> None:
        """After an interrupt: drop the parts of packages whose import it ended.

        Python forgets a module whose import failed, but not the modules below
        it, and with those the next import would make a broken package.
        """
        for name in list(_modules):
            parent = name.rpartition(".")[0]
            while parent:
                if parent not in _modules:
                    _modules.pop(name, None)
                    break
                parent = parent.rpartition(".")[0]

    def run(self, source: str) -> Any:
        """Run the next cell; returns the value of its last expression or NOTHING."""
        self._count += 1
        return self.run_as(f"<cell {self._count}>", source)

    def run_as(self, name: str, source: str) -> Any:
        self._sources.add(name, source)
        tree = _compile(source, name, "exec", _AST | _AWAIT, True)
        self._guard.check(source, tree)
        body = tree.body
        last = None
        if body and type(body[-1]) is _Expr:
            last = _compile(_Expression(body.pop().value), name, "eval", _AWAIT, True)
        if body:
            self._execute(_compile(tree, name, "exec", _AWAIT, True))
        return NOTHING if last is None else self._execute(last)

    def _execute(self, code: types.CodeType) -> Any:
        try:
            result = _eval(code, self.names)
            if code.co_flags & _COROUTINE:
                return self.loop.run(result)
            return result
        finally:
            # Here, not in a function of its own: the model's trace function
            # would be called with it. One that raises is unset by that.
            try:
                _setprofile(None)
            except BaseException:
                _setprofile(None)
            _settrace(None)

    def show(self, value: Any) -> str:
        """repr, and the value becomes _, as in an interactive interpreter."""
        self._guard.builtins["_"] = value
        return repr(value)


class _Loop:
    """The event loop of top-level await; tasks live on from cell to cell."""

    def __init__(self) -> None:
        self._loop: Any = None
        self._asyncio: Any = None  # the module, which may be imported anew

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        import asyncio

        loop = self._loop
        if loop is None or asyncio is not self._asyncio or loop.is_closed() or loop.is_running():
            loop = self._loop = asyncio.new_event_loop()
            self._asyncio = asyncio
        asyncio.set_event_loop(loop)
        task = loop.create_task(coroutine)
        try:
            return loop.run_until_complete(task)
        except BaseException:
            if not task.done():  # interrupted: let the code's finally blocks run
                task.cancel()
                loop.run_until_complete(asyncio.wait([task]))
            raise

    def pending(self) -> int:
        """Tasks that have not ended."""
        return len(self.tasks())

    def tasks(self) -> list[Any]:
        if self._loop is None or self._loop.is_closed():
            return []
        return list(self._asyncio.all_tasks(self._loop))

    def retire_threads(self) -> None:
        """End the threads of to_thread and run_in_executor, which stay for ever otherwise; new ones are made on demand."""
        executor = getattr(self._loop, "_default_executor", None)
        if executor is not None:
            self._loop._default_executor = None
            executor.shutdown(wait=False)

    def separate(self) -> None:
        """In a fork: an epoll and a wake-up pipe of its own, in place of those that are its origin's too."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        try:
            loop._selector = type(loop._selector)()
            loop._make_self_pipe()
        except BaseException:
            self._left = loop  # kept: it would take itself out of its origin's epoll
            self._loop = None


class Report:
    """An exception in words, of which each may be the model's code failing."""

    def __init__(self, error: BaseException, sources: Sources) -> None:
        self._error, self._sources = error, sources
        self.type = _careful(self._type, "Exception")
        message = _careful(lambda: _text(str(error)), None)
        self.message = message or ""
        # A __str__ that failed once is not asked again: it may take for ever.
        self.traceback = "" if message is None else _careful(self._traceback, "")
        if not self.traceback:
            self.traceback = _careful(self._short_traceback, self.type)

    def hint(self, workdir: str) -> str:
        """Which limit the exception is about, if it is about one."""
        return _careful(lambda: limits.hint(self._error, self._place(), workdir), "")

    def _place(self) -> tuple[set[str], str]:
        """The files that it came through, and the model's innermost line."""
        entry, files, line = self._error.__traceback__, set(), ""
        while entry is not None:
            name = entry.tb_frame.f_code.co_filename
            files.add(name.replace("\\", "/").rpartition("/")[2])
            if name in self._sources:
                line = self._sources.line(name, entry.tb_lineno)
            entry = entry.tb_next
        return files, line

    def _type(self) -> str:
        kind = type(self._error)
        name, module = _qualname(kind), _module(kind)
        return _text(name if module in ("builtins", "__main__") else f"{module}.{name}", 200)

    def _traceback(self) -> str:
        error = self._error
        self._sources.put_back()
        told = _TracebackException(type(error), error, error.__traceback__, compact=True)
        self._own_frames(told, set())
        return _text("".join(told.format()))

    def _own_frames(self, told: Any, seen: set[int]) -> None:
        """Leave out the frames of libraries, and ours."""
        if told is None or id(told) in seen:
            return
        seen.add(id(told))
        told.stack[:] = [f for f in told.stack if f.filename in self._sources]
        for other in (told.__cause__, told.__context__, *(getattr(told, "exceptions", None) or ())):
            self._own_frames(other, seen)

    def _short_traceback(self) -> str:
        """Without the library: it or a name that it uses may be broken."""
        told = ["Traceback (most recent call last):\n"]
        entry = self._error.__traceback__
        while entry is not None:
            name, number = entry.tb_frame.f_code.co_filename, entry.tb_lineno
            if name in self._sources:
                told.append(f'  File "{name}", line {number}, in {entry.tb_frame.f_code.co_name}\n')
                if line := self._sources.line(name, number):
                    told.append(f"    {line}\n")
            entry = entry.tb_next
        told.append(f"{self.type}: {self.message}\n" if self.message else f"{self.type}\n")
        return _text("".join(told))


def _careful(make: Callable[[], Any], otherwise: Any) -> Any:
    try:
        made = make()
    except BaseException:
        return otherwise
    return made if type(made) is str else otherwise


def _text(text: str, limit: int = 1 << 15) -> str:
    """Bounded: an exception may carry a book."""
    if len(text) <= limit:
        return str.__str__(text)
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - limit} characters left out ...]\n{text[-half:]}"
