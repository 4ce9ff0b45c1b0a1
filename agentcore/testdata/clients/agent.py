"""What users' programs do through AWS's own Python SDK; prints what came of it as JSON."""

import json

from bedrock_agentcore.tools.code_interpreter_client import code_session

# An agent of before there were pictures in results: the code prints them, and
# the program finds them between two marks.
CHART = """
import base64, io, json
import matplotlib.pyplot as plt
plt.plot([1, 2, 3])
found = []
for number in plt.get_fignums():
    file = io.BytesIO()
    plt.figure(number).savefig(file, format="png")
    found.append({"i": number, "d": base64.b64encode(file.getvalue()).decode()})
print("_IMG_" + json.dumps(found) + "_END_")
"""


def run(client, code):
    result = None
    for event in client.invoke("executeCode", {"code": code, "language": "python", "clearContext": False})["stream"]:
        result = event["result"]
    return json.loads(json.dumps(result))  # as such a tool answers its model


def main():
    out = {}
    with code_session("us-west-2") as client:
        text = run(client, CHART)["structuredContent"]["stdout"]
        out["figures"] = [f["d"][:11] for f in json.loads(text[text.index("_IMG_") + 5 : text.index("_END_")])]
        client.upload_file("data/a.csv", "x,y\n1,2\n")
        client.upload_file("b.bin", bytes(range(256)))
        out["text"] = client.download_file("data/a.csv")
        out["binary"] = client.download_file("b.bin") == bytes(range(256))
        run(client, "kept = 1")
        client.clear_context()
        out["cleared"] = run(client, "print(kept)")["isError"]
        for event in client.invoke("listFiles", {"path": ""})["stream"]:
            out["files"] = sorted(b["name"] for b in event["result"]["content"])
    print(json.dumps(out))


main()
