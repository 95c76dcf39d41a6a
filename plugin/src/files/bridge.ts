// OpenClaw's file bridge over a file worker: no byte of a workspace is opened by the gateway.
//
// How a path that a tool names becomes a path inside is OpenClaw's own code (its bridge for
// remote shells, which is given no shell). What happens at that path is the worker's.

import {
  createRemoteShellSandboxFsBridge,
  type FsBridge,
  type FsBridgeContext,
  type HostMount,
} from "openclaw/plugin-sdk/sandbox";
import { AGENT_DIR, WORKDIR } from "../constants.ts";
import type { Answer, WorkerMount } from "./worker.ts";

/** OpenClaw looks this one up by symbol. */
const FILE_IDENTITY = Symbol.for("openclaw.sandboxFileIdentity");

/** Skill folders are written by nobody inside, whether they exist yet or not. */
const SKILL_FOLDERS = ["skills", ".agents/skills", ".openclaw/sandbox-skills/skills"];

type Where = { filePath: string; cwd?: string; signal?: AbortSignal };
type Pinned = Where & { pinnedPath?: string };
type Content = Pinned & { data: Buffer | string; encoding?: BufferEncoding; mkdir?: boolean };

/** Runs one operation in the session's worker. */
export type Ask = (
  request: object,
  data?: Buffer,
  signal?: AbortSignal,
) => Promise<{ answer: Answer; data: Buffer }>;

/** The folders of a session as the worker is told of them. */
export function workerMounts(
  sandbox: Pick<FsBridgeContext, "workspaceDir" | "agentWorkspaceDir" | "workspaceAccess">,
  readOnly: HostMount[],
): { mounts: WorkerMount[]; protected: string[] } {
  const agent =
    sandbox.workspaceAccess !== "none" && sandbox.agentWorkspaceDir !== sandbox.workspaceDir;
  const roots = agent ? [WORKDIR, AGENT_DIR] : [WORKDIR];
  return {
    mounts: [
      { root: WORKDIR, writable: sandbox.workspaceAccess !== "ro" },
      ...(agent ? [{ root: AGENT_DIR, writable: sandbox.workspaceAccess === "rw" }] : []),
      ...readOnly.map((mount) => ({ root: mount.containerPath, writable: false })),
    ],
    protected: roots.flatMap((root) => SKILL_FOLDERS.map((folder) => `${root}/${folder}`)),
  };
}

export function makeBridge(sandbox: FsBridgeContext, ask: Ask): FsBridge {
  const paths = createRemoteShellSandboxFsBridge({
    sandbox,
    runtime: {
      remoteWorkspaceDir: WORKDIR,
      remoteAgentWorkspaceDir: AGENT_DIR,
      runRemoteShellScript: () => Promise.reject(new Error("Seawall runs no file scripts")),
    },
  });
  const inside = ({ filePath, cwd }: { filePath: string; cwd?: string | undefined }): string =>
    paths.resolvePath({ filePath, ...(cwd === undefined ? {} : { cwd }) }).containerPath;
  const pin = (pinned: string | undefined) => (pinned === undefined ? {} : { pinned });
  const bytes = (content: Content): Buffer =>
    typeof content.data === "string"
      ? Buffer.from(content.data, content.encoding ?? "utf8")
      : content.data;

  const bridge = {
    get pathMappings() {
      return paths["pathMappings"];
    },
    resolvePath: paths.resolvePath.bind(paths),

    async [FILE_IDENTITY](where: Where): Promise<string> {
      const { answer } = await ask({ op: "identity", path: inside(where) }, undefined, where.signal);
      return known(answer.path);
    },

    async resolvePinnedMutationTarget(where: Where & { action: string }) {
      const { answer } = await ask(
        { op: "pin", path: inside(where), directory: where.action === "mkdir" },
        undefined,
        where.signal,
      );
      return { policyPath: known(answer.policyPath), pinnedPath: known(answer.path) };
    },

    async readDirectory(where: Where) {
      const { answer } = await ask({ op: "list", path: inside(where) }, undefined, where.signal);
      return known(answer.entries);
    },

    async readFile(where: Where & { maxBytes?: number }): Promise<Buffer> {
      return (await bridge.readFileWithSource(where)).data;
    },

    async readFileWithSource(where: Where & { maxBytes?: number }) {
      if (where.maxBytes !== undefined && !(Number.isSafeInteger(where.maxBytes) && where.maxBytes >= 0)) {
        throw new RangeError("Sandbox file read limit must be a non-negative safe integer.");
      }
      const path = inside(where);
      const { answer, data } = await ask(
        { op: "read", path, ...(where.maxBytes === undefined ? {} : { max: where.maxBytes }) },
        undefined,
        where.signal,
      );
      const logical = known(answer.policyPath);
      return {
        data,
        canonicalPath: known(answer.path),
        ...(logical.startsWith(`${WORKDIR}/`)
          ? { workspaceRelativePath: logical.slice(WORKDIR.length + 1) }
          : {}),
      };
    },

    async copyFile(p: {
      sourcePath: string;
      destinationPath: string;
      cwd?: string;
      mkdir?: boolean;
      pinnedPath?: string;
      signal?: AbortSignal;
    }): Promise<void> {
      const from = inside({ filePath: p.sourcePath, cwd: p.cwd });
      const to = inside({ filePath: p.destinationPath, cwd: p.cwd });
      await ask(
        { op: "copy", from, to, mkdir: p.mkdir !== false, ...pin(p.pinnedPath) },
        undefined,
        p.signal,
      );
    },

    async writeFile(content: Content): Promise<void> {
      await ask(
        {
          op: "write",
          path: inside(content),
          mkdir: content.mkdir !== false,
          ...pin(content.pinnedPath),
        },
        bytes(content),
        content.signal,
      );
    },

    async createFileExclusive(content: Content): Promise<"created" | "exists"> {
      const { answer } = await ask(
        {
          op: "create",
          path: inside(content),
          mkdir: content.mkdir !== false,
          ...pin(content.pinnedPath),
        },
        bytes(content),
        content.signal,
      );
      return known(answer.created) ? "created" : "exists";
    },

    async mkdirp(where: Pinned): Promise<void> {
      await ask(
        { op: "mkdir", path: inside(where), ...pin(where.pinnedPath) },
        undefined,
        where.signal,
      );
    },

    async remove(where: Pinned & { recursive?: boolean; force?: boolean }): Promise<void> {
      await ask(
        {
          op: "remove",
          path: inside(where),
          recursive: where.recursive === true,
          force: where.force !== false,
          ...pin(where.pinnedPath),
        },
        undefined,
        where.signal,
      );
    },

    async rename(p: { from: string; to: string; cwd?: string; signal?: AbortSignal }): Promise<void> {
      const from = inside({ filePath: p.from, cwd: p.cwd });
      const to = inside({ filePath: p.to, cwd: p.cwd });
      await ask({ op: "rename", from, to }, undefined, p.signal);
    },

    async stat(where: Where) {
      const { answer } = await ask({ op: "stat", path: inside(where) }, undefined, where.signal);
      const kind = known(answer.kind);
      if (kind === "missing") return null;
      return { type: kind, size: known(answer.size), mtimeMs: known(answer.mtimeMs) };
    },
  };
  return bridge;
}

function known<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("the file worker left something out");
  return value;
}
