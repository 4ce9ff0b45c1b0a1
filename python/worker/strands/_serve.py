"""Loads tools and calls them, when the host asks.

The host runs serve() as a snippet. It takes one request from the host, does
it and gives the answer; a request is bounded and interrupted as a snippet is.
"""

import asyncio
import importlib
import inspect
import json
import sys
import traceback
import types
from typing import Any, AsyncIterator, Callable

from strands._agent import CallingAgent
from strands._inputs import normalized
from strands._sources import PREFIX, Finder, run
from strands.interrupt import InterruptException
from strands.tools.decorator import DecoratedFunctionTool
from strands.tools.tools import PythonAgentTool
from strands.types.tools import ToolContext, ToolUse

Tool = DecoratedFunctionTool | PythonAgentTool
Answer = dict[str, Any]

_entries: dict[str, tuple[str, dict[str, Tool]]] = {}  # what was loaded: version and tools, by entry
_finders: list[Finder] = []


def serve(host: Callable[..., Any]) -> None:
    """Do what the host asks, once."""
    request = json.loads(host("take", None))
    ident = request["id"]

    def ask(operation: str, body: Any) -> Any:
        return host(operation, {"id": ident, "body": body})

    if not _finders:
        finder = Finder(lambda root, name: json.loads(host("source", {"root": root, "name": name})))
        finder.install()
        _finders.append(finder)
    answer = _load(request) if request["do"] == "load" else _call(request, ask)
    try:
        ask("answer", answer)
    except (TypeError, ValueError, RecursionError) as e:  # it has no JSON form, or is too long
        ask("answer", _failed(f"Error: the result cannot be handed over: {e}"))


# --- loading ---------------------------------------------------------------


def _load(request: dict[str, Any]) -> Answer:
    finder = _finders[0]
    try:
        finder.use(request["root"], request["listing"], bool(request["fresh"]))
        module = _file(request) if request["file"] else importlib.import_module(request["module"])
        tools = _tools_of(module, request["module"].rpartition(".")[2], request["function"])
        told = [_told(t) for t in tools]
    except KeyboardInterrupt:
        raise
    except BaseException as e:  # whatever a file does when it is imported
        return {"error": _said(e), "traceback": _trace(e)}
    _entries[request["entry"]] = request["version"], {t["name"]: tool for t, tool in zip(told, tools)}
    return {"tools": told}


def _file(request: dict[str, Any]) -> types.ModuleType:
    name, key = request["module"], PREFIX + request["module"]
    module = types.ModuleType(name)
    before = sys.modules.get(key)
    sys.modules[key] = module
    # Dataclasses and get_type_hints look a module up by its name.
    named = sys.modules.setdefault(name, module) is module
    try:
        run(module, request["source"], request["file"])
    except BaseException:
        if before is None:
            del sys.modules[key]
        else:
            sys.modules[key] = before
        raise
    finally:
        if named and sys.modules.get(name) is module:
            del sys.modules[name]
    return module


def _tools_of(module: types.ModuleType, name: str, function: str) -> list[Tool]:
    if function:
        found = getattr(module, function, None)
        if not isinstance(found, DecoratedFunctionTool):
            raise AttributeError(f"{module.__name__} has no function {function} with @tool")
        return [found]
    tools: list[Tool] = []
    for attribute in dir(module):
        value = getattr(module, attribute)
        if isinstance(value, DecoratedFunctionTool) and not any(value is t for t in tools):
            tools.append(value)
    if tools:
        return tools
    spec = getattr(module, "TOOL_SPEC", None)
    if not spec:
        raise AttributeError("there is no function with @tool and no TOOL_SPEC in it")
    if not hasattr(module, name):
        raise AttributeError(f"there is a TOOL_SPEC, but no function {name}")
    if not callable(getattr(module, name)):
        raise TypeError(f"{name} is not a function")
    return [PythonAgentTool(name, spec, getattr(module, name))]


def _told(tool: Tool) -> dict[str, Any]:
    spec = tool.tool_spec
    for key in ("name", "description", "inputSchema"):
        if key not in spec:
            raise ValueError(f"the spec of {tool.tool_name} has no {key!r}")
    told = {
        "name": tool.tool_name,
        "description": str(spec["description"]),
        "input": json.dumps(normalized(_bare(spec["inputSchema"]))),
        "stream": inspect.isasyncgenfunction(tool.function) or inspect.isgeneratorfunction(tool.function),
        "from": getattr(tool.function, "__module__", "") or "",
    }
    if "outputSchema" in spec:
        told["output"] = json.dumps(_bare(spec["outputSchema"]))
    return told


