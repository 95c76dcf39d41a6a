// A scripted guard: speaks the frames of crates/model/src/frame.rs over a unix socket and
// misbehaves on demand. It stands in for the daemon in tests that need a guard that is slow,
// silent, or answers nonsense.

import { createServer, type Server, type Socket } from "node:net";
import { rm } from "node:fs/promises";

export type Mode =
  | "allow"
  | "deny"
  | "ask"
  | "rewrite"
  | "silent"
  | "late"
  | "garbage"
  | "huge"
  | "wrong_id"
  | "close"
  | "malformed"
  | "wrong_kind"
  | "error";

export interface Frame {
  type: string;
  id?: number;
  [field: string]: unknown;
}

export interface Script {
  mode: Mode;
  /** Tools (or `result`, `prepare`) that `mode` is for; the others are allowed. */
  only?: string[];
  deadlineMs?: number;
  heartbeatMs?: number;
  /** For `late`. */
  delayMs?: number;
  /** For `rewrite`. */
  params?: Record<string, unknown>;
  /** Answers results with this text. */
  replace?: string;
  /** How the hello is answered. */
  hello?: "welcome" | "silent" | "refuse" | "wrong_protocol" | "garbage";
  /** Makes a ticket for a prepared run. */
  ticket?: (run: Record<string, unknown>) => string;
}

const MAX = 16 * 1024 * 1024;

export class ScriptedGuard {
  readonly path: string;
  script: Script;
  readonly frames: Frame[] = [];
  private server: Server | undefined;
  private readonly sockets = new Set<Socket>();
  private readonly waiting: Array<{ want(frame: Frame): boolean; done(frame: Frame): void }> = [];
  connections = 0;

  constructor(path: string, script: Script = { mode: "allow" }) {
    this.path = path;
    this.script = script;
  }

  async start(): Promise<void> {
    await rm(this.path, { force: true });
    const server = createServer((socket) => this.serve(socket));
    this.server = server;
    await new Promise<void>((done, fail) => {
      server.once("error", fail);
      server.listen(this.path, done);
    });
  }

  async stop(): Promise<void> {
    const server = this.server;
    this.server = undefined;
    for (const socket of this.sockets) socket.destroy();
    if (server) await new Promise<void>((done) => server.close(() => done()));
    await rm(this.path, { force: true });
  }

  /** The next frame (or one that came already) that fits. */
  next(want: (frame: Frame) => boolean, past = true): Promise<Frame> {
    const known = past ? this.frames.find(want) : undefined;
    if (known) return Promise.resolve(known);
    return new Promise((done) => this.waiting.push({ want, done }));
  }

  private serve(socket: Socket): void {
    this.connections += 1;
    this.sockets.add(socket);
    socket.on("close", () => this.sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    let held = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      while (held.length >= 4) {
        const length = held.readUInt32BE();
        if (held.length < 4 + length) return;
        const frame = JSON.parse(held.subarray(4, 4 + length).toString("utf8")) as Frame;
        held = held.subarray(4 + length);
        this.frames.push(frame);
        for (const waiter of [...this.waiting]) {
          if (!waiter.want(frame)) continue;
          this.waiting.splice(this.waiting.indexOf(waiter), 1);
          waiter.done(frame);
        }
        this.answer(socket, frame);
      }
    });
  }

  private answer(socket: Socket, frame: Frame): void {
    const { script } = this;
    if (frame.type === "hello") {
      switch (script.hello ?? "welcome") {
        case "welcome":
          return send(socket, {
            type: "welcome",
            protocol: 1,
            deadlineMs: script.deadlineMs ?? 400,
            heartbeatMs: script.heartbeatMs ?? 200,
          });
        case "wrong_protocol":
          return send(socket, { type: "welcome", protocol: 2, deadlineMs: 400, heartbeatMs: 200 });
        case "refuse":
          send(socket, { type: "error", message: "this process is not the gateway" });
          socket.end();
          return;
        case "garbage":
          socket.write("HTTP/1.1 400 Bad Request\r\n\r\n");
          return;
        case "silent":
          return;
      }
    }
    const id = frame.id;
    if (id === undefined) return;
    const subject =
      frame.type === "decide" ? String((frame["call"] as { tool: string }).tool) : frame.type;
    const mode = script.only && !script.only.includes(subject) ? "allow" : script.mode;
    const good = this.good(frame, mode);
    switch (mode) {
      case "silent":
        return;
      case "late":
        setTimeout(() => {
          if (!socket.destroyed) send(socket, good);
        }, script.delayMs ?? 1_000);
        return;
      case "garbage":
        socket.write(Buffer.from("\x00\x00\x00\x05hello"));
        return;
      case "malformed":
        // What a careless reader takes for an allow.
        return send(socket, { type: "verdict", id, decision: "allowed", block: "no" });
      case "huge": {
        const head = Buffer.alloc(4);
        head.writeUInt32BE(MAX + 1);
        socket.write(head);
        return;
      }
      case "wrong_id":
        return send(socket, { ...good, id: id + 1_000_000 });
      case "wrong_kind":
        return send(
          socket,
          frame.type === "decide"
            ? { type: "result_verdict", id }
            : { type: "verdict", id, decision: "allow" },
        );
      case "close":
        socket.destroy();
        return;
      case "error":
        return send(socket, { type: "error", id, message: "the log is full" });
      default:
        return send(socket, good);
    }
  }

  private good(frame: Frame, mode: Mode): Frame {
    const id = frame.id ?? 0;
    const { script } = this;
    if (frame.type === "result") {
      return script.replace === undefined
        ? { type: "result_verdict", id }
        : { type: "result_verdict", id, replace: script.replace };
    }
    if (frame.type === "prepare") {
      const run = frame["run"] as Record<string, unknown>;
      if (mode === "deny") return { type: "error", id, message: "this run was not decided" };
      return { type: "ticket", id, ticket: script.ticket?.(run) ?? "T".repeat(32) };
    }
    switch (mode) {
      case "deny":
        return { type: "verdict", id, decision: "deny", reason: "the scripted guard says no" };
      case "ask":
        return {
          type: "verdict",
          id,
          decision: "ask",
          reason: "",
          // Longer than the gateway takes.
          ask: { title: `Run it? ${"t".repeat(200)}`, description: `${"d".repeat(2_000)} end`, timeoutMs: 20_000 },
        };
      case "rewrite":
        return { type: "verdict", id, decision: "rewrite", params: script.params ?? {} };
      default:
        return { type: "verdict", id, decision: "allow" };
    }
  }
}

function send(socket: Socket, frame: object): void {
  const body = Buffer.from(JSON.stringify(frame));
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  socket.write(Buffer.concat([head, body]));
}
