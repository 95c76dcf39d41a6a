// Runs the real gateway for a test, and does what the test asks for, in the namespace in which it
// was started: one JSON object a line comes in, one goes out.
//
//   node gateway.mjs OPENCLAW MODEL_PORT GATEWAY_PORT LOG
//
// A stand-in for a model provider answers at MODEL_PORT: it calls the tools that a turn lists, one
// after the other, and keeps what it is told. Everything else is real.
import { spawn } from "node:child_process";
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { closeSync, openSync } from "node:fs";
import http from "node:http";
import readline from "node:readline";

const [openclaw, modelPort, port, log] = process.argv.slice(2);
const told = { offered: [], results: [] };
let calls = [];
let finished = () => {};

http.createServer((request, response) => {
  let body = "";
  request.on("data", (part) => { body += part; });
  request.on("end", () => {
    const asked = JSON.parse(body || "{}");
    const messages = asked.messages ?? [];
    const words = (content) => typeof content === "string" ? content : (content ?? []).map((p) => p.text ?? "").join("\n");
    // Titles and summaries are asked for as well: only a turn of the test is played.
    const start = messages.findLastIndex((m) => m.role === "user" && words(m.content).includes("[[play]]"));
    const results = start < 0 ? [] : messages.slice(start).filter((m) => m.role === "tool").map((m) => words(m.content));
    const call = start < 0 ? undefined : calls[results.length];
    if (start >= 0) {
      told.offered = (asked.tools ?? []).map((tool) => tool.function?.name);
      told.results = results;
    }
    const base = { id: "1", created: 1, model: asked.model };
    const delta = call
      ? { role: "assistant", tool_calls: [{ index: 0, id: `call_${results.length}`, type: "function", function: { name: call.tool, arguments: JSON.stringify(call.args) } }] }
      : { role: "assistant", content: "done" };
    const reason = call ? "tool_calls" : "stop";
    const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
    if (asked.stream) {
      response.writeHead(200, { "content-type": "text/event-stream" });
      const write = (value) => response.write(`data: ${JSON.stringify({ ...base, object: "chat.completion.chunk", ...value })}\n\n`);
      write({ choices: [{ index: 0, delta, finish_reason: null }] });
      write({ choices: [{ index: 0, delta: {}, finish_reason: reason }] });
      write({ choices: [], usage });
      response.end("data: [DONE]\n\n");
    } else {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ ...base, object: "chat.completion", choices: [{ index: 0, message: delta, finish_reason: reason }], usage }));
    }
    if (start >= 0 && !call) finished();
  });
}).listen(Number(modelPort), "127.0.0.1");

const out = openSync(log, "w");
const gateway = spawn(openclaw, ["gateway", "run"], { stdio: ["ignore", out, out] });
closeSync(out);
let ended = null;
const exit = new Promise((resolve) => gateway.once("exit", (code, signal) => { ended = `${code ?? signal}`; resolve(); }));

/** Waits until the gateway serves, or says why it does not. */
async function ready() {
  for (;;) {
    if (ended !== null) return { error: `the gateway ended with ${ended}` };
    try {
      const answer = await fetch(`http://127.0.0.1:${port}/readyz`);
      if (answer.ok) return { ready: true };
    } catch { /* not listening yet */ }
    await Promise.race([exit, new Promise((resolve) => setTimeout(resolve, 100))]);
  }
}

/** A connection; `device` makes it one of a device with a key of its own. */
function connect({ token, device, headers }) {
  return new Promise((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { headers });
    const waiting = new Map();
    let next = 0;
    const call = (method, params) => new Promise((answer) => {
      const id = String(++next);
      waiting.set(id, answer);
      socket.send(JSON.stringify({ type: "req", id, method, params }));
    });
    socket.onclose = (event) => {
      for (const answer of waiting.values()) answer({ ok: false, error: { message: `closed: ${event.code} ${event.reason}` } });
      resolve({ hello: { ok: false, error: { message: `closed: ${event.code} ${event.reason}` } } });
    };
    socket.onmessage = async ({ data }) => {
      const frame = JSON.parse(data);
      if (frame.type === "res") waiting.get(frame.id)?.(frame);
      if (frame.type !== "event" || frame.event !== "connect.challenge") return;
      const client = device
        ? { id: device.client, version: "1.0.0", platform: "linux", mode: device.mode, displayName: device.name }
        : { id: "gateway-client", version: "1.0.0", platform: "linux", mode: "backend" };
      const role = device?.role ?? "operator";
      const scopes = role === "operator" ? ["operator.read", "operator.write"] : [];
      const params = { minProtocol: 4, maxProtocol: 4, client, role, scopes, caps: [], commands: [], permissions: {}, auth: { token } };
      if (device) {
        const { publicKey, privateKey } = generateKeyPairSync("ed25519");
        const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
        const id = createHash("sha256").update(raw).digest("hex");
        const { nonce, ts } = frame.payload;
        const text = ["v3", id, client.id, client.mode, role, scopes.join(","), String(ts), token, nonce, "linux", ""].join("|");
        params.device = { id, publicKey: raw.toString("base64url"), signature: sign(null, Buffer.from(text), privateKey).toString("base64url"), signedAt: ts, nonce };
      }
      resolve({ hello: await call("connect", params), call, socket, id: params.device?.id });
    };
  });
}

const answers = {
  ready,
  /** Connects, says what came of it, and goes. */
  async connect(wanted) {
    const { hello, socket, id } = await connect(wanted);
    socket?.close();
    return { ok: hello.ok, error: hello.error?.message, id };
  },
  /** One turn of the main session. */
  async turn({ token, steps }) {
    calls = steps;
    const { hello, call, socket } = await connect({ token });
    if (!hello.ok) return { error: hello.error?.message };
    const done = new Promise((resolve) => { finished = resolve; });
    const sent = await call("chat.send", { sessionKey: "agent:main:main", message: "[[play]]", idempotencyKey: `k${Date.now()}` });
    if (!sent.ok) return { error: sent.error?.message };
    await Promise.race([done, exit]);
    socket.close();
    return ended === null ? { ...told } : { error: `the gateway ended with ${ended}` };
  },
  /** A request without credentials. */
  async fetch({ path, method }) {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method });
    return { status: answer.status };
  },
  /** A program, beside the gateway. */
  run({ program, arguments: list }) {
    return new Promise((resolve) => {
      const child = spawn(program, list, { stdio: ["ignore", "pipe", "pipe"] });
      const text = { stdout: "", stderr: "" };
      for (const name of Object.keys(text)) child[name].on("data", (part) => { text[name] += part; });
      child.once("close", (code) => resolve({ code, ...text }));
    });
  },
  async end() {
    gateway.kill("SIGTERM");
    await exit;
    return {};
  },
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const [name, wanted] = Object.entries(JSON.parse(line))[0];
  console.log(JSON.stringify(await answers[name](wanted)));
}
// The test went away: so does the gateway.
gateway.kill("SIGTERM");
await exit;
process.exit(0);
