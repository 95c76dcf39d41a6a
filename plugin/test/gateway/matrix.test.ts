// The failure matrix against the real gateway, through the plugin as it ships. Whether a tool ran
// is read from the disk; every case first shows that the very call runs when the guard allows it.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Frame, Script } from "../guard.ts";
import { findOpenclaw, Gateway } from "./gateway.ts";
import { script } from "./model.ts";

const skip = findOpenclaw() ? false : "SEAWALL_OPENCLAW_DIR does not name an OpenClaw";
/** Long enough for a busy machine, short enough for a test of what comes too late. */
const DEADLINE_MS = 1_500;
let gateway: Gateway;
let ticket: NonNullable<Script["ticket"]>;
let files = 0;

before(async () => {
  if (skip) return;
  gateway = await Gateway.start({
    config: { tools: { sandbox: { tools: { alsoAllow: ["*"] } } } },
    script: { deadlineMs: DEADLINE_MS },
  });
  ticket = gateway.guard.script.ticket ?? (() => "");
});
after(async () => {
  await gateway?.stop();
});

/** An exec that leaves a file behind. */
const leaves = (name: string) => ({ tool: "exec", args: { command: `echo ran > ${name}` } });
const guard = (rules: Partial<Script> & Pick<Script, "mode">) => {
  gateway.guard.script = { ticket, deadlineMs: DEADLINE_MS, delayMs: 3 * DEADLINE_MS, ...rules };
};
const fresh = () => `f${(files += 1)}`;

async function runsWhenAllowed(): Promise<void> {
  guard({ mode: "allow" });
  const name = fresh();
  await gateway.turn(script(leaves(name)));
  assert.equal(await gateway.file(name), "ran\n");
}

test("an allowed call runs, once decided, and its result reaches the model", { skip }, async () => {
  await runsWhenAllowed();
  guard({ mode: "allow" });
  const seen = gateway.guard.frames.length;
  const turn = await gateway.turn(script({ tool: "exec", args: { command: "echo out" } }));
  assert.match(turn.text, /DONE out/);
  const frames = gateway.guard.frames.slice(seen);
  assert.equal(frames.filter((frame) => frame.type === "decide").length, 1);
  assert.equal(frames.filter((frame) => frame.type === "result").length, 1);
});

const refusing: Array<[Script["mode"], RegExp]> = [
  ["deny", /the scripted guard says no/],
  ["silent", /no answer within/],
  ["late", /no answer within/],
  ["garbage", /not a frame/],
  ["malformed", /not a frame/],
  ["huge", /length limit/],
  ["wrong_id", /not asked/],
  ["wrong_kind", /wrong kind/],
  ["close", /closed the connection/],
  ["error", /the log is full/],
  // A command-line turn has nobody to ask: the gateway refuses at once.
  ["ask", /approval/i],
];
for (const [mode, why] of refusing) {
  test(`${mode}: nothing runs, and the model is told why`, { skip }, async () => {
    guard({ mode, only: ["exec"] });
    const name = fresh();
    const turn = await gateway.turn(script(leaves(name)));
    assert.equal(await gateway.file(name), undefined);
    assert.match(turn.text, why);
    await runsWhenAllowed();
  });
}

test("a deferred tool is decided too, inside and outside of tool_call", { skip }, async () => {
  const deferred = {
    tool: "tool_call",
    args: { id: "web_fetch", args: { url: "http://127.0.0.1:1/" } },
  };
  guard({ mode: "deny", only: ["web_fetch"] });
  assert.match((await gateway.turn(script(deferred))).text, /the scripted guard says no/);
  guard({ mode: "deny", only: ["tool_call"] });
  assert.match((await gateway.turn(script(deferred))).text, /the scripted guard says no/);
});

test("a rewrite is what runs", { skip }, async () => {
  const [asked, instead] = [fresh(), fresh()];
  guard({ mode: "rewrite", only: ["exec"], params: { command: `echo other > ${instead}` } });
  await gateway.turn(script(leaves(asked)));
  assert.equal(await gateway.file(asked), undefined);
  assert.equal(await gateway.file(instead), "other\n");
});

test("a run that the guard does not prepare does not start", { skip }, async () => {
  const name = fresh();
  guard({ mode: "deny", only: ["prepare"] });
  const turn = await gateway.turn(script(leaves(name)));
  assert.equal(await gateway.file(name), undefined);
  assert.match(turn.text, /this run was not decided/);
});

test("results are replaced, or withheld when the guard fails", { skip }, async () => {
  const secret = script({ tool: "exec", args: { command: "echo hunter2" } });
  guard({ mode: "allow" });
  assert.match((await gateway.turn(secret)).text, /hunter2/);
  guard({ mode: "allow", replace: "[masked]" });
  assert.match((await gateway.turn(secret)).text, /DONE \[masked\]/);
  for (const mode of ["silent", "garbage", "close"] as const) {
    guard({ mode, only: ["result"] });
    const turn = await gateway.turn(secret);
    assert.match(turn.text, /withheld the output/);
    assert.doesNotMatch(turn.text, /hunter2/);
  }
});

for (const [decision, runs] of [
  ["allow-once", true],
  ["deny", false],
] as const) {
  test(`an ask in a chat, answered ${decision}`, { skip }, async () => {
    guard({ mode: "ask", only: ["exec"] });
    const name = fresh();
    let asked = 0;
    const off = gateway.onEvent((event, payload) => {
      if (event !== "plugin.approval.requested") return;
      asked += 1;
      gateway.rpc("plugin.approval.resolve", { id: payload["id"], decision }).catch(() => {});
    });
    await gateway.chat(script(leaves(name)));
    off();
    assert.equal(asked, 1, "asked exactly once");
    assert.equal(await gateway.file(name), runs ? "ran\n" : undefined);
    const answers = gateway.guard.frames.filter((frame) => frame.type === "answered");
    assert.equal(answers.at(-1)?.["allowed"], runs);
  });
}

