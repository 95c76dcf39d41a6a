// A scripted model behind the OpenAI chat-completions protocol. The user message says what it
// "decides": a list of tool calls between ⟦ and ⟧ (JSON in base64, so that one may hold another),
// made one after the other. After the last
// one it answers with the results it was shown, so that a test sees what reached the model.

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

interface Message {
  role: string;
  content?: string | Array<{ text?: string }>;
}

const INTERNAL = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>";

const textOf = (content: Message["content"]): string =>
  typeof content === "string" ? content : (content ?? []).map((part) => part.text ?? "").join("\n");

export class ScriptedModel {
  private server: Server | undefined;
  port = 0;
  /** Names of the tools that the last request offered. */
  offered: string[] = [];

  async start(port: number): Promise<void> {
    this.server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const body = JSON.parse(Buffer.concat(chunks).toString("utf8") || "{}") as {
          messages?: Message[];
          stream?: boolean;
          tools?: Array<{ function?: { name?: string } }>;
        };
        if (body.tools) this.offered = body.tools.map((tool) => tool.function?.name ?? "");
        const delta = this.next(body.messages ?? []);
        const finish = delta["tool_calls"] ? "tool_calls" : "stop";
        const base = { id: "c", created: 0, model: "scripted" };
        const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
        if (!body.stream) {
          response.setHeader("content-type", "application/json");
          const message = { role: "assistant", content: null, ...delta };
          response.end(
            JSON.stringify({
              ...base,
              object: "chat.completion",
              choices: [{ index: 0, message, finish_reason: finish }],
              usage,
            }),
          );
          return;
        }
        response.writeHead(200, { "content-type": "text/event-stream" });
        const chunk = (choices: unknown[], more = {}) =>
          response.write(
            `data: ${JSON.stringify({ ...base, object: "chat.completion.chunk", choices, ...more })}\n\n`,
          );
        chunk([{ index: 0, delta: { role: "assistant", ...delta }, finish_reason: null }]);
        chunk([{ index: 0, delta: {}, finish_reason: finish }]);
        chunk([], { usage });
        response.end("data: [DONE]\n\n");
      });
    });
    await new Promise<void>((done, fail) => {
      this.server?.once("error", fail);
      this.server?.listen(port, "127.0.0.1", done);
    });
    this.port = (this.server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    this.server?.closeAllConnections();
    await new Promise<void>((done) => (this.server ? this.server.close(() => done()) : done()));
  }

  private next(messages: Message[]): Record<string, unknown> {
    // OpenClaw adds messages of its own in the user's role; a later one of the user ends a script.
    const start = messages.findLastIndex(
      (message) => message.role === "user" && !textOf(message.content).includes(INTERNAL),
    );
    const scripted = messages.findLastIndex(
      (message) => message.role === "user" && textOf(message.content).includes("⟦"),
    );
    const script = /⟦([A-Za-z0-9+/=]*)⟧/.exec(textOf(messages[scripted]?.content));
    const results = messages.slice(scripted + 1).filter((message) => message.role === "tool");
    const calls = script?.[1]
      ? (JSON.parse(Buffer.from(script[1], "base64").toString("utf8")) as Array<{ tool: string; args: unknown }>)
      : [];
    const call = calls[results.length];
    // A background command's id is known only from the result that started it.
    const seen = results.map((message) => textOf(message.content)).join("\n");
    const session = /session[: ]+([\w-]+)/i.exec(seen)?.[1] ?? "";
    if (!call || start !== scripted) {
      return { content: `DONE ${results.map((message) => textOf(message.content)).join(" ¦ ")}` };
    }
    return {
      tool_calls: [
        {
          index: 0,
          id: `call_${scripted}_${results.length}_${Math.random().toString(36).slice(2)}`,
          type: "function",
          function: { name: call.tool, arguments: JSON.stringify(call.args).replaceAll("$SESSION", session) },
        },
      ],
    };
  }
}

/** Words for a user message that makes the scripted model call these tools. */
export const script = (...calls: Array<{ tool: string; args: unknown }>): string =>
  `please ⟦${Buffer.from(JSON.stringify(calls)).toString("base64")}⟧`;
