// Hooks that are passed on as observations. They never decide: a hook here returns nothing.

import type { PluginApi } from "openclaw/plugin-sdk/plugin-entry";
import { bounded } from "./bound.ts";
import type { Link } from "./link.ts";
import { type FindWorkspace, originOf, type Where } from "./origin.ts";

interface Observed {
  hook: string;
  /** Top-level fields of the payload that stay here, and why they do. */
  without?: readonly string[];
}

/** What the guard hears of, beside the calls and results that it decides on. */
export const OBSERVED: readonly Observed[] = [
  // Who wrote what: the start of every chain of influence.
  { hook: "message_received" },
  { hook: "message_sending" },
  { hook: "message_sent" },
  // The prompt of a run; command-line turns have no message hook. History and system prompt are
  // left out: large, and known from the events that made them.
  { hook: "before_agent_run", without: ["messages", "systemPrompt"] },
  { hook: "agent_end", without: ["messages"] },
  { hook: "model_call_started" },
  { hook: "model_call_ended" },
  { hook: "session_start" },
  { hook: "session_end" },
  { hook: "before_reset", without: ["messages"] },
  { hook: "subagent_spawned" },
  { hook: "subagent_ended" },
  // Schedules run without a person and partly without any tool call.
  { hook: "cron_changed" },
  { hook: "cron_reconciled" },
  // With the arguments that were used in the end; the result itself went through the filter.
  { hook: "after_tool_call", without: ["result"] },
  // The code is a credential that approves the pairing.
  { hook: "channel_pairing_requested", without: ["code"] },
  { hook: "before_install", without: ["files", "content"] },
  { hook: "skill_changed", without: ["before", "after"] },
  { hook: "skill_proposal_changed", without: ["candidate", "baseline"] },
  { hook: "gateway_start" },
  { hook: "gateway_stop" },
];

/** Registers them all. One that this gateway does not know is left out and named in the log. */
export function registerObservers(api: PluginApi, link: Link, workspaceOf: FindWorkspace): void {
  for (const { hook, without } of OBSERVED) {
    try {
      api.on(hook, (event: unknown, context: unknown) => {
        try {
          link.observe(hook, originOf(whereOf(event, context), workspaceOf), bounded(event, without));
        } catch {
          // An observation must not disturb what it observes.
        }
      });
    } catch (error) {
      api.logger.warn(`seawall: the gateway has no hook ${hook}: ${String(error)}`);
    }
  }
}

function record(value: unknown): object {
  return typeof value === "object" && value !== null ? value : {};
}

/** Some hooks carry the session in the event instead of the context. */
function whereOf(event: unknown, context: unknown): Where {
  const out: Record<string, unknown> = { ...record(context) };
  const fields = record(event) as Record<string, unknown>;
  for (const name of ["agentId", "sessionKey", "sessionId", "runId"] as const) {
    if (typeof out[name] !== "string") out[name] = fields[name];
  }
  return out as Where;
}
