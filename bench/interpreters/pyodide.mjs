// Runs one case on Pyodide: pyodide.mjs CASE COUNT CASES.json, as peers.py does.
import { readFileSync } from "node:fs";
import { loadPyodide } from "pyodide";

const [name, count, cases] = [process.argv[2], Number(process.argv[3]), JSON.parse(readFileSync(process.argv[4]))];
class Skip extends Error {}
const now = () => performance.now() / 1000;

async function open(packages) {
  const py = await loadPyodide({ stdout: () => {}, stderr: () => {} });
  if (packages) {
    await py.loadPackage(["numpy", "pandas"], { messageCallback: () => {}, errorCallback: () => {} });
    try {
      py.runPython("import numpy, pandas");
    } catch {
      throw new Skip("its pandas comes from a content network that cannot be reached from here");
    }
  }
  return py;
}

function timed(work, warm) {
  for (let i = 0; i < warm; i++) work();
  const samples = [];
  for (let i = 0; i < count; i++) {
    const began = now();
    work();
    samples.push(now() - began);
  }
  return samples;
}

async function ready(packages, code) {
  const samples = [];
  for (let i = 0; i <= count; i++) {
    const began = now();
    (await open(packages)).runPython(code);
    if (i > 0) samples.push(now() - began);
  }
  return samples;
}

async function run() {
  switch (name) {
    case "ready":
      return ready(false, "1");
    case "ready-pandas":
      return ready(true, cases.imports);
    case "kill":
      throw new Skip("runs in the host's own process: a worker thread of one's own would have to be built around it");
    case "memory": {
      const first = await open(true);
      global.gc?.();
      const before = process.memoryUsage().rss;
      const kept = [first];
      for (let i = 0; i < 3; i++) kept.push(await open(true));
      return [(process.memoryUsage().rss - before) / 3];
    }
  }
  const py = await open(name === "groupby");
  switch (name) {
    case "snippet":
      return timed(() => py.runPython("y = 1"), 20);
    case "cpu":
      return timed(() => py.runPython(cases.cpu), 1);
    case "groupby":
      py.runPython(cases.frame);
      return timed(() => py.runPython(cases.groupby), 2);
    case "calls":
      py.globals.set("add", (a, b) => a + b);
      return timed(() => py.runPython(cases.calls), 1).map((t) => t / 1000);
    case "big": {
      const data = new Uint8Array(100 << 20);
      return timed(() => {
        py.globals.set("source", data);
        py.runPython("data = source.to_bytes()\nlen(data)");
      }, 1);
    }
  }
  throw new Skip("no case " + name);
}

let answer;
try {
  answer = { samples: await run() };
} catch (e) {
  answer = { skip: e instanceof Skip ? e.message : "it fails: " + String(e).split("\n").at(-1).slice(0, 160) };
}
console.log("\n" + JSON.stringify(answer));
process.exit(0);
