// The frames as the guard's side writes them down (testdata/frames.json, which it is tested
// against as well), and what is left of them when bytes go wrong.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { decode, FrameError } from "../src/frames.ts";
import { makeGate } from "../src/gate.ts";
import { ExecHosts } from "../src/hosts.ts";
import { Link } from "../src/link.ts";
import { makeResultFilter } from "../src/results.ts";
import { ScriptedGuard } from "./guard.ts";

const examples = JSON.parse(
  readFileSync(new URL("../../testdata/frames.json", import.meta.url), "utf8"),
) as { toGuard: Array<Record<string, unknown>>; toPlugin: Array<Record<string, unknown>> };

for (const example of examples.toPlugin) {
  test(`understood: ${JSON.stringify(example)}`, () => {
    assert.deepEqual(decode(Buffer.from(JSON.stringify(example))), example);
  });
}

/** Every field that is sent must be one that the guard knows. */
function fits(sent: unknown, given: unknown, at: string): void {
  // One example shows all of an origin.
  const example = at.endsWith(".origin")
    ? examples.toGuard.find((frame) => frame["type"] === "decide")?.["origin"]
    : given;
  if (typeof sent !== "object" || sent === null || Array.isArray(sent)) return;
  if (/\.(params|data|env|settings)$/.test(at)) return;
  for (const [name, value] of Object.entries(sent)) {
    const known = (example as Record<string, unknown> | undefined)?.[name];
    assert.notEqual(known, undefined, `${at}.${name} is not known to the guard`);
    assert.equal(typeof value, typeof known, `${at}.${name}`);
    fits(value, known, `${at}.${name}`);
  }
}

test("what the plugin sends has the fields that the guard knows", async () => {
  const guard = new ScriptedGuard(join(await mkdtemp(join(tmpdir(), "seawall-")), "guard.sock"));
  await guard.start();
  const link = new Link({ socketPath: guard.path, bootId: "b", openclawVersion: "v", log: () => {} });
  link.hold();
  const context = {
    agentId: "main",
    sessionKey: "agent:main:s",
    sessionId: "s",
    runId: "r",
    requester: { channel: "c", accountId: "a", senderId: "u", senderIsOwner: false },
  };
  guard.script = { mode: "ask" };
  const gate = makeGate(link, () => "/ws", new ExecHosts());
  const asked = await gate.first(
    { toolName: "apply_patch", params: { input: "x" }, toolCallId: "c", derivedPaths: ["p"] },
    context,
  );
  asked?.requireApproval?.onResolution?.("allow-once");
  guard.script = { mode: "allow" };
  await makeResultFilter(link, () => "/ws")(
    { toolCallId: "c", toolName: "x", args: {}, result: { content: [] } },
    context,
  );
  link.observe("h", { agentId: "", sessionKey: "" }, {});
  await guard.next((frame) => frame.type === "observe");
  link.release();
  await guard.stop();
  const types = new Set(guard.frames.map((frame) => frame.type));
  assert.deepEqual([...types].sort(), ["answered", "decide", "heartbeat", "hello", "observe", "result"]);
  for (const frame of guard.frames) {
    fits(frame, examples.toGuard.find((example) => example["type"] === frame.type), frame.type);
  }
});

test("a frame with anything broken is no frame, or the same frame", () => {
  // A fixed seed: a failure can be repeated.
  let seed = 1;
  const random = (below: number) => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % below;
  };
  const junk = [null, true, -1, 1.5, "", "allow", [], {}, ["allow"], { decision: "allow" }, 2 ** 60];
  for (let n = 0; n < 5_000; n += 1) {
    const example = examples.toPlugin[random(examples.toPlugin.length)] ?? {};
    const broken = structuredClone(example);
    const names = Object.keys(broken);
    const name = names[random(names.length)] ?? "type";
    if (random(3) === 0) delete broken[name];
    else broken[name] = junk[random(junk.length)];
    try {
      const frame = decode(Buffer.from(JSON.stringify(broken)));
      if (frame.type === "verdict") {
        assert.ok(["allow", "rewrite", "ask", "deny"].includes(frame.decision));
        assert.equal(frame.decision, broken["decision"]);
        assert.equal(frame.decision === "rewrite", frame.params !== undefined);
      }
      assert.equal(frame.type, broken["type"]);
    } catch (error) {
      assert.ok(error instanceof FrameError, String(error));
    }
  }
});
