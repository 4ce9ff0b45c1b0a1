"""Type hints as JSON schemas, and arguments made to fit them.

Both are what pydantic, which the SDK uses, does in its default mode, for the
types of the standard library. A file that imports pydantic is served by
pydantic itself: see strands._inputs.
"""

import collections.abc
import dataclasses
import datetime
import enum
import inspect
import os
import pathlib
import types
import typing
import uuid
from typing import Annotated, Any, Callable, Literal, Union

Schema = dict[str, Any]
Parse = Callable[[Any], Any]
Kind = tuple[Schema, Parse]


class Invalid(ValueError):
    """Arguments that do not fit: what is wrong, by the place where."""

    def __init__(self, found: list[tuple[tuple[str, ...], str]]) -> None:
        super().__init__("\n".join(f"{'.'.join(place)}\n  {why}" if place else why for place, why in found))
        self.found = found

    @staticmethod
    def at(place: str, error: "Invalid") -> list[tuple[tuple[str, ...], str]]:
        """The mistakes of a part, seen from the whole."""
        return [((place, *inner), why) for inner, why in error.found]


class Unknown(TypeError):
    """A type that is described only by pydantic."""


def _wrong(why: str) -> Invalid:
    return Invalid([((), "Input should be " + why)])


# --- scalars ---------------------------------------------------------------


def _any(value: Any) -> Any:
    return value


def _none(value: Any) -> None:
    if value is not None:
        raise _wrong("None")


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong("a valid string")
    return value


def _int(value: Any) -> int:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        if not value.is_integer():
            raise _wrong("a valid integer, got a number with a fractional part")
        return int(value)
    if isinstance(value, str):
        try:
            head, dot, tail = value.strip().partition(".")
            return int(head) if not dot or tail.strip("0") == "" else int(value)
        except ValueError:
            raise _wrong("a valid integer, unable to parse string as an integer") from None
    raise _wrong("a valid integer")


def _float(value: Any) -> float:
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise _wrong("a valid number, unable to parse string as a number") from None
    raise _wrong("a valid number")


_WORDS = {w: True for w in ("1", "on", "t", "true", "y", "yes")} | {w: False for w in ("0", "off", "f", "false", "n", "no")}


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _WORDS:
        return _WORDS[value.lower()]
    if isinstance(value, (int, float)) and value in (0, 1):
        return bool(value)
    raise _wrong("a valid boolean, unable to interpret input")


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    raise _wrong("a valid bytes")


def _moment(kind: type, words: str) -> Parse:
    def parse(value: Any) -> Any:
        if isinstance(value, kind) and (kind is not datetime.date or not isinstance(value, datetime.datetime)):
            return value
        try:
            if isinstance(value, str):
                return kind.fromisoformat(value.strip().replace("Z", "+00:00"))  # type: ignore[attr-defined]
            if kind is datetime.datetime and isinstance(value, (int, float)):
                return datetime.datetime.fromtimestamp(value, datetime.timezone.utc)
        except (ValueError, OverflowError, OSError):
            pass
        raise _wrong(f"a valid {words}")

    return parse


def _made(kind: Callable[[str], Any], words: str) -> Parse:
    def parse(value: Any) -> Any:
        try:
            return kind(_str(value))
        except ValueError:
            raise _wrong(words) from None

    return parse


_SCALARS: dict[Any, tuple[Schema, Parse]] = {
    Any: ({}, _any),
    object: ({}, _any),
    None: ({"type": "null"}, _none),
    type(None): ({"type": "null"}, _none),
    str: ({"type": "string"}, _str),
    int: ({"type": "integer"}, _int),
    float: ({"type": "number"}, _float),
    bool: ({"type": "boolean"}, _bool),
    bytes: ({"type": "string", "format": "binary"}, _bytes),
    datetime.datetime: ({"type": "string", "format": "date-time"}, _moment(datetime.datetime, "datetime")),
    datetime.date: ({"type": "string", "format": "date"}, _moment(datetime.date, "date")),
    datetime.time: ({"type": "string", "format": "time"}, _moment(datetime.time, "time")),
    uuid.UUID: ({"type": "string", "format": "uuid"}, _made(uuid.UUID, "a valid UUID")),
    pathlib.Path: ({"type": "string", "format": "path"}, _made(pathlib.Path, "a valid path")),
    os.PathLike: ({"type": "string", "format": "path"}, _made(pathlib.Path, "a valid path")),
}

# --- the rest --------------------------------------------------------------

_LISTS = {
    list: list, collections.abc.Sequence: list, collections.abc.MutableSequence: list, collections.abc.Iterable: list,
    collections.abc.Collection: list, set: set, frozenset: frozenset, collections.abc.Set: set, collections.abc.MutableSet: set,
}  # fmt: skip
_DICTS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


