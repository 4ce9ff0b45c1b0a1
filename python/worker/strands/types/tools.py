"""What a tool is told and what it answers."""

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, AsyncGenerator, Callable, Literal, TypedDict

from strands.types.media import DocumentContent, ImageContent

JSONSchema = dict[str, Any]
ToolGenerator = AsyncGenerator[Any, None]
ToolFunc = Callable[..., Any]
ToolResultStatus = Literal["success", "error"]


class _Spec(TypedDict):
    name: str
    description: str
    inputSchema: JSONSchema


class ToolSpec(_Spec, total=False):
    """How a tool is described to a model."""

    outputSchema: JSONSchema
    annotations: dict[str, object]


class Tool(TypedDict):
    """A tool in a request to a model."""

    toolSpec: ToolSpec


class _Use(TypedDict):
    toolUseId: str
    name: str
    input: Any


class ToolUse(_Use, total=False):
    """A call of a tool, as the model made it."""

    reasoningSignature: str


class ToolResultContent(TypedDict, total=False):
    """One piece of a result; one key is set."""

    text: str
    json: Any
    image: ImageContent
    document: DocumentContent


class ToolResult(TypedDict):
    """The answer of a tool."""

    toolUseId: str
    status: ToolResultStatus
    content: list[ToolResultContent]


@dataclass
class ToolContext:
    """What a tool can know of its call, in the parameter named by @tool(context=…)."""

    tool_use: ToolUse
    agent: Any
    invocation_state: dict[str, Any]
    # A call is stopped by an interrupt here, so that nobody sets it.
    cancel_signal: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)

    def interrupt(self, name: str, reason: Any = None, response: Any = None) -> Any:
        """Ask a person, and return the answer.

        The first time the call ends here. When the answer has come the tool is
        called again from its beginning, and this returns it.
        """
        if response is not None:
            return response
        return self.agent._ask(name, reason)


class AgentTool(ABC):
    """A tool: a name, a description for the model, and what to do."""

    @property
    @abstractmethod
    def tool_name(self) -> str:
        """The name that the model calls."""

    @property
    @abstractmethod
    def tool_spec(self) -> ToolSpec:
        """The description for the model."""

    @property
    @abstractmethod
    def tool_type(self) -> str:
        """A word for people."""

    @property
    def supports_hot_reload(self) -> bool:
        """Whether it may be replaced by one of its name."""
        return True
