"""Host functions as Python sees them: real signatures, modules, objects.

Nothing here executes text that came with a description: functions are closures
and signatures are built from their parts.
"""

from strands_worker.private import BUILTINS as __builtins__

import datetime
import inspect
import keyword
import sys
import types
from typing import Any, Callable

from strands_worker.bulk import Parcel, pack
from strands_worker.hostcalls import Calls

_Parameter, _timedelta = inspect.Parameter, datetime.timedelta
_ANNOTATIONS: dict[str, Any] = {
    t.__name__: t for t in (bool, bytes, dict, float, int, list, set, str, tuple)
} | {"None": None}


class _Annotation(str):
    """A type in words, shown in signatures without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _annotation(text: str) -> Any:
    if not text:
        return _Parameter.empty
    return _ANNOTATIONS[text] if text in _ANNOTATIONS else _Annotation(text)


def _python_name(name: str) -> str:
    """A name that can be written in Python: class -> class_, max-rows -> max_rows."""
    cleaned = "".join(c if c.isalnum() or c == "_" else "_" for c in name)
    if not cleaned.isidentifier():
        cleaned = "_" + cleaned
    return cleaned + "_" if keyword.iskeyword(cleaned) else cleaned


class _Binder:
    """Puts positional and keyword arguments under the host's names."""

    def __init__(self, name: str, params: list[dict[str, Any]], returns: str) -> None:
        self._name = name
        self._host_names: dict[str, str] = {}  # by the names Python uses
        self._positional: list[str] = []
        self._required: list[str] = []
        self._droppable: set[str] = set()  # None means the same as leaving it out
        self._tables = frozenset(p["name"] for p in params if (p.get("annotation") or "").startswith("DataFrame"))
        self._whole_numbers = [p["name"] for p in params if p.get("annotation") in ("int", "int | None")]
        parameters, kind, optional = [], _Parameter.POSITIONAL_OR_KEYWORD, False
        for p in params:
            python, host = _python_name(p["name"]), p["name"]
            default = p.get("default")
            if p.get("required"):
                self._required.append(python)
                if optional:  # Python has no positional one after an optional one
                    kind = _Parameter.KEYWORD_ONLY
            else:
                optional = True
                if default is None:
                    self._droppable.add(host)
            if kind is _Parameter.POSITIONAL_OR_KEYWORD:
                self._positional.append(host)
            self._host_names[python] = host
            empty = _Parameter.empty
            parameters.append(
                _Parameter(
                    python,
                    kind,
                    default=empty if p.get("required") else default,
                    annotation=_annotation(p.get("annotation") or ""),
                )
            )
        # So many positional arguments need no further look; -1 = any do.
        simple = not self._droppable and len(self._positional) == len(self._host_names)
        self._whole = len(self._positional) if simple else -1
        self.signature = inspect.Signature(parameters, return_annotation=_annotation(returns))

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        positional = self._positional
        if len(args) > len(positional):
            self._refuse(f"takes {len(positional)} positional arguments but {len(args)} were given")
        values = dict(zip(positional, args))
        if not kwargs and len(values) == self._whole:
            return values
        if kwargs:
            names = self._host_names
            for name, value in kwargs.items():
                host = names.get(name)
                if host is None:
                    if name not in names.values():
                        self._refuse(f"got an unexpected keyword argument {name!r}")
                    host = name
                if host in values:
                    self._refuse(f"got multiple values for argument {name!r}")
                values[host] = value
        for name in self._required:
            if self._host_names[name] not in values:
                self._refuse(f"missing the argument {name!r}")
        for host in self._droppable:
            if host in values and values[host] is None:
                del values[host]
        return values

    def encode(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> "bytes | Parcel":
        values = self.bind(args, kwargs)
        for host in self._whole_numbers:  # a span is sent as seconds; a Go duration would take them for nanoseconds
            value = values.get(host)
            if isinstance(value, _timedelta) or type(value).__name__ == "timedelta64":
                self._refuse(f"takes no timedelta for {host!r}; pass a number, in the unit that its documentation names")
        return pack(values, self._tables)

    def _refuse(self, why: str) -> None:
        raise TypeError(f"{self._name}() {why}; it is {self._name}{self.signature}")


def make_function(spec: dict[str, Any], module: str, prefix: str, calls: Calls) -> Callable[..., Any]:
    """A function, with .aio for coroutines, that calls the host's."""
    ident, name = spec["id"], spec["name"]
    binder = _Binder(prefix + name, spec.get("params") or [], spec.get("returns") or "")
    if spec.get("stream"):

        def function(*args: Any, **kwargs: Any) -> Any:
            arguments = binder.encode(args, kwargs)
            return calls.stream(ident, arguments)

        def aio(*args: Any, **kwargs: Any) -> Any:
            arguments = binder.encode(args, kwargs)
            return calls.stream_async(ident, arguments)

    else:

        def function(*args: Any, **kwargs: Any) -> Any:
            return calls.call(ident, binder.encode(args, kwargs))

        async def aio(*args: Any, **kwargs: Any) -> Any:
            return await calls.call_async(ident, binder.encode(args, kwargs))

    for made, called in ((function, name), (aio, "aio")):
        made.__name__ = called
        made.__qualname__ = prefix + name if made is function else f"{prefix}{name}.aio"
        made.__module__ = module or "__main__"
        made.__doc__ = spec.get("doc") or None
        made.__signature__ = binder.signature  # type: ignore[attr-defined]
        made.__annotations__ = _annotations(binder.signature)
    function.aio = aio  # type: ignore[attr-defined]
    return function


def _annotations(signature: inspect.Signature) -> dict[str, Any]:
    found = {p.name: p.annotation for p in signature.parameters.values()}
    found["return"] = signature.return_annotation
    return {name: a for name, a in found.items() if a is not _Parameter.empty}


def _make_object(spec: dict[str, Any], module: str, calls: Calls) -> Any:
    """One object whose methods call the host."""
    name = spec["name"]
    methods = [make_function(m, module, name + ".", calls) for m in spec.get("methods") or []]
    shown = f"<{name}: " + ", ".join(f"{m.__name__}{inspect.signature(m)}" for m in methods) + ">"
    body: dict[str, Any] = {m.__name__: staticmethod(m) for m in methods}
    body |= {"__doc__": spec.get("doc") or None, "__module__": module or "__main__", "__slots__": ()}
    body["__repr__"] = lambda self: shown
    return type(name, (), body)()


def install(namespaces: list[dict[str, Any]], calls: Calls) -> tuple[dict[str, Any], list[str]]:
    """Make the namespaces' modules; returns all names, and the modules' names."""
    names: dict[str, Any] = {}
    modules = []
    for space in namespaces:
        module = space.get("module") or ""
        offered = {f["name"]: make_function(f, module, "", calls) for f in space.get("functions") or []}
        offered |= {o["name"]: _make_object(o, module, calls) for o in space.get("objects") or []}
        names |= offered
        if module:
            _make_module(module, space.get("doc") or None, offered)
            modules.append(module)
    return names, modules


def _make_module(name: str, doc: str | None, offered: dict[str, Any]) -> None:
    made = sys.modules.get(name)
    if not isinstance(getattr(made, "__strands__", None), bool):
        made = types.ModuleType(name)
        made.__strands__ = True  # type: ignore[attr-defined]
        sys.modules[name] = made
    assert made is not None
    made.__doc__ = doc or made.__doc__
    made.__dict__.update(offered)
    made.__all__ = [*getattr(made, "__all__", ()), *offered]  # type: ignore[attr-defined]
    parent, _, leaf = name.rpartition(".")
    if parent:
        if parent not in sys.modules:
            _make_module(parent, None, {})
        package = sys.modules[parent]
        if not hasattr(package, "__path__"):
            package.__path__ = []  # type: ignore[attr-defined]
        setattr(package, leaf, made)
