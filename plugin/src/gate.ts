// The two gates of a tool call.

import { randomUUID } from "node:crypto";
import type { ToolContext, ToolDecision, ToolEvent } from "openclaw/plugin-sdk/plugin-entry";
import { PLUGIN_ID } from "./constants.ts";
import type { Verdict } from "./frames.ts";
import type { ExecHosts } from "./hosts.ts";
import { GuardError, type Link, short, text } from "./link.ts";
import { canAsk, type FindWorkspace, originOf } from "./origin.ts";
import { digest, Permits } from "./permits.ts";

/** Longest time a person is given; the gateway allows no more. */
const MAX_ASK_MS = 600_000;

/** What the gateway takes as a question; it refuses a longer one as a whole. */
const MAX_TITLE = 80;
const MAX_DESCRIPTION = 512;

export interface Gate {
  /** The trusted policy: runs before every other plugin's hook, and has no deadline but ours. */
  first(event: ToolEvent, context: ToolContext): Promise<ToolDecision | undefined>;
  /** `before_tool_call`: runs after the others, so that what they changed is seen or undone. */
  second(event: ToolEvent, context: ToolContext): Promise<ToolDecision>;
}

/** A refusal, worded for the model and the user. */
export function refusal(error: unknown): ToolDecision {
  const why = error instanceof GuardError ? error.message : `the plugin failed: ${text(error)}`;
  return {
    block: true,
    blockReason: `Seawall blocked this call: ${short(why)}. Run \`seawall status\` to see what is wrong; nothing was executed.`,
  };
}

