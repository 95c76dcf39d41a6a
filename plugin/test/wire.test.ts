import assert from "node:assert/strict";
import { test } from "node:test";
import { MAX_FRAME } from "../src/constants.ts";
import { decode } from "../src/frames.ts";
import { encode, FrameReader, TooLongError } from "../src/wire.ts";

const bytes = (value: unknown) => Buffer.from(JSON.stringify(value));
const verdict = { type: "verdict", id: 7, decision: "allow", reason: "" };

test("frames come out whole however the stream is cut", () => {
  const stream = Buffer.concat([encode(verdict), encode({ ...verdict, id: 8 })]);
  for (let cut = 1; cut < stream.length; cut += 1) {
    const reader = new FrameReader();
    const frames = [...reader.push(stream.subarray(0, cut)), ...reader.push(stream.subarray(cut))];
    assert.deepEqual(frames.map((f) => ("id" in f ? f.id : undefined)), [7, 8]);
  }
});

test("a length above the limit is refused before the body is read", () => {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(MAX_FRAME + 1);
  assert.throws(() => new FrameReader().push(head), /length limit/);
  assert.throws(() => encode({ type: "x", text: "a".repeat(MAX_FRAME) }), TooLongError);
});

const nonsense: Array<[string, unknown]> = [
  ["a decision that is none of the four", { ...verdict, decision: "yes" }],
  ["a decision in another case", { ...verdict, decision: "Allow" }],
  ["no decision", { type: "verdict", id: 7 }],
  ["a decision inside a list", { ...verdict, decision: ["allow"] }],
  ["an id as text", { ...verdict, id: "7" }],
  ["a negative id", { ...verdict, id: -1 }],
  ["an id with a fraction", { ...verdict, id: 7.5 }],
  ["no id", { type: "verdict", decision: "allow" }],
  ["a rewrite without arguments", { ...verdict, decision: "rewrite" }],
  ["a rewrite to a list", { ...verdict, decision: "rewrite", params: [] }],
  ["new arguments on an allow", { ...verdict, params: { command: "x" } }],
  ["an ask without a question", { ...verdict, decision: "ask" }],
  ["a reason that is no text", { ...verdict, reason: { toString: "x" } }],
  ["an unknown type", { type: "allow", id: 7 }],
  ["a list", [verdict]],
  ["null", null],
  ["a ticket with a space", { type: "ticket", id: 7, ticket: "abc def ghi jkl mno" }],
  ["a ticket that looks like an option", { type: "ticket", id: 7, ticket: "--help-or-something" }],
  ["a short ticket", { type: "ticket", id: 7, ticket: "abc" }],
  ["a replacement that is no text", { type: "result_verdict", id: 7, replace: 1 }],
  ["a welcome without a deadline", { type: "welcome", protocol: 1, heartbeatMs: 500 }],
];

for (const [name, value] of nonsense) {
  test(`not a frame: ${name}`, () => {
    assert.throws(() => decode(bytes(value)));
  });
}

test("not a frame: bytes that are not UTF-8", () => {
  assert.throws(() => decode(Buffer.from([0x22, 0xff, 0x22])), /not JSON/);
});

test("frames that are frames", () => {
  assert.equal(decode(bytes(verdict)).type, "verdict");
  assert.deepEqual(decode(bytes({ type: "verdict", id: 1, decision: "rewrite", params: { a: 1 } })), {
    type: "verdict",
    id: 1,
    decision: "rewrite",
    reason: "",
    params: { a: 1 },
  });
  assert.deepEqual(decode(bytes({ type: "result_verdict", id: 2, replace: "x" })), {
    type: "result_verdict",
    id: 2,
    replace: "x",
  });
  assert.deepEqual(decode(bytes({ type: "error", message: "m" })), { type: "error", message: "m" });
});
