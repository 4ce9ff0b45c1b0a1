"""The Python SDK's side of the comparison; see loop.go. Prints its figures as JSON."""

import gc
import json
import platform
import sys
import time
from importlib.metadata import version

from strands import Agent, tool
from strands.agent.conversation_manager import NullConversationManager
from strands.models.model import Model

TURNS, RUNS, MESSAGES, SESSIONS = (int(a) for a in sys.argv[1:5])
TEXT = sys.argv[5]
EACH = int(sys.argv[6])


class Scripted(Model):
    """Calls the tool until it was asked so many times, and then says something."""

    def __init__(self, turns):
        self.turns = turns

    def get_config(self):
        return {}

    def update_config(self, **config):
        pass

    async def structured_output(self, output_model, prompt, system_prompt=None, **kwargs):
        raise NotImplementedError
        yield

    async def stream(self, messages, tool_specs=None, system_prompt=None, **kwargs):
        calls = 0
        for message in reversed(messages):
            blocks = message["content"]
            if message["role"] == "user" and not any("toolResult" in b for b in blocks):
                break
            calls += sum("toolUse" in b for b in blocks)
        yield {"messageStart": {"role": "assistant"}}
        if calls < self.turns - 1:
            use = {"toolUseId": f"call-{len(messages)}-{calls}", "name": "weather"}
            yield {"contentBlockStart": {"start": {"toolUse": use}}}
            for piece in ('{"city":', '"Oslo"}'):
                yield {"contentBlockDelta": {"delta": {"toolUse": {"input": piece}}}}
        else:
            yield {"contentBlockStart": {"start": {}}}
            for piece in (TEXT[:40], TEXT[40:]):
                yield {"contentBlockDelta": {"delta": {"text": piece}}}
        yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "tool_use" if calls < self.turns - 1 else "end_turn"}}
        yield {"metadata": {"usage": {"inputTokens": 100, "outputTokens": 20, "totalTokens": 120}, "metrics": {"latencyMs": 0}}}


@tool
def weather(city: str) -> str:
    """Says how the weather is.

    Args:
        city: the name of the city
    """
    return TEXT


def agent(turns):
    return Agent(model=Scripted(turns), tools=[weather], callback_handler=None, conversation_manager=NullConversationManager())


def fill(a):
    while len(a.messages) < MESSAGES:
        a("What is the weather in Oslo?")
    return a


def resident():
    gc.collect()
    with open("/proc/self/status", encoding="ascii") as f:
        return next(float(line.split()[1]) for line in f if line.startswith("VmRSS:"))


took = []
for _ in range(RUNS):
    one = agent(TURNS)
    begin = time.perf_counter()
    one("What is the weather in Oslo?")
    took.append((time.perf_counter() - begin) * 1e6 / TURNS)
    assert sum("toolUse" in b for m in one.messages for b in m["content"]) == TURNS - 1
took.sort()
fill(agent(EACH))
before = resident()
everything = [fill(agent(EACH)) for _ in range(SESSIONS)]
print(json.dumps({
    "cycle": took[len(took) // 4],
    "session": (resident() - before) / SESSIONS,
    "version": platform.python_version() + " / " + version("strands-agents"),
}))
