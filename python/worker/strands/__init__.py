"""What tool files import of the Strands SDK, for a session whose agent is a Go program.

It is the SDK's surface for writing tools, and no more: `tool`, `ToolContext`
and the types. Agents, models and hooks belong to the program.
"""

from strands._agent import Agent
from strands.tools.decorator import tool
from strands.types.tools import ToolContext

__all__ = ["Agent", "ToolContext", "tool"]
