"""Messages as the SDK writes them."""

from typing import Any, Literal, TypedDict

from strands.types.media import DocumentContent, ImageContent, VideoContent
from strands.types.tools import ToolResult, ToolUse

Role = Literal["user", "assistant"]


class ContentBlock(TypedDict, total=False):
    """One piece of a message; one key is set."""

    text: str
    image: ImageContent
    document: DocumentContent
    video: VideoContent
    toolUse: ToolUse
    toolResult: ToolResult
    reasoningContent: Any
    cachePoint: Any
    guardContent: Any
    citationsContent: Any


class Message(TypedDict):
    """What one side said."""

    role: Role
    content: list[ContentBlock]


Messages = list[Message]
SystemContentBlock = ContentBlock
