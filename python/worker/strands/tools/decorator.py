"""@tool: a function becomes a tool, and stays the function it is."""

import functools
import inspect
from typing import Any, Callable

from strands._inputs import Inputs
from strands.types.tools import AgentTool, JSONSchema, ToolSpec


class DecoratedFunctionTool(AgentTool):
    """A function as a tool. Called, it is the plain function; as an attribute of an object, its method."""

    def __init__(self, name: str, spec: ToolSpec, function: Callable[..., Any], inputs: Inputs) -> None:
        self._name, self._spec, self._inputs = name, spec, inputs
        self.function = function
        functools.update_wrapper(self, function)

    def __get__(self, instance: Any, owner: type | None = None) -> "DecoratedFunctionTool":
        if instance is None or inspect.ismethod(self.function):
            return self
        return DecoratedFunctionTool(self._name, self._spec, self.function.__get__(instance, type(instance)), self._inputs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    @property
    def tool_name(self) -> str:
        """The name that the model calls."""
        return self._name

    @property
    def tool_type(self) -> str:
        """A word for people."""
        return "function"

    @property
    def tool_spec(self) -> ToolSpec:
        """The description for the model."""
        return self._spec

    @tool_spec.setter
    def tool_spec(self, spec: ToolSpec) -> None:
        self._spec = checked_spec(self._name, spec)

    @property
    def inputs(self) -> Inputs:
        """The parameters of the function."""
        return self._inputs


def checked_spec(name: str, spec: ToolSpec) -> ToolSpec:
    """A new description of the tool of that name."""
    if spec.get("name") != name:
        raise ValueError(f"a tool keeps its name: the new spec is of {spec.get('name')!r}, the tool is {name!r}")
    for key in ("description", "inputSchema"):
        if key not in spec:
            raise ValueError(f"the new spec has no {key!r}")
    return spec


def tool(
    func: Callable[..., Any] | None = None,
    description: str | None = None,
    inputSchema: JSONSchema | None = None,
    name: str | None = None,
    context: bool | str = False,
) -> Any:
    """Make a tool of a function, as @tool or as @tool(name=…, description=…, inputSchema=…, context=…)."""

    def decorate(function: Callable[..., Any]) -> DecoratedFunctionTool:
        if isinstance(context, bool):
            parameter = "tool_context" if context else None
        elif not (parameter := context.strip()):
            raise ValueError("@tool(context='') names no parameter")
        inputs = Inputs(function, parameter)
        called = function.__name__ if name is None else name
        if not isinstance(called, str):
            raise ValueError(f"the name of a tool must be a string, not a {type(called).__name__}")
        spec: ToolSpec = {
            "name": called,
            "description": inputs.description if description is None else description,
            "inputSchema": {"json": inputs.schema} if inputSchema is None else inputSchema,
        }
        return DecoratedFunctionTool(called, spec, function, inputs)

    return decorate if func is None else decorate(func)
