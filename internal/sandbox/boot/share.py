"""Keeps the memory of forks shared.

The kernel copies a page for a fork when one of the two writes to it, and CPython counts references in the objects
themselves: merely to look at a module's functions would copy most of what was imported. Immortal objects are not counted
(PEP 683). What exists when sessions are about to be forked lives as long as the process anyway, so it is made immortal.
"""

import ctypes
import gc
import sys
from collections import deque
from types import CodeType
from typing import Any


def share() -> None:
    """Makes every object there is immortal, where the interpreter can: CPython from 3.14 on, which counts them with a GIL."""
    gc.collect()
    make = getattr(ctypes.pythonapi, "_Py_SetImmortalUntracked", None)
    if make is not None and hasattr(sys, "_is_immortal") and sys._is_gil_enabled():
        make.argtypes, make.restype = (ctypes.py_object,), None
        immortal = sys._is_immortal
        found = gc.get_objects()
        while found:
            deque(map(make, found), maxlen=0)
            found = [o for o in _below(found) if not immortal(o)]
    gc.freeze()  # else the next collection writes into all of them


def _below(objects: "list[Any]") -> "list[Any]":
    """What objects refer to. The collector does not know the keys of dictionaries and the parts of code."""
    found = gc.get_referents(*objects)
    for o in objects:
        if type(o) is CodeType:
            found += (o.co_consts, o.co_names, o.co_filename, o.co_name, o.co_qualname, o.co_linetable, o.co_exceptiontable)
        elif type(o) is dict:
            found += o
    return found
