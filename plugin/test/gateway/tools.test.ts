// OpenClaw's own tools through the sandbox backend: commands, background processes, files, and
// the sandbox commands of its command line. Runs are started by a stand-in (launcher.ts); the
// file worker is the real one when SEAWALL_BIN names the binary.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { findOpenclaw, Gateway } from "./gateway.ts";
import { script } from "./model.ts";

const entry = findOpenclaw();
const skip = !entry
  ? "SEAWALL_OPENCLAW_DIR does not name an OpenClaw"
  : !existsSync("/usr/bin/bwrap")
    ? "bubblewrap is not installed"
    : false;
const bin = process.env["SEAWALL_BIN"];
const noWorker = skip || (bin ? false : "SEAWALL_BIN does not name the binary");
let gateway: Gateway;

before(async () => {
  if (skip) return;
  gateway = await Gateway.start({ script: { deadlineMs: 5_000 } });
});
after(async () => {
  await gateway?.stop();
});

const exec = (command: string, more = {}) => ({ tool: "exec", args: { command, ...more } });
const prepared = (purpose: string) =>
  gateway.guard.frames.filter(
    (frame) => frame.type === "prepare" && (frame["run"] as { purpose: string }).purpose === purpose,
  );

test("a command's output and exit code reach the model", { skip }, async () => {
  const turn = await gateway.turn(script(exec("echo out; echo err >&2; exit 3")));
  assert.match(turn.text, /out/);
  assert.match(turn.text, /err/);
  assert.match(turn.text, /3/);
});

test("no environment of a call reaches the launcher", { skip }, async () => {
  await writeFile(join(gateway.workspace, "evil.so"), "not a library");
  const turn = await gateway.turn(
    script(exec("echo inside:$LD_PRELOAD:$MARK", { env: { LD_PRELOAD: "/workspace/evil.so", MARK: "m" } })),
  );
  const run = prepared("exec").at(-1)?.["run"] as { env: Record<string, string> };
  assert.equal(run.env["MARK"], "m");
  assert.equal(run.env["PATH"], undefined, "the gateway's PATH stays outside");
  assert.match(turn.text, /:m/);
});

test("a command that takes too long is ended with all that it started", { skip }, async () => {
  const turn = await gateway.turn(
    script(exec("(sleep 4; echo late > late1) & sleep 4; echo late > late2", { timeoutSeconds: 1 })),
  );
  assert.match(turn.text, /time/i);
  await sleep(4_500);
  assert.equal(await gateway.file("late1"), undefined);
  assert.equal(await gateway.file("late2"), undefined);
});

test("an aborted turn ends its command with all that it started", { skip }, async () => {
  const session = "abort";
  const chat = gateway.chat(script(exec("echo up > up; (sleep 4; echo late > late3) & sleep 4")), session);
  while ((await gateway.file("up")) === undefined) await sleep(50);
  await gateway.rpc("chat.abort", { sessionKey: `agent:main:${session}` });
  await Promise.race([chat, sleep(2_000)]);
  await sleep(4_500);
  assert.equal(await gateway.file("late3"), undefined);
});

test("a background process is listed, polled and killed", { skip }, async () => {
  const turn = await gateway.turn(
    script(
      exec("echo started; sleep 2; echo second; sleep 60; echo never > never", { background: true }),
      { tool: "process", args: { action: "list" } },
      { tool: "process", args: { action: "poll", sessionId: "$SESSION", timeout: 3_000 } },
      { tool: "process", args: { action: "log", sessionId: "$SESSION" } },
      { tool: "process", args: { action: "kill", sessionId: "$SESSION" } },
    ),
  );
  const [started = "", list = "", , log = "", kill = ""] = turn.text.split(" ¦ ");
  assert.match(started, /session/i);
  assert.match(list, /running/i);
  assert.match(log, /started/);
  assert.match(kill, /kill|terminat/i);
});

