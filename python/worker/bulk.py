"""Big data: long bytes and tables, which cross beside the JSON of a message.

It goes through a socket that the host made for the message, or with the frames
where no descriptor can be passed. What comes is read to where it stays: bytes
into the bytes object, a table into memory in which numbers are used where they
are. Large memory is asked for in huge pages; to touch a hundred megabytes in
small ones takes longer than to copy them twice.

Tables are Arrow data where pyarrow is installed, DataFrames where pandas is,
else lists of rows.
"""

from strands_worker.private import BUILTINS as __builtins__
from strands_worker.private import own

import importlib.util
import mmap
import os
import struct
import sys
from typing import Any, Callable, Iterator

from strands_worker.values import Record, encode, plain, scalars

os = own(os)

BIG = 1 << 16  # bytes from here on are big data
COLUMNS = "application/vnd.strands.columns"
_BYTES = "application/octet-stream"
_ALIGN = 64
_PIECE = 1 << 20
_NOTE = b"strands.note"
_SIZE = struct.Struct("<Q").unpack_from
_PACK_SIZE = struct.Struct("<Q").pack
_LENGTH = struct.Struct("<I").unpack_from
_mmap, _close, _read = mmap.mmap, os.close, os.read
_readv = getattr(os, "readv", None)  # every system that passes descriptors has it
_PRIVATE = getattr(mmap, "MAP_PRIVATE", 0) | getattr(mmap, "MAP_ANONYMOUS", 0)
_HUGE = getattr(mmap, "MADV_HUGEPAGE", None)
_HUGE_FROM = 4 << 20  # bytes from here on are worth huge pages
_PAGE = mmap.PAGESIZE


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


HAS_ARROW = _installed("pyarrow")
_HAS_PANDAS = _installed("pandas")


class Descriptor:
    """A descriptor that came with a message; closed when nobody wants it."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            _close(fd)

    __del__ = close


def _read_into(fd: int, into: memoryview) -> None:
    done, size = 0, len(into)
    while done < size:
        n = _readv(fd, (into[done:],))
        if n == 0:
            raise OSError(f"of {size} bytes from the host {done} came")
        done += n


def _memory(size: int) -> memoryview:
    """Memory of the session's own. It lives as long as somebody looks at it."""
    if size == 0 or not _PRIVATE:
        return memoryview(bytearray(size))
    try:
        memory = _mmap(-1, size, flags=_PRIVATE)
    except OSError as e:
        if e.errno == 12:
            raise MemoryError(f"{size} bytes from the host do not fit into the session's memory") from None
        raise
    if _HUGE is not None and size >= _HUGE_FROM:
        try:
            memory.madvise(_HUGE)
        except OSError:
            pass  # a system without them
    return memoryview(memory)