class Describer:
    """Describes the types of one function; definitions are shared by its parameters."""

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}
        self._parsers: dict[str, Parse] = {}

    def describe(self, hint: Any) -> Kind:
        """The schema of a type, and what makes a value of it. Unknown is raised for a type that is not known."""
        try:
            if hint in _SCALARS:
                schema, parse = _SCALARS[hint]
                return dict(schema), parse
        except TypeError:  # not hashable: Literal of a list, …
            pass
        origin, args = typing.get_origin(hint), typing.get_args(hint)
        if origin is Annotated or origin in (getattr(typing, "Required", Annotated), getattr(typing, "NotRequired", Annotated)):
            return self.describe(args[0])
        if origin is Union or origin is types.UnionType:
            return self._union(args)
        if origin is Literal:
            return self._literal(args)
        kind = origin or hint
        if kind in _LISTS:
            return self._list(_LISTS[kind], args)
        if kind is tuple:
            return self._tuple(args)
        if kind in _DICTS:
            return self._dict(args)
        if hasattr(hint, "__supertype__"):  # NewType
            return self.describe(hint.__supertype__)
        if isinstance(hint, type):
            if issubclass(hint, enum.Enum):
                return self._defined(hint, self._enum)
            if dataclasses.is_dataclass(hint):
                return self._defined(hint, self._dataclass)
            if typing.is_typeddict(hint):
                return self._defined(hint, self._typed_dict)
        raise Unknown(getattr(hint, "__name__", None) or str(hint))

    def _defined(self, hint: Any, make: Callable[[Any], Kind]) -> Kind:
        """A type with a name lies in $defs, where it may refer to itself."""
        name = hint.__name__
        if name not in self.definitions:
            self.definitions[name] = {}
            self.definitions[name], self._parsers[name] = make(hint)
        return {"$ref": "#/$defs/" + name}, lambda value: self._parsers[name](value)

    def _union(self, members: tuple[Any, ...]) -> Kind:
        schemas: list[Schema] = []
        parsers: list[tuple[Any, Parse]] = []
        for member in members:
            schema, parse = self.describe(member)
            for one in schema["anyOf"] if set(schema) == {"anyOf"} else [schema]:
                if one not in schemas:
                    schemas.append(one)
            parsers.append((member, parse))

        def parse_union(value: Any) -> Any:
            for member, _ in parsers:  # what is of the type already stays as it is
                if type(value) is member or value is None and member in (None, type(None)):
                    return value
            found: list[tuple[tuple[str, ...], str]] = []
            for member, parse in parsers:
                try:
                    return parse(value)
                except Invalid as e:
                    found += Invalid.at(getattr(member, "__name__", str(member)), e)
            raise Invalid(found)

        return ({"anyOf": schemas} if len(schemas) > 1 else schemas[0]), parse_union

    @staticmethod
    def _literal(values: tuple[Any, ...]) -> Kind:
        plain = [v.value if isinstance(v, enum.Enum) else v for v in values]
        schema: Schema = {"const": plain[0]} if len(plain) == 1 else {"enum": plain}
        kinds = {type(v) for v in plain}
        for kind, word in ((str, "string"), (int, "integer"), (bool, "boolean"), (float, "number")):
            if kinds == {kind}:
                schema["type"] = word

        def parse(value: Any) -> Any:
            for option, text in zip(values, plain):
                if type(value) is type(text) and value == text:
                    return option
            raise _wrong(" or ".join(map(repr, plain)))

        return schema, parse

    def _list(self, kind: Callable[[Any], Any], args: tuple[Any, ...]) -> Kind:
        items, parse_item = self.describe(args[0]) if args else ({}, _any)
        schema: Schema = {"type": "array", "items": items}
        if kind is not list:
            schema["uniqueItems"] = True

        def parse(value: Any) -> Any:
            if not isinstance(value, (list, tuple, set, frozenset)):
                raise _wrong("a valid list" if kind is list else "a valid set")
            return kind(_each([parse_item] * len(value), value))

        return schema, parse

    def _tuple(self, args: tuple[Any, ...]) -> Kind:
        if not args or len(args) == 2 and args[1] is Ellipsis:
            schema, parse = self._list(list, args[:1])
            return schema, lambda value: tuple(parse(value))
        kinds = [self.describe(a) for a in args]
        size = len(kinds)

        def parse_tuple(value: Any) -> Any:
            if not isinstance(value, (list, tuple)) or len(value) != size:
                raise _wrong(f"a list of {size} items")
            return tuple(_each([p for _, p in kinds], value))

        return {"type": "array", "maxItems": size, "minItems": size, "prefixItems": [s for s, _ in kinds]}, parse_tuple

    def _dict(self, args: tuple[Any, ...]) -> Kind:
        key, value = args if args else (Any, Any)
        names, parse_key = self.describe(key)
        values, parse_value = self.describe(value)
        schema: Schema = {"type": "object", "additionalProperties": values or True}
        if "$ref" in names or "enum" in names or "format" in names:
            schema["propertyNames"] = names

        def parse(given: Any) -> Any:
            if not isinstance(given, dict):
                raise _wrong("a valid dictionary")
            made, found = {}, []
            for k, v in given.items():
                try:
                    made[parse_key(k)] = parse_value(v)
                except Invalid as e:
                    found += Invalid.at(str(k), e)
            if found:
                raise Invalid(found)
            return made

        return schema, parse

    @staticmethod
    def _enum(kind: Any) -> Kind:
        values = [member.value for member in kind]
        schema: Schema = {"enum": values, "title": kind.__name__}
        for base, word in ((str, "string"), (int, "integer"), (float, "number")):
            if all(type(v) is base for v in values):
                schema["type"] = word
        # What enum itself writes there is no documentation of the class.
        said = inspect.cleandoc(kind.__doc__ or "")
        if said and said != "An enumeration." and kind.__doc__ not in [base.__doc__ for base in kind.__mro__[1:]]:
            schema["description"] = said

        def parse(value: Any) -> Any:
            try:
                return value if isinstance(value, kind) else kind(value)
            except ValueError:
                raise _wrong(" or ".join(repr(v) for v in values)) from None

        return schema, parse

    def _dataclass(self, kind: Any) -> Kind:
        hints = typing.get_type_hints(kind, include_extras=True)
        fields: list[tuple[str, Any, Any]] = []
        for f in dataclasses.fields(kind):
            default = f.default
            if default is dataclasses.MISSING and f.default_factory is not dataclasses.MISSING:
                default = _Factory(f.default_factory)
            if f.init:
                fields.append((f.name, hints[f.name], default))
        said = kind.__doc__ or ""
        if said.startswith(kind.__name__ + "("):  # made by dataclass
            said = ""
        return self._object(kind.__name__, said, fields)

    def _typed_dict(self, kind: Any) -> Kind:
        hints = typing.get_type_hints(kind, include_extras=True)
        fields = [(n, h, dataclasses.MISSING if n in kind.__required_keys__ else _ABSENT) for n, h in hints.items()]
        return self._object(kind.__name__, kind.__doc__ or "", fields)

    def _object(self, name: str, said: str, fields: list[tuple[str, Any, Any]]) -> Kind:
        """A dict with known keys, which is how the SDK hands dataclasses over too."""
        properties: dict[str, Schema] = {}
        parsers: dict[str, tuple[Parse, Any]] = {}
        for key, hint, default in fields:
            schema, parse = self.describe(hint)
            if default is not dataclasses.MISSING and default is not _ABSENT and not isinstance(default, _Factory):
                schema["default"] = plain_default(default)
            if "$ref" not in schema:
                schema["title"] = title(key)
            properties[key] = schema
            parsers[key] = parse, default
        schema = {"type": "object", "title": name, "properties": properties}
        if required := [key for key, (_, default) in parsers.items() if default is dataclasses.MISSING]:
            schema["required"] = required
        if said:
            schema["description"] = inspect.cleandoc(said)
        return schema, lambda given: parse_fields(parsers, given)


