"""The output folder: what a snippet wrote there, and files in and out.

Names are relative with slashes. Each part is opened below the one before it
and no symbolic link is followed, so a name cannot lead out of the folder.
"""

from strands_worker.private import BUILTINS as __builtins__
from strands_worker.private import own

import os
import stat
import time
from typing import Any, Iterator

from strands_worker.streams import FOLDER

os = own(os)

_stat = os.stat
_now = time.time_ns
_GRAIN = 50_000_000  # ns: a folder changed this lately may change again under the same time
_MOST = 4096  # files looked at
_LEVELS = 16
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_DIRECTORY = getattr(os, "O_DIRECTORY", 0)
_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_RELATIVE = os.open in os.supports_dir_fd

# Not module mimetypes: it reads the machine's own tables.
_TYPES = {
    "csv": "text/csv", "tsv": "text/tab-separated-values", "txt": "text/plain", "md": "text/markdown",
    "html": "text/html", "htm": "text/html", "css": "text/css", "js": "text/javascript", "py": "text/x-python",
    "json": "application/json", "jsonl": "application/jsonl", "xml": "application/xml", "yaml": "application/yaml",
    "yml": "application/yaml", "pdf": "application/pdf", "zip": "application/zip", "gz": "application/gzip",
    "parquet": "application/vnd.apache.parquet", "arrow": "application/vnd.apache.arrow.file",
    "feather": "application/vnd.apache.arrow.file", "sqlite": "application/vnd.sqlite3",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "svg": "image/svg+xml",
    "webp": "image/webp", "bmp": "image/bmp", "tif": "image/tiff", "tiff": "image/tiff",
    "mp3": "audio/mpeg", "wav": "audio/wav", "mp4": "video/mp4", "webm": "video/webm",
}  # fmt: skip


def mime(name: str) -> str:
    return _TYPES.get(name.rpartition(".")[2].lower(), "application/octet-stream")


class Folder:
    """The output folder of a session. Files of more than limit bytes are not handed out; 0 = any are."""

    def __init__(self, path: str, limit: int = 0) -> None:
        self._path = os.path.abspath(path)
        self._limit = limit
        self._known: dict[str, tuple[int, int, int]] = {}
        self._folders: dict[str, int] = {}  # with the time of change at which nothing can be missed
        self._upload = -1
        self._upload_name = ""
        self.changed()

    def changed(self) -> list[dict[str, Any]]:
        """Files that are new or different since the last call."""
        if self._quiet():
            return []
        before = self._known
        self._known, self._folders = {}, {}
        found = []
        for name, info in self._walk():
            mark = (info.st_mtime_ns, info.st_size, info.st_ino)
            self._known[name] = mark
            if before.get(name) != mark:
                found.append(_entry(name, info))
        return found

    def names(self) -> set[str]:
        """The files that were there at the last call of changed."""
        return set(self._known)

    def entries(self) -> list[dict[str, Any]]:
        """Every file there is."""
        return [_entry(name, info) for name, info in self._walk()]

    def _quiet(self) -> bool:
        """Whether nothing can have changed: the usual case, for the price of a stat."""
        if not self._folders:
            return False
        try:
            for path, when in self._folders.items():
                if _stat(path).st_mtime_ns != when:
                    return False
            for name, mark in self._known.items():
                info = _stat(f"{self._path}/{name}", follow_symlinks=False)
                if (info.st_mtime_ns, info.st_size, info.st_ino) != mark:
                    return False
        except OSError:
            return False
        return True

    def _walk(self) -> Iterator[tuple[str, os.stat_result]]:
        todo, count = [("", 0)], 0
        while todo:
            below, level = todo.pop()
            path = f"{self._path}/{below}" if below else self._path
            start = _now()
            try:
                when = _stat(path).st_mtime_ns
                entries = sorted(os.scandir(path), key=lambda e: e.name)
            except OSError:
                continue
            self._folders[path] = when if start - when > _GRAIN else -1
            for entry in entries:
                name = f"{below}/{entry.name}" if below else entry.name
                try:
                    info = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                if stat.S_ISDIR(info.st_mode) and level < _LEVELS and name != FOLDER:
                    todo.append((name, level + 1))
                elif stat.S_ISREG(info.st_mode):
                    count += 1
                    if count > _MOST:
                        return
                    yield name, info

    # --- opening

    def _open(self, name: str, flags: int, make: bool) -> int:
        parts = name.split("/")
        if not name or any(p in ("", ".", "..") or "\0" in p or "\\" in p for p in parts):
            raise ValueError(f"{name!r} is not the name of a file in the output folder")
        if not _RELATIVE:
            return self._open_by_path(parts, flags, make)
        at = os.open(self._path, os.O_RDONLY | _DIRECTORY | _BINARY)
        try:
            for part in parts[:-1]:
                if make:
                    try:
                        os.mkdir(part, 0o755, dir_fd=at)
                    except FileExistsError:
                        pass
                below = os.open(part, os.O_RDONLY | _DIRECTORY | _NOFOLLOW | _BINARY, dir_fd=at)
                os.close(at)
                at = below
            return _regular(os.open(parts[-1], flags | _NOFOLLOW | _BINARY, 0o644, dir_fd=at), name)
        finally:
            os.close(at)

    def _open_by_path(self, parts: list[str], flags: int, make: bool) -> int:
        """Where nothing can be opened below a folder (Windows)."""
        path = self._path
        for i, part in enumerate(parts):
            if ":" in part:
                raise ValueError(f"{part!r} is not the name of a file in the output folder")
            path = os.path.join(path, part)
            if os.path.islink(path) or os.path.realpath(path) != os.path.join(os.path.realpath(self._path), *parts[: i + 1]):
                raise PermissionError(f"{'/'.join(parts)} is a link")
            if make and i < len(parts) - 1:
                os.makedirs(path, exist_ok=True)
        return _regular(os.open(path, flags | _BINARY, 0o644), "/".join(parts))

    def read(self, name: str, size: int) -> Iterator[bytes]:
        """The bytes of a file, in pieces of at most size."""
        fd = self._open(name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0), False)
        sent = 0
        try:
            while data := os.read(fd, size):
                sent += len(data)
                whole = max(sent, os.fstat(fd).st_size)
                if 0 < self._limit < whole:
                    raise ValueError(f"it has {whole} bytes, and at most {self._limit} can be handed out")
                yield data
        finally:
            os.close(fd)

    def write(self, name: str, first: bool, last: bool, data: bytes) -> None:
        """Take a piece of a file; it is the snippet's news only if it changes it."""
        if first:
            self._end_upload()
            self._upload = self._open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, True)
            self._upload_name = name
        elif self._upload < 0 or self._upload_name != name:
            raise ValueError(f"{name} was not begun")
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._upload, view) :]
            if last:
                info = os.fstat(self._upload)
                self._known[name] = (info.st_mtime_ns, info.st_size, info.st_ino)
                self._folders.clear()  # look again after the next run
        except OSError:
            last = True
            raise
        finally:
            if last:
                self._end_upload()

    def _end_upload(self) -> None:
        if self._upload >= 0:
            fd, self._upload = self._upload, -1
            os.close(fd)


def _regular(fd: int, name: str) -> int:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise PermissionError(f"{name} is not a regular file")
    return fd


def _entry(name: str, info: os.stat_result) -> dict[str, Any]:
    return {"name": name, "mime": mime(name), "size": info.st_size}
