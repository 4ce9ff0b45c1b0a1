"""Imports from the folders that tools were loaded from.

The folders are the host's and cannot be seen from here: whatever a tool
imports from beside it is asked of the host.
"""

import importlib.machinery
import linecache
import sys
import types
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from typing import Any, Callable

PREFIX = "_strands_tool_"  # of tool files in sys.modules, so that json.py hides nothing


@dataclass
class Root:
    """A folder: what is at its top, and what was imported from it."""

    name: str
    listing: frozenset[str] = frozenset()
    modules: dict[str, types.ModuleType] = field(default_factory=dict)


class Finder:
    """Finds modules in the folder that is in use."""

    def __init__(self, source: Callable[[str, str], dict[str, Any] | None]) -> None:
        self._source = source
        self._roots: dict[str, Root] = {}
        self._present: Root | None = None
        self._found: dict[str, dict[str, Any]] = {}

    def install(self) -> None:
        """Stand where sys.path stands: behind what is built in, before what is installed."""
        path = importlib.machinery.PathFinder
        place = sys.meta_path.index(path) if path in sys.meta_path else len(sys.meta_path)
        sys.meta_path.insert(place, self)

    def use(self, name: str, listing: list[str] | None = None, fresh: bool = False) -> None:
        """Import from that folder. Modules of another one that have the same names are put aside.

        fresh forgets what was imported from it: a file there has changed.
        """
        root = self._roots.setdefault(name, Root(name))
        if listing is not None:
            root.listing = frozenset(listing)
        before = self._present
        if before is not None:
            before.modules = {n: sys.modules[n] for n in before.modules if n in sys.modules}
        if fresh:
            for n in root.modules:
                sys.modules.pop(n, None)
            root.modules = {}
        if before is not root:
            if before is not None:
                for n in before.modules:
                    del sys.modules[n]
            sys.modules.update(root.modules)
            self._present = root

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The spec of a module of the folder in use; None when it has none of that name."""
        root = self._present
        if root is None or name.partition(".")[0] not in root.listing:
            return None
        found = self._source(root.name, name)
        if found is None:
            return None
        self._found[name] = found
        spec = ModuleSpec(name, self, origin=found["file"], is_package=bool(found["package"]))  # type: ignore[arg-type]
        spec.has_location = True
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        """The usual kind of module."""

    def exec_module(self, module: types.ModuleType) -> None:
        """Run its source."""
        found = self._found.pop(module.__name__)
        if self._present is not None:
            self._present.modules[module.__name__] = module
        run(module, found["source"], found["file"])


def run(module: types.ModuleType, source: str, file: str) -> None:
    """Run a file as module. Its code can be interrupted as a snippet can: it has the same builtins."""
    module.__dict__["__builtins__"] = sys.modules["__main__"].__dict__["__builtins__"]
    module.__file__ = file
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    exec(compile(source, file, "exec", dont_inherit=True), module.__dict__)
