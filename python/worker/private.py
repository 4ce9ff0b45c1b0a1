"""A copy of the builtins that the model's code has no name for.

Every module of the worker begins with

    from strands_worker.private import BUILTINS as __builtins__

A function takes its builtins from its globals when it is made, so what the
model does to the module builtins cannot break the worker. The same dict tells
an interrupt whether the code on top of the stack is ours.
"""

import builtins
from typing import Any

BUILTINS: dict[str, Any] = dict(builtins.__dict__)
