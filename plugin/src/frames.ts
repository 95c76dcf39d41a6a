// The frames between plugin and guard, and the checks that turn bytes from the guard into them.
// A field of the wrong type is a frame that does not exist: there is no coercion, because a
// verdict that is read generously is a verdict that somebody else wrote.

/** In whose name something happens. What is absent here was not vouched for. */
export interface Origin {
  agentId: string;
  sessionKey: string;
  sessionId?: string;
  runId?: string;
  requester?: {
    channel?: string;
    accountId?: string;
    senderId?: string;
    senderIsOwner?: boolean;
  };
  workspace?: string;
}

/** A tool call as the gateway reports it. */
export interface ToolCall {
  tool: string;
  params: unknown;
  derivedPaths?: string[];
}

/** A run as the gateway's sandbox seam describes it. */
export interface RunRequest {
  purpose: "exec" | "files" | "file_worker";
  command: string;
  args: string[];
  workdir: string;
  env: Record<string, string>;
  workspaceDir: string;
  agentWorkspaceDir: string;
  workspaceAccess: string;
  readOnlyMounts: Array<[string, string]>;
  settings: unknown;
}

/** Frames that are answered; the link adds the id. */
export type Question =
  | {
      type: "decide";
      callId: string;
      origin: Origin;
      call: ToolCall;
      canAsk: boolean;
    }
  | {
      type: "result";
      callId: string;
      origin: Origin;
      tool: string;
      params: unknown;
      text: string;
      isError: boolean;
    }
  | { type: "prepare"; origin: Origin; run: RunRequest };

/** Frames that are not answered. */
export type Notice =
  | { type: "hello"; protocol: number; bootId: string; openclawVersion: string }
  | { type: "heartbeat"; seq: number; lost: number }
  | { type: "answered"; callId: string; allowed: boolean; resolution: string }
  | { type: "observe"; hook: string; origin: Origin; data: unknown };

/** What a person is asked. */
export interface Ask {
  title: string;
  description: string;
  timeoutMs: number;
}

/** Answer to `decide`. */
export interface Verdict {
  type: "verdict";
  id: number;
  decision: "allow" | "rewrite" | "ask" | "deny";
  reason: string;
  params?: Record<string, unknown>;
  ask?: Ask;
}

/** Frames from the guard. */
export type FromGuard =
  | { type: "welcome"; protocol: number; deadlineMs: number; heartbeatMs: number }
  | Verdict
  | { type: "result_verdict"; id: number; replace?: string }
  | { type: "ticket"; id: number; ticket: string }
  | { type: "error"; id?: number; message: string };

/** The answer that belongs to a question. */
export interface Answers {
  decide: Verdict;
  result: Extract<FromGuard, { type: "result_verdict" }>;
  prepare: Extract<FromGuard, { type: "ticket" }>;
}

/** Which answer a question takes. */
export const ANSWER_TYPE = {
  decide: "verdict",
  result: "result_verdict",
  prepare: "ticket",
} as const satisfies { [Q in Question["type"]]: Answers[Q]["type"] };

/** Bytes from the guard that are not a frame. */
export class FrameError extends Error {
  override name = "FrameError";
}

type Fields = Record<string, unknown>;

function isRecord(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function string(fields: Fields, key: string): string {
  const value = fields[key];
  if (typeof value !== "string") throw new FrameError(`\`${key}\` is not a string`);
  return value;
}

function optionalString(fields: Fields, key: string): string {
  return fields[key] === undefined ? "" : string(fields, key);
}

function count(fields: Fields, key: string): number {
  const value = fields[key];
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    throw new FrameError(`\`${key}\` is not a whole number`);
  }
  return value as number;
}

const DECISIONS = ["allow", "rewrite", "ask", "deny"] as const;

function verdict(fields: Fields): Verdict {
  const decision = DECISIONS.find((known) => known === fields["decision"]);
  if (decision === undefined) throw new FrameError("`decision` is none of the four");
  const out: Verdict = {
    type: "verdict",
    id: count(fields, "id"),
    decision,
    reason: optionalString(fields, "reason"),
  };
  if (decision === "rewrite") {
    const params = fields["params"];
    if (!isRecord(params)) throw new FrameError("a rewrite without `params`");
    out.params = params;
  } else if (fields["params"] !== undefined) {
    throw new FrameError("`params` without a rewrite");
  }
  if (decision === "ask") {
    const ask = fields["ask"];
    if (!isRecord(ask)) throw new FrameError("an ask without `ask`");
    out.ask = {
      title: string(ask, "title"),
      description: string(ask, "description"),
      timeoutMs: count(ask, "timeoutMs"),
    };
  }
  return out;
}

/** Checks the JSON of one frame. */
export function decode(body: Uint8Array): FromGuard {
  let fields: unknown;
  try {
    fields = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    throw new FrameError("not JSON");
  }
  if (!isRecord(fields)) throw new FrameError("not an object");
  switch (fields["type"]) {
    case "welcome":
      return {
        type: "welcome",
        protocol: count(fields, "protocol"),
        deadlineMs: count(fields, "deadlineMs"),
        heartbeatMs: count(fields, "heartbeatMs"),
      };
    case "verdict":
      return verdict(fields);
    case "result_verdict": {
      const id = count(fields, "id");
      return fields["replace"] === undefined
        ? { type: "result_verdict", id }
        : { type: "result_verdict", id, replace: string(fields, "replace") };
    }
    case "ticket": {
      const ticket = string(fields, "ticket");
      // It becomes an argument of the launcher: nothing that could be read as an option.
      if (!/^[A-Za-z0-9_][A-Za-z0-9_-]{15,255}$/.test(ticket)) throw new FrameError("a malformed `ticket`");
      return { type: "ticket", id: count(fields, "id"), ticket };
    }
    case "error": {
      const message = string(fields, "message");
      return fields["id"] === undefined
        ? { type: "error", message }
        : { type: "error", id: count(fields, "id"), message };
    }
    default:
      throw new FrameError("an unknown `type`");
  }
}
