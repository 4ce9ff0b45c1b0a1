"""The program's own Python modules, importable from memory."""

from strands_worker.private import BUILTINS as __builtins__

import sys
import types
from importlib.machinery import ModuleSpec
from typing import Any

from strands_worker.cells import Sources

_compile = compile
_exec = exec


class Finder:
    """A finder and loader of modules whose source came with the configuration."""

    def __init__(self, modules: list[dict[str, Any]], sources: Sources) -> None:
        self._modules = {m["name"]: m for m in modules}
        self._sources = sources

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        module = self._modules.get(name)
        if module is None:
            prefix = name + "."
            if not any(other.startswith(prefix) for other in self._modules):
                return None
            module = {"source": "", "package": True}  # a package only to hold others
        spec = ModuleSpec(name, self, origin=_file(name), is_package=bool(module.get("package")))
        return spec

    def create_module(self, spec: ModuleSpec) -> types.ModuleType | None:
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        name = module.__name__
        source = self.get_source(name)
        self._sources.add(_file(name), source)
        # A copy: by the worker's own builtins an interrupt knows the worker's
        # code, which it must not end.
        module.__dict__["__builtins__"] = dict(__builtins__)
        _exec(_compile(source, _file(name), "exec", 0, True), module.__dict__)

    def get_source(self, name: str) -> str:
        module = self._modules.get(name)
        return module["source"] if module else ""


def _file(name: str) -> str:
    return f"<module {name}>"


def install(modules: list[dict[str, Any]], sources: Sources) -> dict[str, Any]:
    """Import the modules; returns the names that they give to __main__."""
    sys.meta_path[:] = [f for f in sys.meta_path if type(f) is not Finder]
    sys.meta_path.insert(0, Finder(modules, sources))  # type: ignore[arg-type]
    listed = {m["name"] for m in modules}
    names: dict[str, Any] = {}
    for name in [m["name"] for m in modules]:
        package = name.rpartition(".")[0]
        if any(package == p or package.startswith(p + ".") for p in listed):
            continue  # a part of another one, which decides what it shows
        top = name.partition(".")[0]
        names[top] = __import__(name)
        names |= _public(sys.modules[name])
    return names


def _public(module: types.ModuleType) -> dict[str, Any]:
    """What __all__ names, else the classes and functions that it defines."""
    found = vars(module)
    listed = found.get("__all__")
    if listed is not None:
        return {name: getattr(module, name) for name in listed}
    return {
        name: value
        for name, value in found.items()
        if name[:1] != "_"
        and callable(value)  # also what a decorator made of a function
        and getattr(value, "__module__", None) == module.__name__
    }
