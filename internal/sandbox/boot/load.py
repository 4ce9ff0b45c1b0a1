"""Reads the modules of the bootstrap from the control socket and runs them."""

import json
import linecache
import marshal
import os
import sys
import types
from _frozen_importlib_external import MAGIC_NUMBER

CONTROL = 3
CODES: "dict[str, types.CodeType]" = {}  # by name of the module


def read(size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = os.read(CONTROL, size - len(data))
        if not part:
            os._exit(0)
        data += part
    return data


def compile_all(modules: "list[list[str]]", cache: str) -> None:
    """Fills CODES. Compiling takes longer than starting Python, so the code is kept in the file cache, whose name changes
    with the sources and the interpreter. Its folder is the host's own, like those of other compiled files."""
    if cache:
        try:
            with open(cache, "rb") as f:
                data = f.read()
            if data.startswith(MAGIC_NUMBER):
                CODES.update(marshal.loads(data[len(MAGIC_NUMBER) :]))
                return
        except (OSError, ValueError, EOFError, TypeError):
            pass  # made anew
    for name, source in modules:
        CODES[name] = compile(source, f"<{name}>", "exec", dont_inherit=True)
    if cache:
        part = f"{cache}.{os.getpid()}"
        try:
            with open(part, "wb") as f:
                f.write(MAGIC_NUMBER + marshal.dumps(CODES))
            os.replace(part, cache)
        except OSError:
            pass  # it only saves time


def define(name: str, source: str) -> types.ModuleType:
    """Registers and executes a module that has no file; tracebacks show its lines."""
    module = types.ModuleType(name)
    module.__file__ = filename = f"<{name}>"
    sys.modules[name] = module
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    exec(CODES[name], module.__dict__)
    return module


def start() -> None:
    start = json.loads(read(int.from_bytes(read(4), "little")))
    compile_all(start["boot"] + start["config"]["worker"], start["cache"])
    for name, source in start["boot"]:
        last = define(name, source)
    last.main(start["config"], define)


start()
