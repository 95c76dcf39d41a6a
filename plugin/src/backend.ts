// The sandbox backend: what OpenClaw wants to run is prepared by the guard and started by the
// launcher outside the gateway. The command line that OpenClaw starts holds a ticket and nothing
// of the call: no environment, no path, no word of the model's.

import { createHash } from "node:crypto";
import {
  type BackendHandle,
  type BackendManager,
  type BackendParams,
  type HostMount,
  resolveReadOnlyWorkspaceSkillMounts,
} from "openclaw/plugin-sdk/sandbox";
import { AGENT_DIR, PLUGIN_ID, WORKDIR } from "./constants.ts";
import { makeBridge, workerMounts } from "./files/bridge.ts";
import type { Pool } from "./files/pool.ts";
import type { Origin, RunRequest } from "./frames.ts";
import { GuardError, type Link } from "./link.ts";
import { agentOf } from "./origin.ts";

/** All that the client of the launcher gets as environment; the run's own comes by the ticket. */
export const CLIENT_ENV = { PATH: "/usr/bin:/bin" };

/**
 * Tells OpenClaw whether a runtime is still what the configuration asks for. Every run is made
 * from the configuration of the moment, so that nothing can be left over from an older one.
 */
const CONFIG_LABEL = "fresh-per-run";

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

export function makeFactory(link: Link, launcher: string, pool: Pool) {
  return async (params: BackendParams): Promise<BackendHandle> => {
    const runtimeId = `seawall-${createHash("sha256").update(params.scopeKey).digest("hex").slice(0, 16)}`;
    // The factory runs at the start of every turn; a sandbox that looks the same is the same.
    const readOnly = readOnlyMounts(params);
    const { sessionKey, scopeKey, workspaceDir, agentWorkspaceDir, cfg } = params;
    const key = JSON.stringify([sessionKey, scopeKey, workspaceDir, agentWorkspaceDir, cfg, readOnly]);

    const origin: Origin = { agentId: agentOf(sessionKey), sessionKey };

    async function prepare(run: Partial<RunRequest> & Pick<RunRequest, "purpose" | "command">) {
      try {
        const { ticket } = await link.ask({
          type: "prepare",
          origin,
          run: {
            args: [],
            workdir: WORKDIR,
            env: {},
            workspaceDir,
            agentWorkspaceDir,
            workspaceAccess: cfg.workspaceAccess,
            readOnlyMounts: readOnly.map((m) => [m.hostPath, m.containerPath]),
            settings: cfg.docker ?? {},
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

      // OpenClaw calls this for its own file bridge only, which is not used here.
      runShellCommand: () =>
        Promise.reject(new Error("Seawall runs no file scripts: files go through its file worker")),

      createFsBridge: ({ sandbox }) =>
        makeBridge(sandbox, (request, data, signal) =>
          pool.ask(
            key,
            () => prepare({ purpose: "file_worker", command: "" }),
            workerMounts(sandbox, readOnly),
            request,
            data,
            signal,
          ),
        ),
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
