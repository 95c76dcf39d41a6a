// What the first gate learned, for the second gate of the same call.
//
// The trusted policy and `before_tool_call` both see every call. The second one accepts the
// first one's answer only for the same call id and the same arguments, once, and for a short
// time; otherwise it asks the guard itself.

import { createHash } from "node:crypto";
import { MAX_PERMITS, PERMIT_TTL_MS } from "./constants.ts";

/** SHA-256 over tool name and arguments with sorted keys. Throws on what JSON cannot hold. */
export function digest(tool: string, params: unknown): string {
  return createHash("sha256").update(tool).update("\0").update(canonical(params)).digest("hex");
}

function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_key, inner: unknown) =>
      typeof inner === "object" && inner !== null && !Array.isArray(inner)
        ? Object.fromEntries(
            Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)),
          )
        : inner,
    ) ?? "null"
  );
}

export class Permits {
  private readonly held = new Map<string, { digest: string; until: number }>();
  private readonly now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.now = now;
  }

  grant(key: string, callDigest: string): void {
    this.held.delete(key);
    this.held.set(key, { digest: callDigest, until: this.now() + PERMIT_TTL_MS });
    // Oldest first: a map keeps the order of insertion.
    for (const old of this.held.keys()) {
      if (this.held.size <= MAX_PERMITS) break;
      this.held.delete(old);
    }
  }

  /** True at most once per grant. */
  take(key: string, callDigest: string): boolean {
    const permit = this.held.get(key);
    this.held.delete(key);
    return permit !== undefined && permit.digest === callDigest && this.now() <= permit.until;
  }
}