class _NewBytes:
    """Makes bytes that are filled afterwards, as C code does; it takes ctypes."""

    def __init__(self) -> None:
        import ctypes

        api, pointer, size = ctypes.pythonapi, ctypes.c_void_p, ctypes.c_ssize_t
        self._new = api.PyBytes_FromStringAndSize
        self._new.argtypes, self._new.restype = (pointer, size), ctypes.py_object
        self._look = api.PyMemoryView_FromMemory
        self._look.argtypes, self._look.restype = (pointer, size, ctypes.c_int), ctypes.py_object
        self._advise = ctypes.CDLL(None).madvise
        self._advise.argtypes = (pointer, ctypes.c_size_t, ctypes.c_int)
        known, self._head = b"0123456789", bytes.__basicsize__ - 1
        with self._look(id(known) + self._head, len(known), 0x100) as view:
            if view != known:
                raise ImportError("bytes do not lie where they are expected")

    def __call__(self, size: int, fill: Callable[[memoryview], None]) -> bytes:
        made = self._new(None, size)
        at = id(made) + self._head
        if _HUGE is not None and size >= _HUGE_FROM:
            first, end = -(-at // _PAGE) * _PAGE, (at + size) // _PAGE * _PAGE
            self._advise(first, end - first, _HUGE)
        with self._look(at, size, 0x200) as view:  # writable; nobody else has seen it yet
            fill(view)
        return made


_new_bytes: "_NewBytes | None | bool" = False  # False = not tried yet


def _bytes(size: int, fill: Callable[[memoryview], None]) -> bytes:
    """The bytes that fill writes."""
    global _new_bytes
    if _new_bytes is False:
        try:
            _new_bytes = _NewBytes()
        except Exception:  # whatever a system lacks, or the model made of ctypes
            _new_bytes = None
    if _new_bytes is not None:
        return _new_bytes(size, fill)
    memory = _memory(size)
    fill(memory)
    return bytes(memory)


class Beside:
    """The big data beside the JSON of a reply, which comes through a socket."""

    def __init__(self, body: bytes, start: int, socket: Descriptor) -> None:
        self._size, self._done, self.socket = _SIZE(body, start)[0], 0, socket
        self.text = memoryview(body)[start + 8 :]

    def close(self) -> None:
        self.socket.close()

    def _fill(self, at: int, into: memoryview) -> None:
        """Parts come in order, with gaps between."""
        fd = self.socket.fd
        if fd < 0:
            raise OSError("the data did not arrive: too many files are open")
        if at > self._done:
            _read_into(fd, memoryview(bytearray(at - self._done)))
        self._done = at + len(into)
        _read_into(fd, into)

    def copy(self, at: int, size: int) -> bytes:
        return _bytes(size, lambda into: self._fill(at, into))

    def view(self, at: int, size: int) -> memoryview:
        memory = _memory(size)
        self._fill(at, memory)
        return memory

    def fetch(self) -> "Behind | Failed":
        """All of it now, so that the host need not wait for who wants it."""
        try:
            return Behind(self.text, self.view(0, self._size), own=True)
        except (OSError, MemoryError) as e:
            return Failed(e)
        finally:
            self.close()


class Behind:
    """The big data behind the JSON of a reply, or fetched."""

    def __init__(self, text: memoryview, data: memoryview, own: bool = False) -> None:
        self.text, self._data, self._own = text, data, own

    def close(self) -> None:
        pass

    def copy(self, at: int, size: int) -> bytes:
        def fill(into: memoryview) -> None:
            into[:] = self._data[at : at + size]

        return _bytes(size, fill)

    def view(self, at: int, size: int) -> memoryview:
        """Numbers in it can be changed."""
        data = self._data[at : at + size]
        return data if self._own else memoryview(bytearray(data))


class Failed:
    """Big data that could not be fetched."""

    def __init__(self, why: Exception) -> None:
        self._why = why

    @property
    def text(self) -> memoryview:
        raise self._why

    def close(self) -> None:
        pass


Source = "Beside | Behind | Failed"


def behind(body: bytes, start: int) -> Behind:
    """The big data behind the JSON of a reply."""
    view = memoryview(body)
    end = start + 4 + _LENGTH(body, start)[0]
    return Behind(view[start + 4 : end], view[end:])


# --- to the host -----------------------------------------------------------


def _describe(array: Any, name: str, add: Callable[[Any], "list[int] | None"]) -> dict[str, Any]:
    """A column for the host, which checks every number of it."""
    kind, length = array.type, len(array)
    buffers = array.buffers()
    said: dict[str, Any] = {"name": name, "type": _TYPES.get(str(kind), ""), "length": length}
    used: list[Any] = [buffers[0] if array.null_count else None]
    head = str(kind).partition("[")[0].partition("(")[0].partition("<")[0]
    if head in ("timestamp", "duration", "time32", "time64"):
        said |= {"type": head, "unit": kind.unit, "zone": getattr(kind, "tz", None) or ""}
    elif head in ("decimal128", "decimal256"):
        said |= {"type": head, "precision": kind.precision, "scale": kind.scale}
    elif head == "struct":
        said |= {"type": head, "children": [_describe(array.field(i), kind.field(i).name, add) for i in range(kind.num_fields)]}
    elif head in ("list", "large_list"):
        said |= {"type": head, "children": [_describe(array.values, "item", add)]}
        used.append(buffers[1])
    elif head == "map":
        pair = [_describe(array.keys, "key", add), _describe(array.items, "value", add)]
        entries = {"name": "entries", "type": "struct", "length": len(array.keys), "buffers": [None], "children": pair}
        said |= {"type": head, "children": [entries]}
        used.append(buffers[1])
    if not said["type"]:
        raise TypeError(f"column {name!r} is of type {kind}, which cannot be passed; convert it first")
    if head not in ("struct", "list", "large_list", "map"):
        used += buffers[1:]
    said["buffers"] = [None if b is None else add(b) for b in used]
    return said


_TYPES = {name: name for name in ("null", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")}
_TYPES |= {"halffloat": "", "float": "float32", "double": "float64", "date32[day]": "date32", "date64[ms]": "date64"}
_TYPES |= {"string": "utf8", "large_string": "large_utf8", "binary": "binary", "large_binary": "large_binary"}


def _flat(column: Any) -> Any:
    """One array, of a type that the host knows, that begins at the beginning of its buffers."""
    import pyarrow as pa

    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        column = pa.chunked_array([c.storage for c in column.chunks], kind.storage_type)
        kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    elif str(kind) in ("string_view", "binary_view"):
        column = column.cast(pa.large_string() if str(kind) == "string_view" else pa.large_binary())
    elif str(kind) == "halffloat":
        column = column.cast(pa.float32())
    elif pa.types.is_fixed_size_binary(kind) and not pa.types.is_decimal(kind):
        column = column.cast(pa.binary())
    elif pa.types.is_decimal(kind) and kind.bit_width < 128:
        column = column.cast(pa.decimal128(kind.precision, kind.scale))
    array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()  # which copies
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks else pa.array([], array.type)
    if _is_slice(array, pa.types) or array.get_total_buffer_size() > 2 * array.nbytes + 4096:
        batch = pa.record_batch([array], ["c"])
        array = pa.ipc.read_record_batch(batch.serialize(), batch.schema).column(0)
    return array


def _is_slice(array: Any, types: Any) -> bool:
    kind = array.type
    if array.offset:
        return True
    if types.is_struct(kind):
        return any(_is_slice(array.field(i), types) for i in range(kind.num_fields))
    if types.is_map(kind):
        return _is_slice(array.keys, types) or _is_slice(array.items, types)
    if types.is_list(kind) or types.is_large_list(kind):
        return _is_slice(array.values, types)
    return False


class Parcel:
    """Arguments of a call, of which some are big data."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values
        self._pieces: list[tuple[str, str, int, int, Callable[[Any], None]]] = []
        self.size = 0

    def add_bytes(self, name: str, data: Any) -> None:
        view = memoryview(data).cast("B")
        self._add(name, _BYTES, view.nbytes, lambda write: write(view))

    def add_table(self, name: str, table: Any) -> None:
        """The buffers of a pyarrow.Table, their description, and its size."""
        parts: list[Any] = []
        size = 0

        def add(buffer: Any) -> "list[int]":
            nonlocal size
            if pad := -size % _ALIGN:
                parts.append(bytes(pad))
                size += pad
            parts.append(buffer)
            at = size
            size += buffer.size
            return [at, buffer.size]

        columns = [_describe(_flat(c), n, add) for n, c in zip(table.column_names, table.columns)]
        header = encode({"rows": table.num_rows, "columns": columns})
        parts += [header, _PACK_SIZE(len(header))]
        size += len(header) + 8

        def save(write: Callable[[Any], None]) -> None:
            for part in parts:
                write(part)

        self._add(name, COLUMNS, size, save)

    def _add(self, name: str, mime: str, size: int, save: Callable[[Any], None]) -> None:
        at = -(-self.size // _ALIGN) * _ALIGN
        self._pieces.append((name, mime, at, size, save))
        self.size = at + size

    def arguments(self, run: bytes) -> bytes:
        """The arguments with references in place of the big data."""
        values = dict(self._values)
        for name, mime, at, size, _ in self._pieces:
            values[name] = {"$attached": [run.hex(), at, size, mime]}
        return encode(values)

    def save(self, write: Callable[[Any], None]) -> None:
        """Write all of it, from the beginning."""
        done = 0
        for _, _, at, size, save in self._pieces:
            if at > done:
                write(bytes(at - done))
            save(write)
            done = at + size

    def save_to(self, file: Descriptor) -> None:
        fd = file.fd
        if fd < 0:
            raise OSError("there is no way for big data: too many files are open")

        def write(data: Any) -> None:
            view = memoryview(data).cast("B")
            while view:
                view = view[os.write(fd, view) :]

        try:
            self.save(write)
        finally:
            file.close()

    def pieces(self) -> "Iterator[bytes]":
        """All of it in pieces for frames."""
        parts: list[bytes] = []
        self.save(lambda data: parts.append(bytes(data)))
        for part in parts:
            for at in range(0, len(part), _PIECE):
                yield part[at : at + _PIECE]


def pack(values: dict[str, Any], tables: "frozenset[str]") -> "bytes | Parcel":
    """Encode arguments; tables are the names of those that are to be tables."""
    if not tables and (small := scalars(values)) is not None:
        return small
    parcel = None
    for name, value in values.items():
        kind = type(value)
        if kind in (bytes, bytearray, memoryview):
            if memoryview(value).nbytes >= BIG:
                parcel = parcel or Parcel(values)
                parcel.add_bytes(name, value)
        elif tables and name in tables and value is not None:
            if HAS_ARROW:
                parcel = parcel or Parcel(values)
                parcel.add_table(name, _to_arrow(value))
            else:
                values = {**values, name: _to_rows(value)}
                if parcel:
                    parcel._values = values
    return encode(values) if parcel is None else parcel


def _to_arrow(value: Any) -> Any:
    import pyarrow as pa

    if isinstance(value, pa.Table):
        return value
    if isinstance(value, pa.RecordBatch):
        return pa.Table.from_batches([value])
    pandas = sys.modules.get("pandas")
    if pandas is not None:
        if isinstance(value, pandas.Series):
            value = value.to_frame()
        if isinstance(value, pandas.DataFrame):
            return pa.Table.from_pandas(_without_index(value), preserve_index=False, nthreads=1)
    if isinstance(value, (list, tuple)):
        return pa.Table.from_pylist([dict(row) for row in value])
    return pa.table(value)  # a dict of columns, or what speaks Arrow's protocol


def _without_index(frame: Any) -> Any:
    """An index with a name becomes columns; the numbers of rows are none."""
    if all(name is None for name in frame.index.names):
        return frame
    try:
        return frame.reset_index()
    except ValueError:  # there is a column of that name
        return frame


def _to_rows(value: Any) -> Any:
    """A table as columns and rows, for a host that makes Arrow data of it."""
    if hasattr(value, "to_frame") and not hasattr(value, "columns"):
        value = value.to_frame()
    if hasattr(value, "columns") and hasattr(value, "itertuples"):
        value = _without_index(value)
        columns = [[str(c), _HINTS.get(str(t)[:8].partition("[")[0].lower(), "")] for c, t in value.dtypes.items()]
        for column, dtype in zip(columns, value.dtypes):
            if "datetime64" in str(dtype):
                column[1] = "TIMESTAMPTZ" if "," in str(dtype) else "TIMESTAMP"
        return {"columns": columns, "rows": [list(row) for row in value.itertuples(index=False, name=None)]}
    if isinstance(value, dict):
        names = list(value)
        return {"columns": [[str(n), ""] for n in names], "rows": [list(row) for row in zip(*value.values())]}
    return plain(value)


_HINTS = {"int64": "INTEGER", "int32": "INTEGER", "float64": "DOUBLE", "bool": "BOOLEAN", "str": "TEXT"}


# --- from the host ---------------------------------------------------------


def readers(data: Any) -> dict[str, Callable[[Any], Any]]:
    """How to read what lies beside the JSON."""
    return {"$bytes": lambda v: data.copy(*v), "$arrow": lambda v: _from_arrow(data.view(*v))}


def _from_arrow(view: memoryview) -> Any:
    import pyarrow as pa
    import pyarrow.ipc  # not always loaded by pyarrow

    table = pa.ipc.open_stream(pa.py_buffer(view)).read_all()
    note = (table.schema.metadata or {}).get(_NOTE, b"").decode("utf-8", "replace")
    if not _HAS_PANDAS:
        return table
    frame = _to_pandas(table, view)
    if note:
        frame.attrs["note"] = note
        import warnings

        warnings.warn(note, stacklevel=4)
    return frame


def _to_pandas(table: Any, memory: memoryview) -> Any:
    """A DataFrame that keeps nulls and can be changed.

    Numbers and times without nulls stay where they are: the mapping is private,
    so what is written there is written to pages of its own. pyarrow would make
    such columns read-only.
    """
    import numpy
    import pandas
    import pyarrow as pa

    base = pa.py_buffer(memory).address
    columns: "dict[int, Any]" = {}
    rest = []
    for i, column in enumerate(table.columns):
        kind = column.type
        if column.num_chunks == 1 and not column.null_count and _is_flat(pa.types, kind):
            chunk = column.chunk(0)
            start = chunk.buffers()[1].address - base + chunk.offset * kind.bit_width // 8
            columns[i] = numpy.frombuffer(memory, kind.to_pandas_dtype(), len(chunk), start)
        else:
            rest.append(i)
    if rest:
        others = table.select(rest).to_pandas(
            split_blocks=True, use_threads=False, date_as_object=False, maps_as_pydicts="lossy", ignore_metadata=True
        )
        for at, i in enumerate(rest):
            columns[i] = _kept(others.iloc[:, at].array, table.column(i), pandas, pa.types)
    frame = pandas.DataFrame({i: columns[i] for i in range(table.num_columns)}, copy=False, index=range(table.num_rows))
    frame.columns = table.column_names
    return frame


def _is_flat(types: Any, kind: Any) -> bool:
    """Whether numpy has the same values in the same form."""
    if types.is_timestamp(kind):
        return kind.tz is None
    return types.is_integer(kind) or types.is_floating(kind) or types.is_duration(kind)


def _kept(values: Any, column: Any, pandas: Any, types: Any) -> Any:
    kind = column.type
    if column.null_count and (types.is_integer(kind) or types.is_boolean(kind)):  # numpy's have no null
        name = "boolean" if types.is_boolean(kind) else str(kind).replace("u", "U").replace("i", "I")  # Int64, UInt8
        return pandas.api.types.pandas_dtype(name).__from_arrow__(column)
    inside = getattr(values, "_ndarray", None)
    if inside is not None and not inside.flags.writeable:
        return values.copy()
    return values


def table_of(value: Any) -> Any:
    """A table that came as its columns' names and its rows."""
    names, rows = value
    if _HAS_PANDAS:
        import pandas

        return pandas.DataFrame(rows, columns=names)
    return [Record(zip(names, row)) for row in rows]
