// What scripts find beside the language itself. It runs once in each new
// context; what it takes from the host is not left where scripts can see it.
(() => {
  "use strict";
  const host = globalThis.__host;
  delete globalThis.__host;
  const define = (name, value) =>
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });

  // --- printing

  const depthLimit = 4, itemLimit = 100;
  const isName = /^[A-Za-z_$][\w$]*$/;
  function key(k) {
    if (typeof k === "symbol") return `[${String(k)}]`;
    return isName.test(k) ? k : JSON.stringify(k);
  }
  function list(items, open, close) {
    if (items.length === 0) return open + close;
    const line = `${open} ${items.join(", ")} ${close}`;
    if (line.length <= 72 && !line.includes("\n")) return open === "[" ? `[ ${items.join(", ")} ]` : line;
    return `${open}\n  ${items.map((i) => i.replaceAll("\n", "\n  ")).join(",\n  ")}\n${close}`;
  }
  function some(values, show) {
    const shown = [];
    let n = 0;
    for (const v of values) {
      if (n++ >= itemLimit) {
        shown.push("...");
        break;
      }
      shown.push(show(v));
    }
    return shown;
  }
  function inspect(v, depth = 0, above = []) {
    switch (typeof v) {
      case "string": return depth === 0 ? v : JSON.stringify(v);
      case "bigint": return `${v}n`;
      case "symbol": return String(v);
      case "function": return /^class\b/.test(String(v)) ? `[class ${v.name || "(anonymous)"}]` : `[Function: ${v.name || "(anonymous)"}]`;
      case "object": break;
      default: return Object.is(v, -0) ? "-0" : String(v);
    }
    if (v === null) return "null";
    if (above.includes(v)) return "[Circular *1]";
    if (v instanceof Error) return trace(v);
    if (v instanceof Date) return isNaN(v) ? "Invalid Date" : v.toISOString();
    if (v instanceof RegExp) return String(v);
    if (v instanceof Promise) return "Promise {}";
    const name = v.constructor?.name ?? "[Object: null prototype]";
    if (depth > depthLimit) return Array.isArray(v) ? "[Array]" : `[${name}]`;
    const inner = (x) => inspect(x, depth + 1, [...above, v]);
    if (Array.isArray(v)) return list(some(v, inner), "[", "]");
    if (ArrayBuffer.isView(v) && !(v instanceof DataView)) return `${name}(${v.length}) ${list(some(v, inner), "[", "]")}`;
    if (v instanceof Map) return `Map(${v.size}) ${list(some(v, ([k, x]) => `${inspect(k, 1)} => ${inner(x)}`), "{", "}")}`;
    if (v instanceof Set) return `Set(${v.size}) ${list(some(v, inner), "{", "}")}`;
    const entries = some(Reflect.ownKeys(v).filter((k) => Object.getOwnPropertyDescriptor(v, k)?.enumerable), (k) => {
      const d = Object.getOwnPropertyDescriptor(v, k);
      return `${key(k)}: ${"value" in d ? inner(d.value) : d.get ? "[Getter]" : "[Setter]"}`;
    });
    return (name === "Object" ? "" : `${name} `) + list(entries, "{", "}");
  }
  function trace(e) {
    const head = `${e.name}${e.message ? `: ${e.message}` : ""}`;
    const own = String(e.stack ?? "").split("\n").filter((l) => l.trim() && !l.includes("<prelude>"));
    let text = [head, ...own].join("\n");
    if (e.cause !== undefined) text += `\n[cause]: ${inspect(e.cause, 1)}`;
    return text;
  }
  function format(args) {
    if (typeof args[0] === "string" && args[0].includes("%")) {
      const rest = args.slice(1);
      const text = args[0].replace(/%[sdifjoOc%]/g, (m) => {
        if (m === "%%") return "%";
        if (rest.length === 0) return m;
        const a = rest.shift();
        switch (m) {
          case "%s": return typeof a === "string" ? a : inspect(a, 1);
          case "%d": return String(typeof a === "bigint" ? a : Number(a));
          case "%i": return String(parseInt(a, 10));
          case "%f": return String(parseFloat(a));
          case "%j": return JSON.stringify(a);
          case "%c": return "";
          default: return inspect(a, 1);
        }
      });
      args = [text, ...rest];
    }
    return args.map((a) => inspect(a)).join(" ");
  }
  let indent = "";
  const print = (stream) => (...args) => host.print(stream, `${indent}${format(args).replaceAll("\n", `\n${indent}`)}\n`);
  const counts = new Map(), times = new Map();
  const out = print(1), err = print(2);
  define("console", {
    log: out, info: out, debug: out, table: out, dir: (v) => out(v), error: err, warn: err,
    trace: (...args) => err("Trace:", ...args),
    assert: (ok, ...args) => { if (!ok) err("Assertion failed" + (args.length ? ":" : ""), ...args); },
    group: (...args) => { if (args.length) out(...args); indent += "  "; },
    groupEnd: () => { indent = indent.slice(2); },
    count: (name = "default") => { counts.set(name, (counts.get(name) ?? 0) + 1); out(`${name}: ${counts.get(name)}`); },
    time: (name = "default") => { times.set(name, host.now()); },
    timeEnd: (name = "default") => { out(`${name}: ${(host.now() - (times.get(name) ?? host.now())).toFixed(3)}ms`); },
  });

  // --- time

  let timers = [], serial = 0;
  const after = (repeat) => (f, ms = 0, ...args) => {
    if (typeof f !== "function") throw new TypeError("a timer needs a function");
    ms = Math.max(repeat ? 1 : 0, Number(ms) || 0);
    const id = ++serial;
    timers.push({ id, due: host.now() + ms, every: repeat ? ms : 0, f: () => f(...args) });
    return id;
  };
  const clear = (id) => { timers = timers.filter((t) => t.id !== id); };
  define("setTimeout", after(false));
  define("setInterval", after(true));
  define("clearTimeout", clear);
  define("clearInterval", clear);
  define("setImmediate", (f, ...args) => setTimeout(f, 0, ...args));
  define("queueMicrotask", (f) => { Promise.resolve().then(f); });
  define("performance", { now: () => host.now(), timeOrigin: Date.now() });

  // --- text and bytes

  class TextEncoder {
    encoding = "utf-8";
    encode(s = "") {
      const bytes = [];
      for (const c of String(s)) {
        let p = c.codePointAt(0);
        if (p >= 0xd800 && p < 0xe000) p = 0xfffd;
        if (p < 0x80) bytes.push(p);
        else if (p < 0x800) bytes.push(0xc0 | (p >> 6), 0x80 | (p & 63));
        else if (p < 0x10000) bytes.push(0xe0 | (p >> 12), 0x80 | ((p >> 6) & 63), 0x80 | (p & 63));
        else bytes.push(0xf0 | (p >> 18), 0x80 | ((p >> 12) & 63), 0x80 | ((p >> 6) & 63), 0x80 | (p & 63));
      }
      return new Uint8Array(bytes);
    }
  }
  class TextDecoder {
    encoding = "utf-8";
    decode(bytes = new Uint8Array()) { return host.decode(toBase64(view(bytes))); }
  }
  const view = (b) => (b instanceof ArrayBuffer ? new Uint8Array(b) : new Uint8Array(b.buffer, b.byteOffset, b.byteLength));
  const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  function toBase64(b) {
    const parts = [];
    for (let i = 0; i < b.length; i += 3) {
      const n = (b[i] << 16) | ((b[i + 1] ?? 0) << 8) | (b[i + 2] ?? 0);
      parts.push(digits[n >> 18] + digits[(n >> 12) & 63] +
        (i + 1 < b.length ? digits[(n >> 6) & 63] : "=") + (i + 2 < b.length ? digits[n & 63] : "="));
    }
    return parts.join("");
  }
  const values = new Map([...digits].map((d, i) => [d, i]));
  function fromBase64(s) {
    const clean = String(s).replace(/[\t\n\f\r ]/g, "").replace(/={1,2}$/, "");
    const bytes = new Uint8Array(Math.floor((clean.length * 3) / 4));
    for (let i = 0, at = 0, bits = 0, n = 0; i < clean.length; i++) {
      const v = values.get(clean[i]);
      if (v === undefined) throw new TypeError("that is no base64");
      n = ((n << 6) | v) & 0xffffff;
      bits += 6;
      if (bits >= 8) {
        bits -= 8;
        bytes[at++] = (n >> bits) & 255;
      }
    }
    return bytes;
  }
  define("TextEncoder", TextEncoder);
  define("TextDecoder", TextDecoder);
  define("btoa", (s) => toBase64(Uint8Array.from(String(s), (c) => {
    if (c.charCodeAt(0) > 255) throw new TypeError("btoa takes characters up to 255 only");
    return c.charCodeAt(0);
  })));
  define("atob", (s) => Array.from(fromBase64(s), (b) => String.fromCharCode(b)).join(""));
  define("structuredClone", (v) => clone(v, new Map()));
  function clone(v, seen) {
    if (typeof v === "function" || typeof v === "symbol") throw new TypeError("a function cannot be cloned");
    if (typeof v !== "object" || v === null) return v;
    if (seen.has(v)) return seen.get(v);
    if (v instanceof Date) return new Date(v);
    if (v instanceof RegExp) return new RegExp(v);
    if (ArrayBuffer.isView(v)) return v.slice();
    if (v instanceof ArrayBuffer) return v.slice(0);
    const copy = Array.isArray(v) ? [] : v instanceof Map ? new Map() : v instanceof Set ? new Set()
      : v instanceof Error ? Object.assign(new v.constructor(v.message), { stack: v.stack }) : {};
    seen.set(v, copy);
    if (v instanceof Map) for (const [k, x] of v) copy.set(clone(k, seen), clone(x, seen));
    else if (v instanceof Set) for (const x of v) copy.add(clone(x, seen));
    else for (const k of Object.keys(v)) copy[k] = clone(v[k], seen);
    return copy;
  }

  // --- files and the process

  const bytesOf = (data) => (typeof data === "string" ? new TextEncoder().encode(data) : view(data));
  const readText = (p) => host.decode(host.read(String(p)));
  const readBytes = (p) => fromBase64(host.read(String(p)));
  const write = (p, data, append) => {
    if (typeof data === "string") host.writeText(String(p), data, !!append);
    else host.write(String(p), toBase64(bytesOf(data)), !!append);
  };
  const names = (p) => JSON.parse(host.list(String(p)));
  const stat = (p) => {
    const s = JSON.parse(host.stat(String(p)));
    return { size: s.size, mtime: new Date(s.mtime), isFile: s.file, isDirectory: s.directory };
  };
  const exists = (p) => { try { stat(p); return true; } catch { return false; } };
  const textWanted = (o) => (typeof o === "string" ? o : o?.encoding);
  const fs = {
    readFileSync: (p, o) => (textWanted(o) ? readText(p) : readBytes(p)),
    writeFileSync: (p, data) => write(p, data, false),
    appendFileSync: (p, data) => write(p, data, true),
    existsSync: exists,
    readdirSync: (p) => names(p).map((e) => e.name),
    mkdirSync: (p, o) => host.mkdir(String(p), !!o?.recursive),
    unlinkSync: (p) => host.remove(String(p), false),
    rmSync: (p, o) => { if (!o?.force || exists(p)) host.remove(String(p), !!o?.recursive); },
    statSync: (p) => { const s = stat(p); return { size: s.size, mtime: s.mtime, isFile: () => s.isFile, isDirectory: () => s.isDirectory }; },
  };
  const promised = (f) => async (...args) => f(...args);
  fs.promises = Object.fromEntries(Object.entries(fs).map(([k, f]) => [k.replace(/Sync$/, ""), promised(f)]));
  const segments = (p) => {
    const made = [];
    for (const s of p.split("/")) {
      if (s === "..") made.length && made.at(-1) !== ".." ? made.pop() : p.startsWith("/") || made.push("..");
      else if (s && s !== ".") made.push(s);
    }
    return made;
  };
  const normalize = (p) => (p.startsWith("/") ? "/" : "") + segments(p).join("/") || ".";
  const path = {
    sep: "/", normalize,
    join: (...parts) => normalize(parts.filter(Boolean).join("/") || "."),
    resolve: (...parts) => normalize(parts.reduce((a, b) => (b.startsWith("/") ? b : `${a}/${b}`), host.cwd())),
    basename: (p, ext = "") => { const b = segments(p).at(-1) ?? ""; return ext && b.endsWith(ext) && b !== ext ? b.slice(0, -ext.length) : b; },
    dirname: (p) => (p.startsWith("/") ? "/" : "") + segments(p).slice(0, -1).join("/") || ".",
    extname: (p) => /[^/](\.[^./]*)$/.exec(p)?.[1] ?? "",
    isAbsolute: (p) => p.startsWith("/"),
  };
  const modules = { fs, path, "fs/promises": fs.promises };
  for (const m of Object.values(modules)) m.default = m;
  define("require", (name) => {
    const m = modules[String(name).replace(/^node:/, "")];
    if (!m) throw new Error(`there is no module ${JSON.stringify(name)} here: a session has fs and path, no packages and no network`);
    return m;
  });
  const exit = (code = 0) => host.exit(Number(code) | 0);
  define("process", {
    argv: ["node", "script"], env: {}, platform: "linux", versions: {}, exit, cwd: host.cwd,
    stdout: { write: (s) => { host.print(1, String(s)); return true; } },
    stderr: { write: (s) => { host.print(2, String(s)); return true; } },
    nextTick: (f, ...args) => queueMicrotask(() => f(...args)),
    hrtime: Object.assign(() => { const t = host.now(); return [Math.floor(t / 1e3), Math.floor((t % 1e3) * 1e6)]; },
      { bigint: () => BigInt(Math.floor(host.now() * 1e6)) }),
  });
  define("Deno", {
    args: [], build: { os: "linux" }, exit, cwd: host.cwd, env: { get: () => undefined, toObject: () => ({}) }, inspect: (v) => inspect(v, 1),
    readTextFileSync: readText, readTextFile: promised(readText), readFileSync: readBytes, readFile: promised(readBytes),
    writeTextFileSync: (p, s) => write(p, String(s)), writeTextFile: promised((p, s) => write(p, String(s))),
    writeFileSync: (p, b) => write(p, b), writeFile: promised((p, b) => write(p, b)),
    mkdirSync: fs.mkdirSync, mkdir: promised(fs.mkdirSync), statSync: stat, stat: promised(stat),
    removeSync: (p, o) => host.remove(String(p), !!o?.recursive), remove: promised((p, o) => host.remove(String(p), !!o?.recursive)),
    readDirSync: (p) => names(p).map((e) => ({ name: e.name, isFile: !e.directory, isDirectory: e.directory, isSymlink: false })),
  });

  // --- what the host asks of it

  const { now } = host;
  let state = "done", failure = "";
  Object.defineProperty(globalThis, "__cell", {
    value: Object.freeze({
      begin() {
        indent = "";
        timers = [];
      },
      track(promise) {
        state = "running";
        promise.then(() => { state = "done"; }, (e) => {
          state = "failed";
          failure = `Uncaught ${e instanceof Error ? trace(e) : inspect(e, 1)}`;
        });
      },
      state: () => state,
      failure: () => failure,
      // The milliseconds until the next timer; negative when there is none.
      next: () => timers.reduce((least, t) => (least < 0 ? Math.max(0, t.due - now()) : Math.min(least, Math.max(0, t.due - now()))), -1),
      fire() {
        const due = timers.filter((t) => t.due <= now()).sort((a, b) => a.due - b.due || a.id - b.id);
        for (const t of due) {
          if (!timers.includes(t)) continue;
          if (t.every) t.due = now() + t.every;
          else timers = timers.filter((x) => x !== t);
          t.f();
        }
      },
    }),
  });
})();