class _Factory:
    """A default that is made anew each time."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make


_ABSENT = _Factory(dict)  # a key that is left out when it is not given


def parse_fields(parsers: dict[str, tuple[Parse, Any]], given: Any) -> dict[str, Any]:
    """The fields that are given, checked, and the defaults of the others. Unknown keys are left out."""
    if not isinstance(given, dict):
        raise _wrong("a valid dictionary")
    made: dict[str, Any] = {}
    found: list[tuple[tuple[str, ...], str]] = []
    for key, (parse, default) in parsers.items():
        if key in given:
            try:
                made[key] = parse(given[key])
            except Invalid as e:
                found += Invalid.at(key, e)
        elif default is dataclasses.MISSING:
            found.append(((key,), "Field required"))
        elif default is not _ABSENT:
            made[key] = default.make() if isinstance(default, _Factory) else default
    if found:
        raise Invalid(found)
    return made


def _each(parsers: list[Parse], values: Any) -> list[Any]:
    made: list[Any] = []
    found: list[tuple[tuple[str, ...], str]] = []
    for i, (parse, value) in enumerate(zip(parsers, values)):
        try:
            made.append(parse(value))
        except Invalid as e:
            found += Invalid.at(str(i), e)
    if found:
        raise Invalid(found)
    return made


def plain_default(value: Any) -> Any:
    """A default as JSON has it; TypeError when it has no such form."""
    if isinstance(value, enum.Enum):
        return plain_default(value.value)
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain_default(v) for v in value]
    if isinstance(value, dict):
        return {str(k): plain_default(v) for k, v in value.items()}
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (uuid.UUID, pathlib.PurePath)):
        return str(value)
    if isinstance(value, bytes):
        return value.decode()
    raise TypeError(f"a default of type {type(value).__name__} has no JSON form")


def title(name: str) -> str:
    """How pydantic makes a title of a name."""
    return name.replace("_", " ").title()
