// Cuts a hook's payload down to data of bounded size, without functions, getters that throw, or
// the things that must not travel.

import { OBSERVE } from "./constants.ts";

/** Copies `value` within the limits of [`OBSERVE`], leaving out the named top-level fields. */
export function bounded(value: unknown, without: readonly string[] = []): unknown {
  let budget: number = OBSERVE.total;
  const seen = new WeakSet<object>();

  function copy(inner: unknown, depth: number): unknown {
    if (budget <= 0) return "[cut]";
    switch (typeof inner) {
      case "string": {
        const room = Math.min(budget, OBSERVE.text);
        const kept = inner.length > room ? `${inner.slice(0, room)}…[${inner.length} units]` : inner;
        budget -= kept.length;
        return kept;
      }
      case "number":
      case "boolean":
        budget -= 8;
        return inner;
      case "bigint":
        return copy(String(inner), depth);
      case "object":
        break;
      default:
        return undefined;
    }
    if (inner === null) return null;
    if (inner instanceof AbortSignal) return undefined;
    if (inner instanceof Error) return copy(inner.message, depth);
    if (ArrayBuffer.isView(inner)) return `[${inner.byteLength} bytes]`;
    if (seen.has(inner) || depth >= OBSERVE.depth) return "[cut]";
    seen.add(inner);
    if (Array.isArray(inner)) {
      const kept = inner.slice(0, OBSERVE.width).map((item) => copy(item, depth + 1) ?? null);
      if (inner.length > OBSERVE.width) kept.push(`[${inner.length} elements]`);
      return kept;
    }
    const out: Record<string, unknown> = {};
    let fields = 0;
    for (const name of Object.keys(inner)) {
      if (depth === 0 && without.includes(name)) continue;
      if (fields >= OBSERVE.width || budget <= 0) {
        out["[cut]"] = true;
        break;
      }
      fields += 1;
      budget -= name.length;
      try {
        const field = copy((inner as Record<string, unknown>)[name], depth + 1);
        if (field !== undefined) out[name] = field;
      } catch {
        out[name] = "[unreadable]";
      }
    }
    return out;
  }

  try {
    return copy(value, 0) ?? null;
  } catch {
    return "[unreadable]";
  }
}
