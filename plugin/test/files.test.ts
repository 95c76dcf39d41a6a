// The client of the file worker against workers that misbehave, and against the real one when
// SEAWALL_BIN names the binary.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Pool } from "../src/files/pool.ts";
import { FileError, Worker } from "../src/files/worker.ts";

const ENV = { PATH: "/usr/bin:/bin" };
const NO_MOUNTS = { mounts: [], protected: [] };

/** A worker whose answers are made by `answer`, with `n` (0 for the hello) and `send`. */
function fake(answer: string): string[] {
  const program = `
    let id = 0;
    const send = (head, data = "") => {
      const h = Buffer.from(JSON.stringify(head)), l = Buffer.alloc(12);
      l.writeUInt32BE(id); l.writeUInt32BE(h.length, 4); l.writeUInt32BE(data.length, 8);
      process.stdout.write(Buffer.concat([l, h, Buffer.from(data)]));
    };
    let held = Buffer.alloc(0), n = 0;
    process.stdin.on("data", (c) => {
      held = Buffer.concat([held, c]);
      while (held.length >= 12) {
        id = held.readUInt32BE();
        const total = 12 + held.readUInt32BE(4) + held.readUInt32BE(8);
        if (held.length < total) return;
        held = held.subarray(total);
        ((n, send) => { ${answer} })(n++, send);
      }
    });`;
  return [process.execPath, "-e", program];
}

const good = `send({ ok: true, answer: { size: n } }, "d" + n)`;

test("operations are answered in their order", async () => {
  const worker = new Worker(fake(good), ENV, NO_MOUNTS);
  const all = await Promise.all([1, 2, 3].map(() => worker.ask({ op: "x" })));
  assert.deepEqual(all.map((one) => [one.answer.size, one.data.toString()]), [[1, "d1"], [2, "d2"], [3, "d3"]]);
  worker.end();
});

test("an error of the worker keeps its code, and the worker goes on", async () => {
  const worker = new Worker(
    fake(`n === 1 ? send({ ok: false, error: { code: "ENOENT", message: "gone" } }) : ${good}`),
    ENV,
    NO_MOUNTS,
  );
  await assert.rejects(worker.ask({ op: "x" }), (error) => error instanceof FileError && error.code === "ENOENT");
  assert.equal((await worker.ask({ op: "x" })).answer.size, 2);
  worker.end();
});

const bad: Array<[string, string, RegExp]> = [
  ["says nonsense", `n ? process.stdout.write("HTTP/1.1 200 OK\\r\\n") : ${good}`, /nonsense/],
  ["answers without an answer", `n ? send({ ok: "true" }) : ${good}`, /nonsense/],
  ["announces too much", `n ? process.stdout.write(Buffer.alloc(12, 255)) : ${good}`, /nonsense/],
  ["answers twice", `${good}; if (n) ${good}`, /unasked|ended/],
  ["ends", `n ? (console.error("no room"), process.exit(1)) : ${good}`, /ended: no room/],
];
for (const [name, answer, why] of bad) {
  test(`a worker that ${name} is ended, and what waits fails`, async () => {
    const worker = new Worker(fake(answer), ENV, NO_MOUNTS);
    const [first, second] = await Promise.allSettled([worker.ask({ op: "x" }), worker.ask({ op: "y" })]);
    const failed = [first, second].find((one) => one.status === "rejected");
    assert.match(String(failed?.reason), why);
    assert.equal(worker.ended, true);
    await assert.rejects(worker.ask({ op: "z" }));
  });
}

test("a program that cannot be started fails the operation", async () => {
  const worker = new Worker(["/nonexistent/seawall"], ENV, NO_MOUNTS);
  await assert.rejects(worker.ask({ op: "x" }), /ENOENT/);
});

test("an operation that is cancelled while it waits is not done", async () => {
  const worker = new Worker(fake(`setTimeout(() => ${good}, 50)`), ENV, NO_MOUNTS);
  const abort = new AbortController();
  const first = worker.ask({ op: "x" });
  const second = worker.ask({ op: "y" }, undefined, abort.signal);
  const third = worker.ask({ op: "z" });
  abort.abort();
  await assert.rejects(second, /cancelled/);
  await first;
  assert.equal((await third).answer.size, 2, "two operations were done, not three");
  worker.end();
});

test("the pool starts a new worker for one that ended, and refuses when none can be prepared", async () => {
  const pool = new Pool(ENV);
  let prepared = 0;
  const ask = (argv: string[]) =>
    pool.ask("k", () => Promise.resolve((prepared += 1) ? argv : argv), NO_MOUNTS, { op: "x" });
  await ask(fake(good));
  await ask(fake(good));
  assert.equal(prepared, 1);
  await assert.rejects(pool.ask("other", () => Promise.reject(new Error("not decided")), NO_MOUNTS, {}), /not decided/);
  pool.endAll();
  await ask(fake(`n ? process.exit(1) : ${good}`)).catch(() => {});
  await ask(fake(good));
  assert.equal(prepared, 3);
  pool.endAll();
});

const bin = process.env["SEAWALL_BIN"];
const skip = bin && existsSync(bin) ? false : "SEAWALL_BIN does not name the binary";
test("the real worker", { skip }, async () => {
  const dir = mkdtempSync(join(tmpdir(), "seawall-fs-"));
  const worker = new Worker([bin ?? "", "fsworker"], ENV, { mounts: [{ root: dir, writable: true }], protected: [] });
  await worker.ask({ op: "write", path: `${dir}/a/b`, mkdir: true }, Buffer.from("bytes\0"));
  assert.equal(readFileSync(`${dir}/a/b`, "latin1"), "bytes\0");
  const { answer, data } = await worker.ask({ op: "read", path: `${dir}/a/b` });
  assert.equal(data.toString("latin1"), "bytes\0");
  assert.equal(answer.path, `${dir}/a/b`);
  await assert.rejects(worker.ask({ op: "read", path: "/etc/passwd" }), (error) => error instanceof FileError && error.code === "REFUSED");
  assert.equal((await worker.ask({ op: "stat", path: `${dir}/none` })).answer.kind, "missing");
  worker.end();
  rmSync(dir, { recursive: true });
});
