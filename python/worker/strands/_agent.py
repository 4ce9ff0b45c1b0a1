"""The agent that calls a tool, as far as a tool can see it from its sandbox."""

import json
from typing import Any, Callable, NoReturn

from strands.interrupt import Interrupt, InterruptException

Host = Callable[..., Any]  # (operation, body) -> what the host answers


class Agent:
    """Agents are made by the Go program. A tool gets the one that calls it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("an agent cannot be made inside a tool: it lives in the Go program, which has the models")


class CallingAgent(Agent):
    """What a tool may ask of its agent: name, state, messages, and to call other tools."""

    def __init__(self, host: Host, name: str) -> None:
        self._host = host
        self.name = name
        self.state = _State(host)
        self.tool = _Tools(host)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """A copy of the conversation so far."""
        said: list[dict[str, Any]] = json.loads(self._host("messages", None))
        return said

    def _ask(self, name: str, reason: Any) -> Any:
        answer = json.loads(self._host("interrupt", {"name": name, "reason": reason}))
        if "response" not in answer:
            raise InterruptException(Interrupt(answer.get("id", ""), name, reason))
        return answer["response"]

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"the agent of a Go program offers name, state, messages and tool, not {name}")


class _State:
    """The values of the session: JSON, copied."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def get(self, key: str | None = None) -> Any:
        """The value of a key, None when there is none; of all keys without one."""
        return json.loads(self._host("get", {"key": key}))

    def set(self, key: str, value: Any) -> None:
        """Keep a value that is JSON."""
        try:
            text = json.dumps(value)
        except (TypeError, ValueError) as e:
            raise ValueError(f"the value of {key!r} is not JSON: {e}") from None
        self._host("set", {"key": key, "value": text})

    def delete(self, key: str) -> None:
        """Forget a key."""
        self._host("set", {"key": key, "value": "null"})


class _Tools:
    """The agent's other tools: agent.tool.NAME(argument=…)."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(**arguments: Any) -> Any:
            # How a call is recorded is the program's to say.
            arguments = {k: v for k, v in arguments.items() if k not in ("record_direct_tool_call", "user_message_override")}
            return json.loads(self._host("invoke", {"name": name, "input": json.dumps(arguments)}))

        return call
