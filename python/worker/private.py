"""Copies of names, for a process whose other code is the model's.

Every module of the worker begins with

    from strands_worker.private import BUILTINS as __builtins__

A function takes its builtins from its globals when it is made, so what the
model does to the module builtins cannot break the worker. The same dict tells
an interrupt whether the code on top of the stack is ours.

For other modules there is own. What is written in Python (os.path, json) still
looks its names up where the model can change them: after the model's code has
run, call only what is written in C, or be ready for any exception.
"""

import builtins
from types import ModuleType
from typing import Any

BUILTINS: dict[str, Any] = dict(builtins.__dict__)


def own(module: Any) -> Any:
    """A copy of a module, in which the model cannot replace the names."""
    copy = ModuleType(module.__name__)
    copy.__dict__.update(module.__dict__)
    return copy
