"""Prints the specs that the SDK makes of tool files, as it would hand them to a model."""

import json
import os
import sys

from strands.tools.loader import load_tool_from_string
from strands.tools.tools import normalize_tool_spec


def spec(tool):
    made = normalize_tool_spec(tool.tool_spec)
    return {"description": made["description"], "input": made["inputSchema"]["json"]}


print(json.dumps({os.path.basename(f): {t.tool_name: spec(t) for t in load_tool_from_string(f)} for f in sys.argv[1:]}))
