"""JSON, both ways, with the types that Python programs use.

The encoder and the scanner are the ones in C: json's own functions can be
replaced by the model.
"""

from strands_worker.private import BUILTINS as __builtins__
from strands_worker.private import own

import _json
import binascii
import datetime
import decimal
import enum
import os
from typing import Any, Callable, Iterable

os = own(os)

DEPTH = 64  # levels of nesting that may cross
_SCALARS = frozenset((str, int, float, bool, type(None)))
_TEXT = frozenset((str,))
_UTC = datetime.timezone.utc
_datetime, _date, _time, _timedelta = datetime.datetime, datetime.date, datetime.time, datetime.timedelta
_Decimal, _Enum = decimal.Decimal, enum.Enum
_b2a, _a2b = binascii.b2a_base64, binascii.a2b_base64


class Record(dict):
    """A JSON object from the host: a dict whose keys can be read as attributes."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no field {name!r}; there are: {', '.join(map(str, self))}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(f"no field {name!r}") from None

    def __dir__(self) -> Iterable[str]:
        return [*dict.__dir__(self), *(k for k in self if isinstance(k, str))]

    def __reduce__(self) -> Any:
        return dict, (dict(self),)  # pickled as what everybody knows


# --- from the host ---------------------------------------------------------


def _when(text: str) -> Any:
    """RFC 3339, which older fromisoformat functions do not know whole."""
    text = text.replace("Z", "+00:00").replace("z", "+00:00")
    head, dot, rest = text.partition(".")
    if dot:
        digits = len(rest) - len(rest.lstrip("0123456789"))
        text = f"{head}.{rest[:digits][:6]:0<6}{rest[digits:]}"
    return _datetime.fromisoformat(text)


TAGS: dict[str, Callable[[Any], Any]] = {
    "$bytes": lambda v: _a2b(v),
    "$datetime": _when,
    "$date": lambda v: _date.fromisoformat(v),
    "$decimal": lambda v: _Decimal(v),
}


def _object(pairs: list[tuple[str, Any]]) -> Any:
    if len(pairs) == 1:
        key, value = pairs[0]
        if key[:1] == "$":
            if decode := TAGS.get(key):
                return decode(value)
            if key[:2] == "$$":
                return Record({key[1:]: value})
    return Record(pairs)


class _Context:
    """What the scanner in C wants to know."""

    strict = False
    object_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float

    def __init__(self, hook: Callable[[list[tuple[str, Any]]], Any]) -> None:
        self.object_pairs_hook = hook
        self.memo: dict[str, str] = {}


_make_scanner = _json.make_scanner
_scan = _make_scanner(_Context(_object))


def decode(data: bytes, start: int = 0) -> Any:
    """A value from the host's JSON, tags included."""
    return _read(_scan, memoryview(data)[start:])


def decode_with(data: memoryview, beside: dict[str, Callable[[Any], Any]]) -> Any:
    """A value some of whose parts lie beside the JSON: a tag with a list says where."""

    def hook(pairs: list[tuple[str, Any]]) -> Any:
        if len(pairs) == 1:
            key, value = pairs[0]
            if type(value) is list and (find := beside.get(key)):
                return find(value)
        return _object(pairs)

    return _read(_make_scanner(_Context(hook)), data)


def _read(scan: Callable[[str, int], tuple[Any, int]], data: memoryview) -> Any:
    text = str(data, "utf-8", "replace").lstrip()
    try:
        return scan(text, 0)[0]
    except StopIteration:
        raise ValueError("the host sent no JSON") from None


# --- to the host -----------------------------------------------------------


def _refuse(value: Any) -> Any:
    raise TypeError(f"a value of type {type(value).__name__} cannot be sent; pass numbers, text, lists or dicts")


_encoder = _json.make_encoder(None, _refuse, _json.encode_basestring_ascii, None, ":", ",", False, False, False)


def scalars(named: dict[str, Any]) -> "bytes | None":
    """Named values as JSON when they are all text, finite numbers and the like; None when not."""
    if not _SCALARS.issuperset(map(type, named.values())):
        return None
    try:
        return "".join(_encoder(named, 0)).encode("ascii")
    except ValueError:
        return None