test("a session whose commands were moved out of the sandbox runs none", { skip }, async () => {
  // Turns of a chat: those of the command line take no host from their session.
  for (const move of [
    (key: string) => gateway.rpc("sessions.patch", { key, execHost: "gateway" }),
    (key: string) => gateway.rpc("sessions.patch", { key, execHost: "node" }),
    (_: string, session: string) =>
      gateway.chat("/exec host=gateway security=full ask=off", session),
  ]) {
    guard({ mode: "allow" });
    const session = randomUUID();
    const [before, name] = [fresh(), fresh()];
    await gateway.chat(script(leaves(before)), session);
    assert.equal(await gateway.file(before), "ran\n");
    await move(`agent:main:${session}`, session);
    const told = gateway.guard.next(
      (frame) => frame.type === "observe" && frame["hook"] === "exec_outside",
      false,
    );
    assert.match(await gateway.chat(script(leaves(name)), session), /outside the sandbox/);
    assert.equal(await gateway.file(name), undefined);
    await told;
  }
});

test("while the guard is gone nothing runs; when it is back, work goes on", { skip }, async () => {
  guard({ mode: "allow" });
  const pid = gateway.process?.pid;
  await gateway.guard.stop();
  const name = fresh();
  const turn = await gateway.turn(script(leaves(name)));
  assert.equal(await gateway.file(name), undefined);
  assert.match(turn.text, /seawall status/);
  await gateway.guard.start();
  await runsWhenAllowed();
  assert.equal(gateway.process?.pid, pid);
  assert.equal(gateway.process?.exitCode, null);
});

test("the gateway answers others while the guard hangs", { skip }, async () => {
  guard({ mode: "silent", only: ["exec"] });
  const turn = gateway.turn(script(leaves(fresh())));
  const decided = gateway.guard.next((frame) => frame.type === "decide", false);
  await decided;
  const started = performance.now();
  const health = await fetch(`http://127.0.0.1:${gateway.port}/healthz`);
  assert.ok(health.ok);
  assert.ok(performance.now() - started < DEADLINE_MS - 100, "before the deadline has passed");
  await turn;
});

test("a sub-agent's calls are decided, in its own session and without an owner", { skip }, async () => {
  guard({ mode: "allow" });
  const name = fresh();
  const decided = gateway.guard.next(
    (frame: Frame) =>
      frame.type === "decide" &&
      JSON.stringify(frame["call"]).includes(name) &&
      (frame["call"] as { tool: string }).tool === "exec",
    false,
  );
  await gateway.turn(
    script({ tool: "tool_call", args: { id: "sessions_spawn", args: { task: script(leaves(name)) } } }),
  );
  const origin = (await decided)["origin"] as { sessionKey: string; requester: unknown };
  assert.match(origin.sessionKey, /^agent:main:subagent:/);
  assert.deepEqual(origin.requester, { senderIsOwner: false });
});

test("a cron turn's calls are decided, without a requester who could be asked", { skip }, async () => {
  guard({ mode: "allow" });
  const name = fresh();
  const decided = gateway.guard.next(
    (frame: Frame) => frame.type === "decide" && JSON.stringify(frame["call"]).includes(name),
    false,
  );
  await gateway.rpc("cron.add", {
    name: "turn",
    schedule: { kind: "at", at: new Date(Date.now() + 1_000).toISOString() },
    sessionTarget: "isolated",
    wakeMode: "now",
    payload: { kind: "agentTurn", message: script(leaves(name)) },
    delivery: { mode: "none" },
  });
  const frame = await decided;
  assert.match((frame["origin"] as { sessionKey: string }).sessionKey, /^agent:main:cron:/);
  assert.equal(frame["canAsk"], false);
});

test("a call over HTTP is decided and comes in nobody's name", { skip }, async () => {
  guard({ mode: "deny", only: ["sessions_list"] });
  const decided = gateway.guard.next(
    (frame: Frame) => frame.type === "decide" && (frame["call"] as { tool: string }).tool === "sessions_list",
    false,
  );
  const response = await fetch(`http://127.0.0.1:${gateway.port}/tools/invoke`, {
    method: "POST",
    headers: { authorization: `Bearer ${gateway.token}`, "content-type": "application/json" },
    body: JSON.stringify({ tool: "sessions_list", args: {} }),
  });
  const origin = (await decided)["origin"] as Record<string, unknown>;
  assert.equal(origin["requester"], undefined);
  assert.equal(origin["runId"], undefined);
  assert.match(await response.text(), /scripted guard says no/);
});

test("the heartbeat goes on and nothing was lost or left unhandled", { skip }, async () => {
  guard({ mode: "allow" });
  const seq = (frame: Frame) => (frame.type === "heartbeat" ? Number(frame["seq"]) : -1);
  const last = Math.max(...gateway.guard.frames.map(seq));
  const beat = await Promise.race([
    gateway.guard.next((frame) => seq(frame) > last, false),
    sleep(5_000).then(() => undefined),
  ]);
  assert.ok(beat, "a heartbeat within five seconds");
  assert.doesNotMatch(gateway.output(), /unhandled/i);
  assert.equal(gateway.process?.exitCode, null);
});
