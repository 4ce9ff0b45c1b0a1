"""Does a step with the real SDK's S3SessionManager, at the endpoint argv[1]."""

import base64
import json
import sys

from botocore.config import Config
from strands import Agent
from strands.session.s3_session_manager import S3SessionManager


class Team:
    """What a graph of agents is for a session."""

    id = "team"

    def __init__(self):
        self.state = {}

    def serialize_state(self):
        return self.state

    def deserialize_state(self, state):
        self.state = state


def session(name):
    return S3SessionManager(name, bucket="sessions", prefix="p", endpoint_url=sys.argv[1],
                            boto_client_config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required",
                                                        response_checksum_validation="when_required"))


def add(agent, manager, role, text):
    message = {"role": role, "content": [{"text": text}]}
    agent.messages.append(message)
    manager.append_message(message, agent)


step = sys.argv[2]
manager = session("s")
agent = Agent(agent_id="default", session_manager=manager, model="unused", callback_handler=None)
team = Team()
manager.initialize_multi_agent(team)
print(json.dumps({"messages": [m["content"] for m in agent.messages], "state": agent.state.get(), "team": team.state},
                 default=lambda b: base64.b64encode(b).decode()))
if step == "go on":
    agent.state.set("by", "python")
    add(agent, manager, "user", "from python")
    manager.sync_agent(agent)
    team.state = {"next": ["b"]}
    manager.sync_multi_agent(team)
    manager = session("made")
    agent = Agent(agent_id="default", session_manager=manager, model="unused", callback_handler=None)
    add(agent, manager, "user", "hello")
    add(agent, manager, "assistant", "secret")
    manager.redact_latest_message({"role": "assistant", "content": [{"text": "[redacted]"}]}, agent)
