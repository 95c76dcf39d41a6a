// A file operation by the file worker, and by a fresh sandbox with a shell as OpenClaw's default
// bridge makes one (of which it makes several per tool call). Both in bubblewrap, side by side.
// Usage: SEAWALL_BIN=…/seawall node bench/files.ts

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "../src/files/worker.ts";

const bin = process.env["SEAWALL_BIN"];
if (!bin) throw new Error("SEAWALL_BIN does not name the binary");
const dir = mkdtempSync(join(tmpdir(), "seawall-bench-"));
writeFileSync(join(dir, "f"), "x".repeat(8_192));
const sandbox = [
  ...["/usr/bin/bwrap", "--die-with-parent", "--unshare-all", "--ro-bind", "/usr", "/usr"],
  ...["--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"],
  ...["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--bind", dir, "/workspace"],
  ...["--ro-bind", bin, "/run/seawall/bin/seawall", "--chdir", "/workspace", "--"],
];

function show(name: string, took: number[]): void {
  took.sort((a, b) => a - b);
  const at = (p: number) => (took[Math.floor(took.length * p)] ?? 0).toFixed(3);
  console.log(JSON.stringify({ name, n: took.length, p50_ms: +at(0.5), p99_ms: +at(0.99) }));
}

const worker = new Worker(
  [...sandbox, "/run/seawall/bin/seawall", "fsworker"],
  { PATH: "/usr/bin:/bin" },
  { mounts: [{ root: "/workspace", writable: true }], protected: [] },
);
const operations: Record<string, (n: number) => Promise<unknown>> = {
  stat: () => worker.ask({ op: "stat", path: "/workspace/f" }),
  "read 8 KiB": () => worker.ask({ op: "read", path: "/workspace/f" }),
  "write 8 KiB": (n) =>
    worker.ask({ op: "write", path: `/workspace/w${n % 10}`, mkdir: true }, Buffer.alloc(8_192)),
  list: () => worker.ask({ op: "list", path: "/workspace" }),
};
for (const [name, run] of Object.entries(operations)) {
  const took: number[] = [];
  for (let n = 0; n < 1_000; n += 1) {
    const start = performance.now();
    await run(n);
    took.push(performance.now() - start);
  }
  show(`worker: ${name}`, took);
}
worker.end();

const took: number[] = [];
const [program = "", ...args] = sandbox;
for (let n = 0; n < 50; n += 1) {
  const start = performance.now();
  const done = spawnSync(program, [...args, "/bin/sh", "-c", "stat -c %s f"], { env: {} });
  if (done.status !== 0) throw new Error(String(done.stderr));
  took.push(performance.now() - start);
}
show("a sandbox and a shell per script", took);
rmSync(dir, { recursive: true });
