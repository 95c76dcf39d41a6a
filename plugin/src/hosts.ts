// Where the gateway says that a session's commands will run. OpenClaw has words (`/exec host=…`) and
// stored settings that move a session's commands out of the sandbox, and whoever finds one more way
// to say them meets this: an `exec` passes only when the gateway has just said `sandbox` for it.

import { EXEC_HOST_RACE_MS, MAX_SESSIONS } from "./constants.ts";

/** The one place that Seawall starts commands in. */
const SANDBOX = "sandbox";

export class ExecHosts {
  private readonly held = new Map<string, { last: string; outside?: { host: string; at: number } }>();
  private readonly now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.now = now;
  }

  /** The gateway resolved the host of a command, which it does before it asks the gates. */
  seen(sessionKey: string, host: unknown): void {
    const last = typeof host === "string" ? host.slice(0, 16) : "unknown";
    const before = this.held.get(sessionKey)?.outside;
    const outside = last === SANDBOX ? before : { host: last, at: this.now() };
    this.held.delete(sessionKey);
    this.held.set(sessionKey, outside === undefined ? { last } : { last, outside });
    // Oldest first: a map keeps the order of insertion. What is forgotten is refused.
    for (const old of this.held.keys()) {
      if (this.held.size <= MAX_SESSIONS) break;
      this.held.delete(old);
    }
  }

  /** Where a command of this session would run, unless that is the sandbox. */
  outside(sessionKey: string): string | undefined {
    const known = this.held.get(sessionKey);
    if (known === undefined) return "a place that the gateway did not name";
    if (known.last !== SANDBOX) return `the ${known.last}`;
    // Two calls of one session can be under way: the other one's word does not free this one.
    if (known.outside && this.now() - known.outside.at < EXEC_HOST_RACE_MS) {
      return `the ${known.outside.host}`;
    }
    return undefined;
  }
}
