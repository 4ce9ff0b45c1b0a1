"""As in the SDK: the decorator, and what a module with a TOOL_SPEC becomes."""

from strands.tools.decorator import tool
from strands.tools.tools import PythonAgentTool

__all__ = ["PythonAgentTool", "tool"]