test("write, read, edit, apply_patch and ls work on the workspace", { skip: noWorker }, async () => {
  const before = prepared("file_worker").length;
  const turn = await gateway.turn(
    script(
      { tool: "write", args: { path: "src/a.txt", content: "one\ntwo\n" } },
      { tool: "read", args: { path: "src/a.txt" } },
      { tool: "edit", args: { path: "src/a.txt", edits: [{ oldText: "two", newText: "three" }] } },
      {
        tool: "apply_patch",
        args: {
          input:
            "*** Begin Patch\n*** Update File: src/a.txt\n@@\n one\n-three\n+four\n*** Add File: src/b.txt\n+new\n*** End Patch",
        },
      },
      { tool: "ls", args: { path: "src" } },
      { tool: "apply_patch", args: { input: "*** Begin Patch\n*** Delete File: src/b.txt\n*** End Patch" } },
    ),
  );
  assert.match(turn.text, /one\ntwo/);
  assert.match(turn.text, /b\.txt/);
  assert.equal(await gateway.file("src/a.txt"), "one\nfour\n");
  assert.equal(await gateway.file("src/b.txt"), undefined);
  assert.equal(prepared("file_worker").length, before + 1, "one worker for all of it");
  assert.equal(prepared("files").length, 0, "no file script");
});

test("a command sees what the file tools wrote, and the other way round", { skip: noWorker }, async () => {
  const turn = await gateway.turn(
    script(
      { tool: "write", args: { path: "x.sh", content: "echo from-script\n" } },
      exec("sh x.sh > made.txt"),
      { tool: "read", args: { path: "made.txt" } },
    ),
  );
  assert.match(turn.text, /from-script/);
});

test("no path leads out of the workspace", { skip: noWorker }, async () => {
  const outside = join(gateway.dir, "outside");
  await mkdir(outside);
  await writeFile(join(outside, "secret"), "hunter2");
  await symlink(outside, join(gateway.workspace, "way"));
  await symlink(join(outside, "secret"), join(gateway.workspace, "straight"));
  for (const path of ["way/secret", "straight", "../outside/secret", join(outside, "secret"), "/etc/hostname"]) {
    const turn = await gateway.turn(script({ tool: "read", args: { path } }));
    assert.doesNotMatch(turn.text, /hunter2/, path);
  }
  for (const path of ["way/new", "../outside/new", join(outside, "new")]) {
    await gateway.turn(script({ tool: "write", args: { path, content: "x" } }));
    assert.equal(existsSync(join(outside, "new")), false, path);
  }
});

test("skill folders are not written by the file tools", { skip: noWorker }, async () => {
  const turn = await gateway.turn(
    script({ tool: "write", args: { path: "skills/evil/SKILL.md", content: "---\nname: evil\n---\n" } }),
  );
  assert.match(turn.text, /read-only/);
  assert.equal(await gateway.file("skills/evil/SKILL.md"), undefined);
});

test("a worker that the guard does not prepare leaves the files alone", { skip: noWorker }, async () => {
  const { ticket } = gateway.guard.script;
  gateway.guard.script = { mode: "deny", only: ["prepare"], ...(ticket ? { ticket } : {}) };
  const turn = await gateway.turn(script({ tool: "write", args: { path: "denied.txt", content: "x" } }));
  assert.equal(await gateway.file("denied.txt"), undefined);
  assert.match(turn.text, /this run was not decided/);
  gateway.guard.script = { mode: "allow", ...(ticket ? { ticket } : {}) };
  await gateway.turn(script({ tool: "write", args: { path: "allowed.txt", content: "x" } }));
  assert.equal(await gateway.file("allowed.txt"), "x");
});

test("openclaw sandbox list, explain and recreate answer", { skip }, async () => {
  const run = async (...args: string[]) => {
    const { stdout } = await promisify(execFile)(process.execPath, [entry ?? "", "sandbox", ...args], {
      env: gateway.env(),
      timeout: 120_000,
    });
    return stdout;
  };
  const list = await run("list", "--json");
  assert.match(list, /seawall-[0-9a-f]{16}/);
  assert.match(list, /"running": *true/);
  assert.match(await run("explain", "--agent", "main"), /seawall/);
  assert.match(await run("recreate", "--all", "--force"), /0 failed/);
  const turn = await gateway.turn(script(exec("echo after")));
  assert.match(turn.text, /after/);
  assert.ok((await readFile(join(gateway.dir, "openclaw.json"), "utf8")).includes("seawall"));
});
