// In whose name: taken from the gateway's context and never from a call's arguments.

import type { MiddlewareContext, PluginApi, Requester } from "openclaw/plugin-sdk/plugin-entry";
import type { Origin } from "./frames.ts";

/** What hooks put into their contexts and events, under the names that the gateway uses. */
export type Where = MiddlewareContext & {
  requester?: Requester;
  requesterSessionKey?: string;
  workspaceDir?: string;
};

/** Finds the folder of an agent; undefined when the gateway does not say. */
export type FindWorkspace = (agentId: string) => string | undefined;

/** Asks the gateway's own helper, so that defaults and `~` mean what they mean to the gateway. */
export function workspaceFinder(api: PluginApi): FindWorkspace {
  return (agentId) => {
    try {
      const config = api.runtime.config?.current?.() ?? api.config;
      const dir: unknown = api.runtime.agent?.resolveAgentWorkspaceDir?.(config, agentId);
      return typeof dir === "string" && dir.startsWith("/") ? dir : undefined;
    } catch {
      return undefined;
    }
  };
}

const text = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined;

/** `agent:ID:…` names its agent; a key of another shape names none. */
export function agentOf(sessionKey: string): string {
  return /^agent:([^:]+):/.exec(sessionKey)?.[1] ?? "";
}

/** Makes an origin. What is absent or of the wrong type stays absent. */
export function originOf(where: Where, workspaceOf: FindWorkspace): Origin {
  const sessionKey = text(where.sessionKey) ?? text(where.requesterSessionKey) ?? "";
  const origin: Origin = { agentId: text(where.agentId) ?? agentOf(sessionKey), sessionKey };
  const sessionId = text(where.sessionId);
  if (sessionId !== undefined) origin.sessionId = sessionId;
  const runId = text(where.runId);
  if (runId !== undefined) origin.runId = runId;
  const workspace =
    text(where.workspaceDir) ?? (origin.agentId === "" ? undefined : workspaceOf(origin.agentId));
  if (workspace !== undefined) origin.workspace = workspace;
  if (typeof where.requester === "object" && where.requester !== null) {
    const { channel, accountId, senderId, senderIsOwner } = where.requester;
    const requester: NonNullable<Origin["requester"]> = {};
    if (text(channel) !== undefined) requester.channel = channel as string;
    if (text(accountId) !== undefined) requester.accountId = accountId as string;
    if (text(senderId) !== undefined) requester.senderId = senderId as string;
    if (typeof senderIsOwner === "boolean") requester.senderIsOwner = senderIsOwner;
    origin.requester = requester;
  }
  return origin;
}

/**
 * Whether OpenClaw could show a question to a person in this turn: somebody wrote on a channel,
 * and the session is theirs. Where this guesses wrong, OpenClaw refuses the question at once.
 */
export function canAsk(origin: Origin): boolean {
  return (
    origin.requester?.channel !== undefined &&
    !/:(subagent|cron|acp|heartbeat)(:|$)/.test(origin.sessionKey)
  );
}
