"""Writes the sessions under python/ with the real SDK: pip install strands-agents, then python make.py."""

import pathlib
import shutil

from strands import Agent
from strands.agent.conversation_manager import SlidingWindowConversationManager
from strands.session.file_session_manager import FileSessionManager
from strands.types.session import SessionMessage

here = pathlib.Path(__file__).parent / "python"
shutil.rmtree(here, ignore_errors=True)
manager = FileSessionManager("trip", storage_dir=str(here))
agent = Agent(agent_id="default", session_manager=manager, state={"city": "Oslo", "n": 12345678901234567890},
              conversation_manager=SlidingWindowConversationManager(), model="unused")
every = bytes(range(256))
messages = [
    {"role": "user", "content": [{"text": "Grüße 🦫"}, {"image": {"format": "png", "source": {"bytes": every}}},
                                 {"document": {"format": "txt", "name": "notes", "source": {"bytes": b"hi"}}}]},
    {"role": "assistant", "content": [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
        {"reasoningContent": {"redactedContent": every}},
        {"toolUse": {"toolUseId": "t1", "name": "add", "input": {"b": 1, "a": [2, None]}}}]},
    {"role": "user", "content": [{"toolResult": {"toolUseId": "t1", "status": "error", "content": [{"json": {"x": 1.5}}, {"text": "no"}]}}]},
    {"role": "assistant", "content": [{"citationsContent": {
        "content": [{"text": "said"}],
        "citations": [{"title": "p", "location": {"documentPage": {"documentIndex": 1, "start": 2, "end": 3}}, "sourceContent": [{"text": "q"}]}]}}]},
    {"role": "user", "content": [{"audio": {"format": "wav", "source": {"bytes": b"RIFF"}}}]},
]
messages += [{"role": "assistant" if i % 2 else "user", "content": [{"text": f"more {i}"}]} for i in range(8)]
for m in messages:
    agent.messages.append(m)
    manager.append_message(m, agent)
manager.redact_latest_message({"role": "assistant", "content": [{"text": "[redacted]"}]}, agent)
agent.conversation_manager.removed_message_count = 2
manager.sync_agent(agent)
