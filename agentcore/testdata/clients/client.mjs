// @aws-sdk/client-bedrock-agentcore for the conformance tests: requests come as lines of JSON, the first one configures.
import { createInterface } from "node:readline";
import * as sdk from "@aws-sdk/client-bedrock-agentcore";

const plain = (v) => {
  if (v instanceof Uint8Array) return Buffer.from(v).toString("base64");
  if (v instanceof Date) return v.toISOString();
  if (Array.isArray(v)) return v.map(plain);
  if (v && typeof v === "object") {
    return Object.fromEntries(Object.entries(v).filter(([k]) => k !== "$metadata").map(([k, x]) => [k, plain(x)]));
  }
  return v;
};
const blobs = (v) => {
  if (Array.isArray(v)) return v.map(blobs);
  if (v && typeof v === "object") {
    return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, k === "blob" ? Buffer.from(x, "base64") : blobs(x)]));
  }
  return v;
};
const errorOf = (e, stream) => ({
  code: e.name, message: e.message, reason: e.reason ?? "", status: e.$metadata?.httpStatusCode ?? 0, stream,
  requestId: e.$metadata?.requestId ?? "",
});

async function answer(client, request) {
  const out = { events: [] };
  let reply;
  try {
    reply = await client.send(new sdk[request.op + "Command"](blobs(request.input)));
  } catch (e) {
    return { ...out, error: errorOf(e, false) };
  }
  out.requestId = reply.$metadata.requestId;
  const { stream, ...rest } = reply;
  out.output = plain(rest);
  try {
    for await (const event of stream ?? []) out.events.push(plain(event.result));
  } catch (e) {
    out.error = errorOf(e, true);
  }
  return out;
}

let client;
for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const message = JSON.parse(line);
  if (!client) {
    client = new sdk.BedrockAgentCoreClient({
      region: "us-west-2", ...(message.endpoint ? { endpoint: message.endpoint } : {}),
      credentials: { accessKeyId: message.key, secretAccessKey: message.secret },
    });
    continue;
  }
  process.stdout.write(JSON.stringify(await answer(client, message)) + "\n");
}
process.exit(0); // an answer that was not read to its end would keep the connection, and the program
