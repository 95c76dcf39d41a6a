// Tool results on their way to the model: shown to the guard, which may replace them. Without an
// answer the output is withheld: the tool has run, but what it brought does not reach the model.

import type {
  MiddlewareContext,
  MiddlewareEvent,
  ToolResult,
} from "openclaw/plugin-sdk/plugin-entry";
import { GuardError, type Link, text } from "./link.ts";
import { type FindWorkspace, originOf } from "./origin.ts";

/** The gateway takes no longer text from a middleware and would then drop the whole result. */
const MAX_TEXT = 100_000;

export type ResultFilter = (
  event: MiddlewareEvent,
  context: MiddlewareContext,
) => Promise<{ result: ToolResult } | undefined>;

export function makeResultFilter(link: Link, workspaceOf: FindWorkspace): ResultFilter {
  return async (event, context) => {
    try {
      const answer = await link.ask({
        type: "result",
        callId: event.toolCallId,
        origin: originOf(context, workspaceOf),
        tool: event.toolName,
        params: event.args ?? null,
        text: textOf(event.result),
        isError: event.isError === true,
      });
      return answer.replace === undefined ? undefined : instead(answer.replace, "replaced");
    } catch (error) {
      const why = error instanceof GuardError ? error.message : `the plugin failed: ${text(error)}`;
      return instead(
        `Seawall withheld the output of this tool: ${why}. The tool has run; do not run it again for its output. Run \`seawall status\` to see what is wrong.`,
        "withheld",
      );
    }
  };
}

function textOf(result: ToolResult): string {
  const parts: string[] = [];
  for (const block of result.content) {
    if (block.type === "text" && typeof block.text === "string") parts.push(block.text);
  }
  return parts.join("\n");
}

/** Images and details go with the text: they may hold what the text held. */
function instead(replacement: string, status: "replaced" | "withheld"): { result: ToolResult } {
  const content =
    replacement.length > MAX_TEXT
      ? `${replacement.slice(0, MAX_TEXT - 32)}\n[shortened by Seawall]`
      : replacement;
  return { result: { content: [{ type: "text", text: content }], details: { seawall: status } } };
}
