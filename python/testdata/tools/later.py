"""Hints that are text."""

from __future__ import annotations

from typing import Annotated, Any, Optional

from strands import ToolContext, tool
from strands.types.tools import ToolResult, ToolUse


@tool
def postponed(a: int, b: Annotated[str, "said here"], c: Optional[list[int]] = None) -> ToolResult:
    """Postponed evaluation.

    Args:
        a: a number
    """
    return {"toolUseId": "", "status": "success", "content": [{"text": f"{a} {b} {c}"}]}


@tool(context=True)
def with_context(a: int, tool_context: ToolContext) -> str:
    """Sees its call."""
    return tool_context.tool_use["toolUseId"]


@tool(context="ctx")
def with_other_name(ctx: ToolContext, a: int = 1, agent: Any = None) -> str:
    """Sees its call under another name."""
    return ctx.tool_use["name"]


class Box:
    def __init__(self) -> None:
        self.items: list[str] = []

    @tool
    def put(self, item: str) -> str:
        """Put something in."""
        self.items.append(item)
        return ", ".join(self.items)


box = Box()
put = box.put


@tool
async def slow(a: int) -> int:
    """A coroutine."""
    return a


@tool
async def counting(n: int):
    """An asynchronous generator."""
    for i in range(n):
        yield i