def _bare(schema: Any) -> Any:
    return schema["json"] if isinstance(schema, dict) and "json" in schema else schema


# --- calling ---------------------------------------------------------------


def _call(request: dict[str, Any], ask: Callable[[str, Any], Any]) -> Answer:
    version, tools = _entries.get(request["entry"], ("", {}))
    if version != request["version"] or request["name"] not in tools:
        return {"missing": True}
    tool = tools[request["name"]]
    _finders[0].use(request["root"])
    use: ToolUse = {"toolUseId": request["callId"], "name": request["name"], "input": json.loads(request["input"])}
    agent = CallingAgent(ask, request["agent"])
    try:
        if isinstance(tool, PythonAgentTool):
            result = _result(tool.function(use, **_state(tool.function, agent)), ask)
        else:
            result = _result(tool.function(**_arguments(tool, use, agent)), ask)
    except InterruptException as e:
        return _failed(f"waiting for a person: {e.interrupt.name}")
    except KeyboardInterrupt:
        raise
    except ValueError as e:
        return _failed(f"Error: {e}")
    except BaseException as e:
        return _failed(f"Error: {type(e).__name__} - {e}")
    return _wrapped(result)


def _arguments(tool: DecoratedFunctionTool, use: ToolUse, agent: CallingAgent) -> dict[str, Any]:
    inputs = tool.inputs
    arguments = inputs.arguments(use["input"])
    if inputs.context is not None and inputs.context in inputs.parameters:
        arguments[inputs.context] = ToolContext(use, agent, {"agent": agent})
    if "agent" in inputs.parameters:
        arguments["agent"] = agent
    return arguments


def _state(function: Callable[..., Any], agent: CallingAgent) -> dict[str, Any]:
    """The invocation state, for a function that wants it."""
    parameters = inspect.signature(function).parameters.values()
    wanted = any(p.kind is p.VAR_KEYWORD or p.name == "agent" for p in parameters)
    return {"agent": agent} if wanted else {}


def _result(value: Any, ask: Callable[[str, Any], Any]) -> Any:
    """What a call comes to: coroutines are awaited, generators shown item by item."""
    if inspect.isasyncgen(value):
        return asyncio.run(_drained(value, ask))
    if inspect.iscoroutine(value):
        return asyncio.run(_awaited(value))
    if inspect.isgenerator(value):
        item = None
        for item in value:
            ask("item", _wrapped(item))
        return item
    return value


async def _awaited(value: Any) -> Any:
    return await value


async def _drained(items: AsyncIterator[Any], ask: Callable[[str, Any], Any]) -> Any:
    item = None
    async for item in items:
        ask("item", _wrapped(item))
    return item


def _wrapped(value: Any) -> Answer:
    """A result in the SDK's form, whatever a tool returned."""
    if isinstance(value, dict) and "status" in value and "content" in value:
        return {"status": str(value["status"]), "content": [_content(c) for c in value["content"]]}
    if isinstance(value, str):
        return _text(value)
    try:
        if hasattr(value, "model_dump_json"):
            return _text(value.model_dump_json(), True)
        return _text(json.dumps(value, ensure_ascii=False), True)
    except Exception:  # it has no JSON form
        return _text(str(value))


def _content(piece: Any) -> Any:
    """A piece of a result; JSON is written here, as what a Go program makes of numbers is not the same."""
    if isinstance(piece, dict) and "json" in piece:
        return {"json": json.dumps(piece["json"], ensure_ascii=False, default=str)}
    return piece


def _text(text: str, is_json: bool = False) -> Answer:
    return {"status": "success", "content": [{"text": text}], "json": is_json}


def _failed(text: str) -> Answer:
    return {"status": "error", "content": [{"text": text}]}


# --- what went wrong -------------------------------------------------------


def _said(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(type(error), error)).strip()


def _trace(error: BaseException) -> str:
    """The traceback without the frames above the file."""
    told = traceback.TracebackException(type(error), error, error.__traceback__)
    frames = [f for f in told.stack if not f.filename.startswith("<")]
    told.stack[:] = frames
    return "".join(told.format())
