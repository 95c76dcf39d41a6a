import assert from "node:assert/strict";
import { test } from "node:test";
import { bounded } from "../src/bound.ts";
import { OBSERVE } from "../src/constants.ts";

test("what is not data stays behind", () => {
  const event = {
    code: "123456",
    senderId: "u",
    fn: () => 1,
    signal: new AbortController().signal,
    bytes: Buffer.from("xx"),
    big: 10n,
    nested: { error: new Error("boom") },
  };
  assert.deepEqual(bounded(event, ["code"]), {
    senderId: "u",
    bytes: "[2 bytes]",
    big: "10",
    nested: { error: "boom" },
  });
});

test("size, depth, width and loops end", () => {
  const loop: Record<string, unknown> = {};
  loop["self"] = loop;
  assert.deepEqual(bounded(loop), { self: "[cut]" });

  let deep: unknown = "end";
  for (let n = 0; n < 10_000; n += 1) deep = { deep };
  assert.ok(JSON.stringify(bounded(deep)).length < 200);

  const wide = Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`k${n}`, n]));
  assert.equal(Object.keys(bounded(wide) as object).length, OBSERVE.width + 1);
  assert.equal((bounded(Array.from({ length: 10_000 }, () => 1)) as unknown[]).length, OBSERVE.width + 1);

  const long = Array.from({ length: 100 }, () => "x".repeat(1_000_000));
  assert.ok(JSON.stringify(bounded(long)).length < OBSERVE.total + 100 * 64);
});

test("a field that cannot be read is named", () => {
  const trap = {
    get no(): string {
      throw new Error("trap");
    },
    yes: 1,
  };
  assert.deepEqual(bounded(trap), { no: "[unreadable]", yes: 1 });
});
