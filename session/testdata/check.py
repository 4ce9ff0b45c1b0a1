"""Loads the session argv[2] under argv[1] with the real SDK, prints it, and goes on with it."""

import base64
import json
import sys

from strands import Agent
from strands.session.file_session_manager import FileSessionManager


class Team:
    """What a graph of agents is for a session."""

    id = "team"

    def __init__(self):
        self.state = {}

    def serialize_state(self):
        return self.state

    def deserialize_state(self, state):
        self.state = state


manager = FileSessionManager(sys.argv[2], storage_dir=sys.argv[1])
agent = Agent(agent_id="default", session_manager=manager, model="unused")
team = Team()
manager.initialize_multi_agent(team)
print(json.dumps({"messages": [m["content"] for m in agent.messages], "state": agent.state.get(), "team": team.state},
                 default=lambda b: base64.b64encode(b).decode()))
agent.state.set("by", "python")
message = {"role": "user", "content": [{"text": "from python"}]}
agent.messages.append(message)
manager.append_message(message, agent)
manager.sync_agent(agent)
team.state = {"next": ["b"]}
manager.sync_multi_agent(team)
