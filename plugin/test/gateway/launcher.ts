// Stands in for the guard's launcher, which is not part of this folder: starts a prepared run in
// bubblewrap when it is shown the ticket. It is no boundary and claims to be none; the tests that
// use it look at what OpenClaw and the plugin do.

import { spawn } from "node:child_process";
import { chmod, writeFile } from "node:fs/promises";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { join } from "node:path";

/** Writes the program and returns how the scripted guard makes a ticket for it. */
export async function makeLauncher(dir: string): Promise<{
  program: string;
  ticket(run: Record<string, unknown>): string;
}> {
  const tickets = join(dir, "tickets");
  mkdirSync(tickets, { recursive: true });
  const program = join(dir, "launcher");
  await writeFile(
    program,
    `#!${process.execPath}\nimport(${JSON.stringify(import.meta.filename)}).then((m) => m.main(${JSON.stringify(tickets)}));\n`,
  );
  await chmod(program, 0o755);
  return {
    program,
    ticket(run) {
      const ticket = randomBytes(16).toString("hex");
      writeFileSync(join(tickets, ticket), JSON.stringify(run));
      return ticket;
    },
  };
}

/** The program itself: `launcher start TICKET`. */
export function main(tickets: string): void {
  const [, , verb, ticket = ""] = process.argv;
  if (verb !== "start" || !/^[0-9a-f]{32}$/.test(ticket)) process.exit(2);
  const file = join(tickets, ticket);
  const run = JSON.parse(readFileSync(file, "utf8")) as {
    purpose: string;
    command: string;
    args: string[];
    workdir: string;
    env: Record<string, string>;
    workspaceDir: string;
    agentWorkspaceDir: string;
    workspaceAccess: string;
    readOnlyMounts: Array<[string, string]>;
  };
  rmSync(file);
  const seawall = process.env["SEAWALL_BIN"] ?? readBin(tickets);
  const bind = run.workspaceAccess === "ro" ? "--ro-bind" : "--bind";
  const args = [
    ...["--die-with-parent", "--unshare-all", "--new-session", "--clearenv"],
    ...["--setenv", "PATH", "/usr/local/bin:/usr/bin:/bin", "--setenv", "HOME", "/tmp"],
    ...Object.entries(run.env).flatMap(([name, value]) => ["--setenv", name, value]),
    ...["--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib"],
    ...["--symlink", "usr/lib64", "/lib64", "--symlink", "usr/sbin", "/sbin"],
    ...["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"],
    ...[bind, run.workspaceDir, "/workspace"],
    ...(run.agentWorkspaceDir !== run.workspaceDir && run.workspaceAccess !== "none"
      ? ["--ro-bind", run.agentWorkspaceDir, "/agent"]
      : []),
    ...run.readOnlyMounts.flatMap(([host, inside]) => ["--ro-bind", host, inside]),
    ...(seawall ? ["--ro-bind", seawall, "/run/seawall/bin/seawall"] : []),
    ...["--chdir", run.workdir, "--"],
    ...(run.purpose === "file_worker"
      ? ["/run/seawall/bin/seawall", "fsworker"]
      : ["/bin/sh", "-c", run.command, "seawall", ...run.args]),
  ];
  const child = spawn("/usr/bin/bwrap", args, { stdio: "inherit", env: {} });
  child.on("exit", (code, signal) => process.exit(signal ? 128 : (code ?? 1)));
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      child.kill("SIGKILL");
      process.exit(143);
    });
  }
}

/** The binary's path, which must not come by the environment of a call. */
function readBin(tickets: string): string {
  try {
    return readFileSync(join(tickets, "..", "seawall-bin"), "utf8").trim();
  } catch {
    return "";
  }
}
