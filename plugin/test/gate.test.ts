// The gates against a guard that does what a guard may do and what it may not.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import type { ToolContext, ToolDecision, ToolEvent } from "openclaw/plugin-sdk/plugin-entry";
import { type Gate, makeGate } from "../src/gate.ts";
import { ExecHosts } from "../src/hosts.ts";
import { Link } from "../src/link.ts";
import { Permits } from "../src/permits.ts";
import { makeResultFilter } from "../src/results.ts";
import { type Mode, type Script, ScriptedGuard } from "./guard.ts";

let guard: ScriptedGuard;
let link: Link;
let gate: Gate;
let hosts: ExecHosts;
let time = 0;
const rejections: unknown[] = [];
process.on("unhandledRejection", (error) => rejections.push(error));

beforeEach(async () => {
  guard = new ScriptedGuard(join(await mkdtemp(join(tmpdir(), "seawall-")), "guard.sock"));
  await guard.start();
  link = new Link({ socketPath: guard.path, bootId: "b", openclawVersion: "v", log: () => {} });
  time = 0;
  hosts = new ExecHosts(() => time);
  for (const key of ["agent:main:s", "agent:main:other"]) hosts.seen(key, "sandbox");
  gate = makeGate(link, () => "/ws", hosts, new Permits(() => time));
  link.hold();
  await guard.next((frame) => frame.type === "heartbeat");
});

afterEach(async () => {
  link.release();
  await guard.stop();
  assert.deepEqual(rejections, [], "no promise may be left unhandled");
});

const call = (callId = "c1", command = "ls"): ToolEvent => ({
  toolName: "exec",
  params: { command, nested: { b: 1, a: [2] } },
  toolCallId: callId,
});
const context: ToolContext = {
  agentId: "main",
  sessionKey: "agent:main:s",
  sessionId: "sid",
  runId: "r1",
  requester: { channel: "webchat", senderId: "u", senderIsOwner: true },
};
/** Greets the plugin anew, with another deadline. */
async function within(deadlineMs: number, mode: Mode): Promise<void> {
  await guard.stop();
  guard.script = { mode, deadlineMs };
  const greeted = guard.next((frame) => frame.type === "heartbeat", false);
  await guard.start();
  await greeted;
}
const decides = () => guard.frames.filter((frame) => frame.type === "decide");
const blocked = (decision: ToolDecision | undefined, why: RegExp) => {
  assert.strictEqual(decision?.block, true);
  assert.match(decision.blockReason ?? "", why);
};

test("an allowed call passes both gates with one question", async () => {
  assert.equal(await gate.first(call(), context), undefined);
  assert.deepEqual(await gate.second(call(), context), { params: call().params });
  assert.equal(decides().length, 1);
  assert.deepEqual(decides()[0], {
    type: "decide",
    id: 1,
    callId: "c1",
    origin: {
      agentId: "main",
      sessionKey: "agent:main:s",
      sessionId: "sid",
      runId: "r1",
      workspace: "/ws",
      requester: { channel: "webchat", senderId: "u", senderIsOwner: true },
    },
    call: { tool: "exec", params: call().params },
    canAsk: true,
  });
});

test("a command that the gateway would run elsewhere is refused without a question", async () => {
  for (const host of ["gateway", "node", undefined, 7]) {
    hosts.seen("agent:main:s", host);
    blocked(await gate.first(call(), context), /outside the sandbox/);
    blocked(await gate.second(call(), context), /outside the sandbox/);
  }
  blocked(await gate.first(call(), { sessionKey: "agent:main:unheard" }), /did not name/);
  assert.equal(decides().length, 0);
  assert.equal(await gate.first({ toolName: "read", params: { path: "x" } }, context), undefined);
  // Another call's `sandbox` does not free one that was resolved a moment ago.
  hosts.seen("agent:main:s", "gateway");
  hosts.seen("agent:main:s", "sandbox");
  blocked(await gate.first(call(), context), /the gateway/);
  time += 20_000;
  assert.equal(await gate.first(call(), context), undefined);
  // Between the gates the host can change.
  hosts.seen("agent:main:s", "gateway");
  blocked(await gate.second(call(), context), /the gateway/);
});

test("a requester that nobody vouched for stays absent", async () => {
  await gate.first(call(), { sessionKey: "agent:main:s" });
  assert.equal("requester" in (decides()[0]?.["origin"] as object), false);
  assert.equal(decides()[0]?.["canAsk"], false);
});

test("the permit holds for the same arguments only", async () => {
  await gate.first(call(), context);
  guard.script = { mode: "deny" };
  blocked(await gate.second(call("c1", "rm -rf x"), context), /scripted guard says no/);
});

test("the permit holds for the same call only", async () => {
  await gate.first(call("c1"), context);
  guard.script = { mode: "deny" };
  blocked(await gate.second(call("c2"), context), /says no/);
});

