"""boto3 for the conformance tests: requests come as lines of JSON, the first one configures."""

import base64
import json
import re
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError


def plain(value):
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if k != "ResponseMetadata"}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


def blobs(value):
    if isinstance(value, dict):
        return {k: base64.b64decode(v) if k == "blob" else blobs(v) for k, v in value.items()}
    return [blobs(v) for v in value] if isinstance(value, list) else value


def error_of(e, stream):
    if not isinstance(e, ClientError):
        return {"code": type(e).__name__, "message": str(e), "stream": stream}
    r = e.response
    return {
        "code": r["Error"].get("Code", ""), "message": r["Error"].get("Message", ""), "reason": r.get("reason", ""),
        "status": r.get("ResponseMetadata", {}).get("HTTPStatusCode", 0), "stream": stream,
        "requestId": r.get("ResponseMetadata", {}).get("RequestId", ""),
    }  # fmt: skip


def answer(client, request):
    out = {"events": []}
    method = re.sub(r"(?<!^)(?=[A-Z])", "_", request["op"]).lower()
    try:
        reply = getattr(client, method)(**blobs(request["input"]))
    except (ClientError, BotoCoreError) as e:
        return out | {"error": error_of(e, False)}
    out["requestId"] = reply["ResponseMetadata"].get("RequestId", "")
    stream = reply.pop("stream", None)
    out["output"] = plain(reply)
    try:
        for event in stream or ():
            out["events"].append(plain(event["result"]))
    except Exception as e:  # urllib3's own among them
        out["error"] = error_of(e, True)
    return out


config = json.loads(sys.stdin.readline())
extra = {"read_timeout": config["readTimeout"]} if config.get("readTimeout") else {}
client = boto3.client(
    "bedrock-agentcore", region_name="us-west-2", endpoint_url=config.get("endpoint") or None,
    aws_access_key_id=config["key"], aws_secret_access_key=config["secret"], config=Config(**extra),
)  # fmt: skip
for line in sys.stdin:
    print(json.dumps(answer(client, json.loads(line))), flush=True)
