// The sandbox backend: what OpenClaw wants to run is prepared by the guard and started by the
// launcher outside the gateway. The command line that OpenClaw starts holds a ticket and nothing
// of the call: no environment, no path, no word of the model's.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  type BackendHandle,
  type BackendManager,
  type BackendParams,
  createRemoteShellSandboxFsBridge,
  type HostMount,
  resolveReadOnlyWorkspaceSkillMounts,
  type ShellCommand,
  type ShellResult,
} from "openclaw/plugin-sdk/sandbox";
import { PLUGIN_ID } from "./constants.ts";
import type { Origin, RunRequest } from "./frames.ts";
import { GuardError, type Link } from "./link.ts";
import { agentOf } from "./origin.ts";

/** Where a run finds the session's folder, and the agent's own when it is another. */
export const WORKDIR = "/workspace";
export const AGENT_DIR = "/agent";

/** All that the client of the launcher gets as environment; the run's own comes by the ticket. */
const CLIENT_ENV = { PATH: "/usr/bin:/bin" };

/**
 * Tells OpenClaw whether a runtime is still what the configuration asks for. Every run is made
 * from the configuration of the moment, so that nothing can be left over from an older one.
 */
const CONFIG_LABEL = "fresh-per-run";

/** Most that a file script may print; OpenClaw's own limit for a read is below. */
const MAX_OUTPUT = 64 * 1024 * 1024;

/** OpenClaw calls this in the gateway and in its command line alike, so it holds no state. */
export const manager: BackendManager = {
  describeRuntime: ({ entry }) =>
    Promise.resolve({
      running: true,
      actualConfigLabel: CONFIG_LABEL,
      configLabelMatch: entry.image === CONFIG_LABEL,
    }),
  // Nothing outlives a run.
  removeRuntime: () => Promise.resolve(),
};

export function makeFactory(link: Link, launcher: string) {
  return async (params: BackendParams): Promise<BackendHandle> => {
    const runtimeId = `seawall-${createHash("sha256").update(params.scopeKey).digest("hex").slice(0, 16)}`;
    const origin: Origin = { agentId: agentOf(params.sessionKey), sessionKey: params.sessionKey };

    async function prepare(run: Partial<RunRequest> & Pick<RunRequest, "purpose" | "command">) {
      try {
        const { ticket } = await link.ask({
          type: "prepare",
          origin,
          run: {
            args: [],
            workdir: WORKDIR,
            env: {},
            workspaceDir: params.workspaceDir,
            agentWorkspaceDir: params.agentWorkspaceDir,
            workspaceAccess: params.cfg.workspaceAccess,
            readOnlyMounts: readOnlyMounts(params).map((m) => [m.hostPath, m.containerPath]),
            settings: params.cfg.docker ?? {},
            ...run,
          },
        });
        return [launcher, "start", ticket];
      } catch (error) {
        throw new Error(
          `Seawall did not start this: ${error instanceof GuardError ? error.message : String(error)}. Run \`seawall status\` to see what is wrong; nothing was executed.`,
        );
      }
    }

    const handle: BackendHandle = {
      id: PLUGIN_ID,
      runtimeId,
      runtimeLabel: runtimeId,
      workdir: WORKDIR,
      ...(params.cfg.docker?.env ? { env: params.cfg.docker.env } : {}),
      configLabel: CONFIG_LABEL,
      configLabelKind: "Profile",
      capabilities: { readOnlyResourceMounts: true },

      async buildExecSpec({ command, workdir, env }) {
        const argv = await prepare({
          purpose: "exec",
          command,
          workdir: workdir ?? WORKDIR,
          env: innerEnv(env, params),
        });
        return {
          argv,
          env: { ...CLIENT_ENV },
          cwd: "/",
          stdinMode: "pipe-closed",
          finalizeToken: { command: createHash("sha256").update(command).digest("hex") },
        };
      },

      finalizeExec({ status, exitCode, timedOut, token }) {
        link.observe("exec_finished", origin, { status, exitCode, timedOut, run: token });
        return Promise.resolve();
      },

      async runShellCommand(command) {
        const argv = await prepare({
          purpose: "files",
          command: command.script,
          args: command.args ?? [],
        });
        return await runClient(argv, command);
      },

      createFsBridge: ({ sandbox }) =>
        createRemoteShellSandboxFsBridge({
          sandbox,
          runtime: {
            remoteWorkspaceDir: WORKDIR,
            remoteAgentWorkspaceDir: AGENT_DIR,
            runRemoteShellScript: (command) => handle.runShellCommand(command),
          },
        }),
    };
    return handle;
  };
}

/** Skills and what else OpenClaw wants to be seen and not written. */
export function readOnlyMounts(params: BackendParams): HostMount[] {
  const { workspaceDir, agentWorkspaceDir, skillsWorkspaceDir, cfg } = params;
  const roots = agentWorkspaceDir !== workspaceDir && cfg.workspaceAccess !== "none"
    ? [WORKDIR, AGENT_DIR]
    : [WORKDIR];
  return [
    ...roots.flatMap((workdir) =>
      resolveReadOnlyWorkspaceSkillMounts({
        workspaceDir,
        agentWorkspaceDir,
        ...(skillsWorkspaceDir === undefined ? {} : { skillsWorkspaceDir }),
        workdir,
        workspaceAccess: cfg.workspaceAccess,
      }),
    ),
    ...(params.readOnlyResourceMounts ?? []),
  ];
}

/**
 * The environment inside. OpenClaw's `PATH` is the gateway's own, with folders that do not exist
 * inside or that a run can write to: unless the operator configured one, the launcher sets it.
 */
function innerEnv(env: Record<string, string>, params: BackendParams): Record<string, string> {
  const inner = { ...env };
  const configured = params.cfg.docker?.env?.["PATH"];
  if (configured === undefined) delete inner["PATH"];
  else inner["PATH"] = configured;
  return inner;
}

function runClient(argv: string[], command: ShellCommand): Promise<ShellResult> {
  return new Promise((resolve, reject) => {
    const [program = "", ...args] = argv;
    const child = spawn(program, args, {
      cwd: "/",
      env: { ...CLIENT_ENV },
      stdio: ["pipe", "pipe", "pipe"],
      ...(command.signal ? { signal: command.signal } : {}),
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    let size = 0;
    const keep = (into: Buffer[]) => (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_OUTPUT) child.kill("SIGKILL");
      else into.push(chunk);
    };
    child.stdout.on("data", keep(out));
    child.stderr.on("data", keep(err));
    child.on("error", reject);
    child.stdin.on("error", () => {
      // The script may end without reading all of its input.
    });
    child.stdin.end(command.stdin ?? "");
    child.on("close", (code) => {
      const result = { stdout: Buffer.concat(out), stderr: Buffer.concat(err), code: code ?? 1 };
      if (size > MAX_OUTPUT) return reject(new Error("Seawall stopped a file script: too much output"));
      if (result.code !== 0 && !command.allowFailure) {
        const said = result.stderr.toString("utf8").trim();
        return reject(Object.assign(new Error(said || `exit ${result.code}`), result));
      }
      resolve(result);
    });
  });
}