test("the permit holds for the same session only", async () => {
  await gate.first(call(), context);
  guard.script = { mode: "deny" };
  blocked(await gate.second(call(), { ...context, sessionKey: "agent:main:other" }), /says no/);
});

test("the permit holds once", async () => {
  await gate.first(call(), context);
  await gate.second(call(), context);
  guard.script = { mode: "deny" };
  blocked(await gate.second(call(), context), /says no/);
});

test("the permit expires", async () => {
  await gate.first(call(), context);
  time += 60_000;
  guard.script = { mode: "deny" };
  blocked(await gate.second(call(), context), /says no/);
});

test("the order of fields is no difference", async () => {
  await gate.first(call(), context);
  const shuffled = { nested: { a: [2], b: 1 }, command: "ls" };
  await gate.second({ ...call(), params: shuffled }, context);
  assert.equal(decides().length, 1);
});

test("a refusal carries the guard's words", async () => {
  guard.script = { mode: "deny" };
  blocked(await gate.first(call(), context), /^Seawall: the scripted guard says no$/);
});

test("a rewrite replaces the arguments and passes the second gate", async () => {
  guard.script = { mode: "rewrite", params: { command: "true" } };
  assert.deepEqual(await gate.first(call(), context), { params: { command: "true" } });
  await gate.second({ ...call(), params: { command: "true" } }, context);
  assert.equal(decides().length, 1);
});

test("a late rewrite that would be merged is refused", async () => {
  guard.script = { mode: "rewrite", params: { command: "true" } };
  blocked(await gate.second(call(), context), /cannot be applied/);
});

test("an ask is asked once, and the answer is passed on before the call runs", async () => {
  guard.script = { mode: "ask" };
  const asked = await gate.first(call(), context);
  assert.match(asked?.requireApproval?.title ?? "", /^Run it\?.{73}$/u);
  assert.match(asked?.requireApproval?.description ?? "", /^d.{507} end$/u);
  assert.equal(asked?.block, undefined);
  asked?.requireApproval?.onResolution?.("allow-once");
  assert.deepEqual(await gate.second(call(), context), { params: call().params });
  const answer = await guard.next((frame) => frame.type === "answered");
  assert.deepEqual(answer, {
    type: "answered",
    callId: "c1",
    allowed: true,
    resolution: "allow-once",
  });
});

test("without this plugin's own approval the second gate asks again", async () => {
  guard.script = { mode: "ask" };
  await gate.first(call(), context);
  const again = await gate.second(call(), context);
  assert.match(again.requireApproval?.title ?? "", /^Run it\?/);
});

for (const resolution of ["deny", "timeout", "cancelled"] as const) {
  test(`${resolution} gives no permit`, async () => {
    guard.script = { mode: "ask" };
    const asked = await gate.first(call(), context);
    asked?.requireApproval?.onResolution?.(resolution);
    assert.ok((await gate.second(call(), context)).requireApproval);
    const answer = await guard.next((frame) => frame.type === "answered");
    assert.equal(answer["allowed"], false);
  });
}

test("an approval that the guard cannot be told of gives no permit", async () => {
  guard.script = { mode: "ask", deadlineMs: 200 };
  const asked = await gate.first(call(), context);
  await guard.stop();
  await new Promise((done) => setImmediate(done));
  asked?.requireApproval?.onResolution?.("allow-once");
  blocked(await gate.second(call(), context), /blocked this call/);
});

const failures: Array<[Mode, RegExp]> = [
  ["silent", /no answer within 400 ms/],
  ["late", /no answer within 400 ms/],
  ["garbage", /not a frame/],
  ["malformed", /not a frame/],
  ["huge", /length limit/],
  ["wrong_id", /was not asked/],
  ["wrong_kind", /wrong kind/],
  ["close", /closed the connection/],
  ["error", /the log is full/],
];
for (const [mode, why] of failures) {
  test(`${mode}: both gates block, say why, and work goes on afterwards`, async () => {
    guard.script = { mode };
    const started = performance.now();
    blocked(await gate.first(call("a"), context), why);
    blocked(await gate.second(call("b"), context), why);
    assert.ok(performance.now() - started < 1_500, "within the deadline");
    assert.match((await gate.first(call("c"), context))?.blockReason ?? "", /seawall status/);
    guard.script = { mode: "allow" };
    assert.equal(await gate.first(call("d"), context), undefined);
  });
}

const greetings: Array<[NonNullable<Script["hello"]>, RegExp]> = [
  ["silent", /not there/],
  ["refuse", /not the gateway/],
  ["wrong_protocol", /protocol 2/],
  ["garbage", /not a frame/],
];
for (const [hello, why] of greetings) {
  test(`a guard whose greeting is ${hello} is not there`, async () => {
    await guard.stop();
    guard.script = { mode: "allow", hello };
    await guard.start();
    const own = new Link({ socketPath: guard.path, bootId: "b", openclawVersion: "", log: () => {} });
    const started = performance.now();
    blocked(await makeGate(own, () => undefined, hosts).first(call(), context), why);
    assert.ok(performance.now() - started < 3_000);
  });
}

