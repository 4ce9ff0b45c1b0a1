"""The import allow-list for the model's own code.

Guidance, not a wall: it keeps a well-meaning model on the libraries that are
offered and says which they are. What must not happen is stopped by the kernel.
"""

from strands_worker.private import BUILTINS as __builtins__
from strands_worker.private import BUILTINS

import _ast
import builtins
import sys
from types import ModuleType
from typing import Any, Callable, Iterable, Iterator

from strands_worker.interrupts import Interrupts

try:
    import _sitebuiltins  # here, where it is done once for all sessions
except ImportError:
    _sitebuiltins = None  # type: ignore[assignment]

_import = BUILTINS["__import__"]
_modules = sys.modules
_FUNCTIONS = ("__import__", "import_module")


class Allowed:
    """Import patterns: "a.b" is that module, "a.b.*" it and all below, "*" all."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._exact: set[str] = set()
        self._below: set[str] = set()
        self._all = False
        for pattern in patterns:
            self.add(pattern)

    def add(self, pattern: str) -> None:
        if pattern == "*":
            self._all = True
        elif pattern.endswith(".*"):
            self._below.add(pattern[:-2])
        else:
            self._exact.add(pattern)

    def __contains__(self, name: str) -> bool:
        if self._all or name in self._exact:
            return True
        while name:
            if name in self._below:
                return True
            name = name.rpartition(".")[0]
        return False

    def __str__(self) -> str:
        names = sorted(self._exact - self._below) + [name + ".*" for name in self._below]
        return ", ".join(sorted(names)) or "nothing"


class Guard:
    """The builtins of the model's code, with a guarded __import__ when on."""

    def __init__(self, on: bool, patterns: Iterable[str]) -> None:
        self.allowed = Allowed(patterns)
        self.builtins: dict[str, Any] = dict(BUILTINS)
        self.builtins.update(_site_builtins())
        self.interrupts = Interrupts(self.builtins)  # they tell the model's frames by these builtins
        self._on = on
        self._recording = False
        if on:
            self.builtins["__import__"] = self._make_import()

    def record(self, recording: bool) -> None:
        """While recording, everything may be imported, and may be from then on."""
        self._recording = recording

    def check(self, source: str, tree: _ast.Module) -> None:
        """Refuse code that would import what is not allowed, all of it at once."""
        if not self._on or self._recording or "import" not in source:
            return
        offences: list[str] = []
        for node in _nodes(tree):
            for name in self._refused(node):
                offences.append(f"  line {node.lineno}: {name}")
        if offences:
            raise ImportError(
                "nothing was run, because these imports are not allowed:\n"
                + "\n".join(offences)
                + f"\nAllowed: {self.allowed}"
            )

    def _refused(self, node: Any) -> Iterator[str]:
        allowed = self.allowed
        if isinstance(node, _ast.Import):
            for alias in node.names:
                if alias.name not in allowed:
                    yield alias.name
        elif isinstance(node, _ast.ImportFrom):
            module = node.module or ""
            if node.level:
                yield "." * node.level + module + " (there is no package to be relative to)"
            elif module not in allowed:
                if any(f"{module}.{alias.name}" not in allowed for alias in node.names):
                    yield module
        elif isinstance(node, _ast.Call) and node.args:
            function, name = node.func, node.args[0]
            called = getattr(function, "id", None) or getattr(function, "attr", None)
            if called in _FUNCTIONS and isinstance(name, _ast.Constant) and isinstance(name.value, str):
                if name.value not in allowed:
                    yield name.value

    def _make_import(self) -> Callable[..., Any]:
        allowed, interrupts = self.allowed, self.interrupts

        def __import__(
            name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
        ) -> Any:
            # C code that imports on behalf of the frame that called it
            # (strptime, pickle) passes a list; statements never do.
            if type(fromlist) is list or level:
                return _import(name, globals, locals, fromlist, level)
            if self._recording:
                return self._recorded(name, globals, locals, fromlist)
            if name in allowed:
                module = _import(name, globals, locals, fromlist, 0)
                for attribute in fromlist or ():
                    full = f"{name}.{attribute}"
                    if full not in allowed and isinstance(_modules.get(full), ModuleType):
                        self._refuse(full)
                if interrupts.armed:
                    interrupts.checkpoint()
                return module
            if not fromlist or any(f"{name}.{attribute}" not in allowed for attribute in fromlist):
                self._refuse(name)
            return _import(name, globals, locals, fromlist, 0)

        return __import__

    def _recorded(self, name: str, globals: Any, locals: Any, fromlist: Any) -> Any:
        module = _import(name, globals, locals, fromlist, 0)
        self.allowed.add(name)
        for attribute in fromlist or ():
            if isinstance(_modules.get(f"{name}.{attribute}"), ModuleType):
                self.allowed.add(f"{name}.{attribute}")
        return module

    def _refuse(self, name: str) -> None:
        raise ImportError(f"import of {name!r} is not allowed. Allowed: {self.allowed}", name=name)


def _nodes(tree: Any) -> Iterator[Any]:
    """Every statement and expression. Not recursive: the model chooses the depth."""
    todo = [tree]
    node_type = _ast.AST
    while todo:
        node = todo.pop()
        if hasattr(node, "lineno"):
            yield node
        children: list[Any] = []
        for field in node._fields:
            value = getattr(node, field, None)
            if isinstance(value, list):
                children += [v for v in value if isinstance(v, node_type)]
            elif isinstance(value, node_type):
                children.append(value)
        todo += reversed(children)


def _site_builtins() -> dict[str, Any]:
    """help, exit and quit, which an interpreter without site does not have."""
    if _sitebuiltins is None:
        return {}
    made: dict[str, Any] = {"help": _sitebuiltins._Helper()}
    for name in ("exit", "quit"):
        made[name] = _sitebuiltins.Quitter(name, "the end of the code")
    return {name: value for name, value in made.items() if not hasattr(builtins, name)}
