"""The older kind of tool: a module with a TOOL_SPEC and a function."""

from typing import Any, Callable

from strands.tools.decorator import checked_spec
from strands.types.tools import AgentTool, ToolSpec


class PythonAgentTool(AgentTool):
    """A function that takes the whole call and describes itself."""

    def __init__(self, tool_name: str, tool_spec: ToolSpec, tool_func: Callable[..., Any]) -> None:
        self._name, self._spec = tool_name, tool_spec
        self.function = tool_func

    @property
    def tool_name(self) -> str:
        """The name that the model calls."""
        return self._name

    @property
    def tool_type(self) -> str:
        """A word for people."""
        return "python"

    @property
    def tool_spec(self) -> ToolSpec:
        """The description for the model."""
        return self._spec

    @tool_spec.setter
    def tool_spec(self, spec: ToolSpec) -> None:
        self._spec = checked_spec(self._name, spec)
