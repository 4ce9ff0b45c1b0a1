"""Loads the session argv[2] under argv[1] with the real SDK, prints it, and goes on with it."""

import base64
import json
import sys

from strands import Agent
from strands.session.file_session_manager import FileSessionManager

manager = FileSessionManager(sys.argv[2], storage_dir=sys.argv[1])
agent = Agent(agent_id="default", session_manager=manager, model="unused")
print(json.dumps({"messages": [m["content"] for m in agent.messages], "state": agent.state.get()},
                 default=lambda b: base64.b64encode(b).decode()))
agent.state.set("by", "python")
message = {"role": "user", "content": [{"text": "from python"}]}
agent.messages.append(message)
manager.append_message(message, agent)
manager.sync_agent(agent)
