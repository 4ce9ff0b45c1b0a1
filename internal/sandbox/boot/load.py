"""Reads the modules of the bootstrap from the control socket and runs them."""

import json
import linecache
import os
import sys
import types
from typing import Any

CONTROL = 3


def read(size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = os.read(CONTROL, size - len(data))
        if not part:
            os._exit(0)
        data += part
    return data


def define(name: str, source: str) -> types.ModuleType:
    """Registers and executes a module that has no file; tracebacks show its lines."""
    module = types.ModuleType(name)
    module.__file__ = filename = f"<{name}>"
    sys.modules[name] = module
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    exec(compile(source, filename, "exec"), module.__dict__)
    return module


def start() -> None:
    start: dict[str, Any] = json.loads(read(int.from_bytes(read(4), "little")))
    for name, source in start["boot"]:
        last = define(name, source)
    last.main(start["config"], define)


start()