export function makeGate(
  link: Link,
  workspaceOf: FindWorkspace,
  hosts: ExecHosts,
  permits = new Permits(),
): Gate {
  /** A command that the gateway would not run in the sandbox is refused, whatever the guard says. */
  function outside(event: ToolEvent, context: ToolContext): ToolDecision | undefined {
    if (event.toolName !== "exec") return undefined;
    const place = hosts.outside(context.sessionKey ?? "");
    if (place === undefined) return undefined;
    link.observe("exec_outside", originOf({ ...context, ...runOf(event, context) }, workspaceOf), {
      host: place,
      refused: true,
    });
    return {
      block: true,
      blockReason: `Seawall: commands of this session would run on ${place}, outside the sandbox, and nothing runs there. Start a new session, or clear the session's exec host (\`sessions.patch\` with \`execHost: null\`).`,
    };
  }

  async function decide(
    event: ToolEvent,
    context: ToolContext,
    key: string,
    callId: string,
  ): Promise<{ verdict: Verdict; callDigest: string }> {
    const origin = originOf({ ...context, ...runOf(event, context) }, workspaceOf);
    const callDigest = digest(event.toolName, event.params);
    const verdict = await link.ask(
      {
        type: "decide",
        callId,
        origin,
        call: {
          tool: event.toolName,
          params: event.params,
          ...(event.derivedPaths?.length ? { derivedPaths: [...event.derivedPaths] } : {}),
        },
        canAsk: canAsk(origin),
      },
      context.abortSignal,
    );
    if (verdict.decision === "allow") permits.grant(key, callDigest);
    return { verdict, callDigest };
  }

  function question(verdict: Verdict, key: string, callId: string, callDigest: string): ToolDecision {
    const ask = verdict.ask;
    if (!ask) throw new GuardError("the guard asked without a question");
    return {
      requireApproval: {
        title: fit(ask.title, MAX_TITLE) || "Seawall asks",
        description: fit(ask.description, MAX_DESCRIPTION) || "No description was given.",
        severity: "warning",
        timeoutMs: Math.min(Math.max(ask.timeoutMs, 1_000), MAX_ASK_MS),
        timeoutReason: `Seawall asked and nobody answered: ${fit(ask.title, MAX_TITLE)}`,
        // From a trusted policy the gateway does not fill this in, and refuses what has no owner.
        pluginId: PLUGIN_ID,
        // A standing grant is the guard's to give (`seawall policy`), not the gateway's.
        allowedDecisions: ["allow-once", "deny"],
        onResolution: (resolution) => {
          const allowed = resolution === "allow-once" || resolution === "allow-always";
          const told = link.answered(callId, allowed, resolution);
          // Another plugin's question may be the one that was answered: without this very
          // callback the second gate asks again.
          if (allowed && told) permits.grant(key, callDigest);
        },
      },
    };
  }

  async function first(event: ToolEvent, context: ToolContext): Promise<ToolDecision | undefined> {
    const blocked = outside(event, context);
    if (blocked) return blocked;
    const { key, callId } = identify(event, context);
    const { verdict, callDigest } = await decide(event, context, key, callId);
    switch (verdict.decision) {
      case "allow":
        return undefined;
      case "rewrite": {
        const params = verdict.params ?? {};
        permits.grant(key, digest(event.toolName, params));
        return { params };
      }
      case "ask":
        return question(verdict, key, callId, callDigest);
      case "deny":
        return denied(verdict);
    }
  }

  async function second(event: ToolEvent, context: ToolContext): Promise<ToolDecision> {
    const blocked = outside(event, context);
    if (blocked) return blocked;
    const { key, callId } = identify(event, context);
    // Returning the arguments pins them: the last hook's `params` win, so what another plugin
    // put in their place after the decision is undone.
    const pinned = { params: event.params };
    if (permits.take(key, digest(event.toolName, event.params))) return pinned;
    const { verdict, callDigest } = await decide(event, context, key, callId);
    permits.take(key, callDigest);
    switch (verdict.decision) {
      case "allow":
        return pinned;
      case "rewrite": {
        const params = verdict.params ?? {};
        // Here the gateway merges instead of replacing: a field that was taken out would stay.
        if (Object.keys(event.params).some((name) => !Object.hasOwn(params, name))) {
          throw new GuardError("the guard's rewrite cannot be applied at this point");
        }
        return { params };
      }
      case "ask":
        return { ...pinned, ...question(verdict, key, callId, callDigest) };
      case "deny":
        return denied(verdict);
    }
  }

  const closed =
    <T>(gate: (event: ToolEvent, context: ToolContext) => Promise<T>) =>
    async (event: ToolEvent, context: ToolContext): Promise<T | ToolDecision> => {
      try {
        return await gate(event, context);
      } catch (error) {
        return refusal(error);
      }
    };

  return {
    first: closed(first),
    second: closed(second) as Gate["second"],
  };
}

function denied(verdict: Verdict): ToolDecision {
  return {
    block: true,
    blockReason: `Seawall: ${short(verdict.reason) || "this call is not allowed (`seawall events tail` says why)"}`,
  };
}

/** Cuts in the middle, so that neither the beginning nor the end of what is asked is hidden. */
export function fit(words: string, most: number): string {
  const all = words.isWellFormed() ? words : words.toWellFormed();
  if (all.length <= most) return all;
  const tail = Math.floor(most / 3);
  return `${all.slice(0, most - tail - 1)}…${all.slice(all.length - tail)}`.toWellFormed();
}

function runOf(event: ToolEvent, context: ToolContext): { runId?: string } {
  const runId = context.runId ?? event.runId;
  return runId === undefined ? {} : { runId };
}

/** The gateway's id of a call; where it has none, one of ours, with the call itself as the key. */
function identify(event: ToolEvent, context: ToolContext): { key: string; callId: string } {
  const callId = event.toolCallId ?? context.toolCallId;
  const scope = `${context.sessionKey ?? ""}\0${context.runId ?? event.runId ?? ""}\0${event.toolName}`;
  if (typeof callId === "string" && callId !== "") return { key: `${scope}\0${callId}`, callId };
  return { key: `${scope}\0`, callId: `seawall-${randomUUID()}` };
}