def encode(value: Any) -> bytes:
    """A value of the model's as JSON. Not-a-number travels as null.

    Raises TypeError for what has no JSON form and ValueError for what is
    infinite, or nested too deep.
    """
    value = plain(value)
    try:
        chunks = _encoder(value, 0)
    except ValueError:
        chunks = _encoder(_finite(value), 0)
    return "".join(chunks).encode("ascii")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        if value - value == 0:
            return value
        if value != value:
            return None
        raise ValueError("infinity cannot be sent: JSON has no form for it")
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return value


def plain(value: Any, depth: int = DEPTH) -> Any:
    """The same value in dicts, lists, text, numbers, True, False and None."""
    kind = type(value)
    if kind in _SCALARS:
        return value
    if depth == 0:
        raise ValueError(f"a value nested more than {DEPTH} levels deep, or within itself, cannot be sent")
    if kind is dict or kind is Record:
        if _SCALARS.issuperset(map(type, value.values())) and _TEXT.issuperset(map(type, value)):
            return value
        return {_key(k): plain(v, depth - 1) for k, v in value.items()}
    if kind is list or kind is tuple:
        if _SCALARS.issuperset(map(type, value)):
            return value
        return [plain(v, depth - 1) for v in value]
    return _other(value, depth)


def _key(key: Any) -> Any:
    if type(key) is str:
        return key
    key = plain(key, 2)
    if isinstance(key, (list, tuple, dict)):
        raise TypeError(f"a dict with a key like {key!r} cannot be sent; use text keys")
    return key


def _other(value: Any, depth: int) -> Any:
    """What is neither a plain container nor a scalar."""
    if isinstance(value, _Enum):
        return plain(value.value, depth - 1)
    if isinstance(value, (str, int, float)):  # numpy.float64 and str_ among them
        return _base(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _b2a(value, newline=False).decode("ascii")
    if isinstance(value, (_date, _time, _timedelta)):
        return _moment(value)
    if isinstance(value, _Decimal):
        return str(value) if value == value else None
    if isinstance(value, os.PathLike):
        return plain(os.fspath(value), depth - 1)
    kind = type(value)
    if hasattr(kind, "__dataclass_fields__"):
        return {f: plain(getattr(value, f), depth - 1) for f in kind.__dataclass_fields__}
    if kind.__name__ in ("UUID", "NAType"):
        return None if kind.__name__ == "NAType" else str(value)
    if hasattr(value, "columns") and hasattr(value, "to_dict"):  # a DataFrame: one object a row
        return plain(value.to_dict("records"), depth - 1)
    if hasattr(value, "tolist"):  # numpy arrays and scalars, pandas Series and Index
        return _array(value, depth)
    if hasattr(value, "model_dump"):  # pydantic
        return plain(value.model_dump(), depth - 1)
    if hasattr(value, "keys") and hasattr(kind, "__getitem__"):
        return {_key(k): plain(value[k], depth - 1) for k in value.keys()}
    if isinstance(value, (set, frozenset)):
        return _in_order([plain(v, depth - 1) for v in value])
    if hasattr(kind, "__len__") and hasattr(kind, "__iter__"):
        return [plain(v, depth - 1) for v in value]
    return _refuse(value)


def _base(value: Any) -> Any:
    """The value of a subclass of str, int or float as that class has it."""
    for base in (str, float, int):
        if isinstance(value, base):
            return base.__add__(value, base())
    return value


def _moment(value: Any) -> Any:
    if isinstance(value, _timedelta):
        return value.total_seconds()
    if isinstance(value, _datetime):
        if value != value:  # pandas.NaT
            return None
        if value.tzinfo is None:
            value = value.replace(tzinfo=_UTC)  # the host needs a zone
        return value.isoformat().replace("+00:00", "Z")
    return value.isoformat()


def _array(value: Any, depth: int) -> Any:
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind in ("M", "m") and type(value).__module__ == "numpy":
        # tolist() makes bare numbers of nanoseconds
        value = value.astype("datetime64[us]" if kind == "M" else "timedelta64[us]")
    return plain(value.tolist(), depth - 1)


def _in_order(values: list[Any]) -> list[Any]:
    try:
        return sorted(values)
    except TypeError:
        return values
