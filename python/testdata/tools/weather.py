"""A module with a TOOL_SPEC, from before there was a decorator."""

from typing import Any

from strands.types.tools import ToolResult, ToolUse

TOOL_SPEC = {
    "name": "weather",
    "description": "The weather of a city.",
    "inputSchema": {
        "json": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Which city."},
                "detail": {"type": "object", "properties": {"days": {"type": "integer"}}},
                "unit": {"description": "C or F"},
            },
            "required": ["city"],
        }
    },
}


def weather(tool: ToolUse, **kwargs: Any) -> ToolResult:
    city = tool["input"]["city"]
    return {"toolUseId": tool["toolUseId"], "status": "success", "content": [{"text": f"{city}: sunny"}, {"json": {"temp": 20.5}}]}
