import assert from "node:assert/strict";
import { test } from "node:test";
import { canAsk, originOf } from "../src/origin.ts";

const nowhere = () => undefined;

test("what nobody vouched for stays absent", () => {
  assert.deepEqual(originOf({}, nowhere), { agentId: "", sessionKey: "" });
  assert.deepEqual(originOf({ requester: {} }, nowhere).requester, {});
  const odd = { requester: { channel: 7, senderIsOwner: "true", senderId: "" } };
  assert.deepEqual(originOf(odd as never, nowhere).requester, {});
  assert.equal(originOf({ requester: null } as never, nowhere).requester, undefined);
});

test("the agent is read from the session key when the context does not name it", () => {
  assert.equal(originOf({ sessionKey: "agent:ops:cron:j:run:u" }, nowhere).agentId, "ops");
  assert.equal(originOf({ sessionKey: "global" }, nowhere).agentId, "");
  assert.equal(originOf({ agentId: "main", sessionKey: "agent:ops:x" }, nowhere).agentId, "main");
});

test("the folder of a run goes before the folder of its agent", () => {
  const find = (agentId: string) => `/agents/${agentId}`;
  assert.equal(originOf({ agentId: "a" }, find).workspace, "/agents/a");
  assert.equal(originOf({ agentId: "a", workspaceDir: "/run" }, find).workspace, "/run");
  assert.equal(originOf({}, find).workspace, undefined);
});

test("a person can be asked in a chat of their own only", () => {
  const at = (sessionKey: string, channel?: string) =>
    canAsk(originOf({ sessionKey, requester: channel === undefined ? {} : { channel } }, nowhere));
  assert.equal(at("agent:main:s", "webchat"), true);
  assert.equal(at("agent:main:s"), false);
  assert.equal(at("agent:main:subagent:u", "webchat"), false);
  assert.equal(at("agent:main:cron:j:run:u", "webchat"), false);
  assert.equal(canAsk(originOf({ sessionKey: "agent:main:s" }, nowhere)), false);
});