test("a guard that is gone blocks; one that comes back within the deadline is used", async () => {
  await gate.first(call("a"), context);
  await guard.stop();
  const waiting = gate.first(call("b"), context);
  await guard.start();
  assert.equal(await waiting, undefined);
  assert.equal(guard.frames.filter((frame) => frame.type === "hello").length, 2);
});

test("arguments that JSON cannot hold are blocked", async () => {
  const loop: Record<string, unknown> = {};
  loop["self"] = loop;
  blocked(await gate.first({ ...call(), params: loop }, context), /plugin failed|cannot be shown/);
  blocked(await gate.first({ ...call(), params: { n: 1n } }, context), /plugin failed|cannot/);
});

test("arguments above the frame limit are blocked", async () => {
  const params = { content: "x".repeat(17 * 1024 * 1024) };
  blocked(await gate.first({ ...call(), params }, context), /longer than the limit/);
});

test("a cancelled call is not waited for", async () => {
  guard.script = { mode: "silent" };
  const abort = new AbortController();
  const waiting = gate.first(call(), { ...context, abortSignal: abort.signal });
  abort.abort();
  blocked(await waiting, /cancelled/);
});

test("a hanging guard does not hold up the event loop", async () => {
  await within(3_000, "silent");
  let worst = 0;
  let last = performance.now();
  const ticks = setInterval(() => {
    const now = performance.now();
    worst = Math.max(worst, now - last - 5);
    last = now;
  }, 5);
  await Promise.all(Array.from({ length: 50 }, (_, n) => gate.first(call(`h${n}`), context)));
  clearInterval(ticks);
  // A loop that waits for the guard shows the whole deadline; a busy machine less than half.
  assert.ok(worst < 1_500, `worst lag ${worst} ms`);
});

test("an answer that came in time counts, even when the event loop was held up meanwhile", async () => {
  // A guard of its own process, which answers while this one spins.
  const path = join(await mkdtemp(join(tmpdir(), "seawall-")), "guard.sock");
  const other = spawn(
    process.execPath,
    [
      "--input-type=module",
      "-e",
      `const { ScriptedGuard } = await import(${JSON.stringify(import.meta.resolve("./guard.ts"))});
       await new ScriptedGuard(${JSON.stringify(path)}).start(); console.log("up");`,
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  await once(other.stdout, "data");
  const own = new Link({ socketPath: path, bootId: "b", openclawVersion: "", log: () => {} });
  own.hold();
  const late = makeGate(own, () => undefined, hosts);
  assert.equal(await late.first(call("a"), context), undefined);
  const waiting = late.first(call("b"), context);
  // The question leaves with the next turn of the loop.
  await new Promise((done) => setImmediate(done));
  const until = performance.now() + 3 * own.deadline;
  while (performance.now() < until);
  assert.equal(await waiting, undefined);
  own.release();
  other.kill();
});

test("a thousand calls at once get a thousand answers of their own", async () => {
  await within(10_000, "allow");
  const decisions = await Promise.all(
    Array.from({ length: 1_000 }, (_, n) => gate.first(call(`p${n}`, `echo ${n}`), context)),
  );
  assert.ok(decisions.every((decision) => decision === undefined));
  assert.equal(new Set(decides().map((frame) => frame.id)).size, 1_000);
});

test("heartbeats count up and tell what was lost", async () => {
  guard.script = { mode: "allow", heartbeatMs: 50 };
  await guard.stop();
  for (let n = 0; n < 600; n += 1) link.observe("session_start", { agentId: "", sessionKey: "" }, n);
  await guard.start();
  const beat = await guard.next((frame) => frame.type === "heartbeat" && frame["lost"] !== 0);
  assert.equal(beat["lost"], 600 - 512);
  const seq = beat["seq"] as number;
  await guard.next((frame) => frame.type === "heartbeat" && (frame["seq"] as number) > seq, false);
});

test("a result is replaced, left, or withheld", async () => {
  const filter = makeResultFilter(link, () => undefined);
  const event = {
    toolCallId: "c1",
    toolName: "exec",
    args: { command: "cat f" },
    result: { content: [{ type: "text", text: "secret" }, { type: "image" }], details: { a: "secret" } },
  };
  assert.equal(await filter(event, context), undefined);
  assert.equal((await guard.next((frame) => frame.type === "result"))["text"], "secret");
  guard.script = { mode: "allow", replace: "[masked]" };
  const replaced = await filter(event, context);
  assert.deepEqual(replaced?.result.content, [{ type: "text", text: "[masked]" }]);
  assert.doesNotMatch(JSON.stringify(replaced), /secret/);
  for (const mode of ["silent", "garbage", "close", "error", "wrong_kind"] as const) {
    guard.script = { mode };
    const withheld = await filter(event, context);
    assert.match(withheld?.result.content[0]?.text ?? "", /withheld the output/);
    assert.doesNotMatch(JSON.stringify(withheld), /secret/);
  }
});
