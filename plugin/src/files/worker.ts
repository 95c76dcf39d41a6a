// The client of a file worker: a long-lived `seawall fsworker` in the sandbox of a session,
// started by a ticket. One operation at a time; the messages are those of
// crates/seawall/src/fsworker.

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";

const VERSION = 1;

/** A number that the answer repeats, and two lengths. */
const PREFIX = 12;

/** Limits of the worker's messages, the same on both sides. */
const MAX_HEAD = 16 * 1024 * 1024;
const MAX_DATA = 64 * 1024 * 1024;

/** A local file operation that takes longer hangs; the worker is then ended. */
const OPERATION_MS = 30_000;

/** What a worker may say on its way out. */
const MAX_SAID = 2_048;

export interface WorkerMount {
  root: string;
  writable: boolean;
}

export interface Answer {
  path?: string;
  policyPath?: string;
  kind?: "file" | "directory" | "other" | "missing";
  size?: number;
  mtimeMs?: number;
  entries?: Array<{ name: string; isDirectory: boolean; isFile: boolean }>;
  created?: boolean;
}

/** The operation failed; `code` is `REFUSED` or an errno as Node names it. */
export class FileError extends Error {
  override name = "FileError";
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

interface Waiting {
  id: number;
  message: Buffer[];
  resolve(result: { answer: Answer; data: Buffer }): void;
  reject(error: Error): void;
}

export class Worker {
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly waiting: Waiting[] = [];
  private busy: Waiting | undefined;
  private nextId = 0;
  private timer: NodeJS.Timeout | undefined;
  private held: Buffer[] = [];
  private size = 0;
  private said = "";
  private over: Error | undefined;

  constructor(
    argv: string[],
    env: Record<string, string>,
    hello: { mounts: WorkerMount[]; protected: string[] },
  ) {
    const [program = "", ...args] = argv;
    this.child = spawn(program, args, { cwd: "/", env, stdio: ["pipe", "pipe", "pipe"] });
    this.child.stdout.on("data", (chunk: Buffer) => this.take(chunk));
    this.child.stderr.on("data", (chunk: Buffer) => {
      if (this.said.length < MAX_SAID) this.said += chunk.toString("utf8").slice(0, MAX_SAID);
    });
    this.child.stdin.on("error", () => {
      // Told by "close" as well, with what the worker said.
    });
    this.child.on("error", (error) => this.end(error));
    this.child.on("close", () => {
      const said = this.said.trim();
      this.end(new Error(`the file worker ended${said ? `: ${said}` : ""}`));
    });
    // It must not keep the gateway alive.
    this.child.unref();
    for (const pipe of [this.child.stdin, this.child.stdout, this.child.stderr]) {
      (pipe as unknown as { unref?(): void }).unref?.();
    }
    // A failure shows in the operations that wait behind it.
    this.ask({ op: "hello", version: VERSION, ...hello }).catch(() => {});
  }

  get ended(): boolean {
    return this.over !== undefined;
  }

  get idle(): boolean {
    return this.busy === undefined && this.waiting.length === 0;
  }

  /** Does one operation; in the order in which they are asked for. */
  ask(request: object, data?: Buffer, signal?: AbortSignal): Promise<{ answer: Answer; data: Buffer }> {
    return new Promise((resolve, reject) => {
      if (this.over) return reject(this.over);
      if (signal?.aborted) return reject(new Error("the operation was cancelled"));
      const head = Buffer.from(JSON.stringify(request));
      const length = data?.length ?? 0;
      if (head.length > MAX_HEAD || length > MAX_DATA) {
        return reject(new FileError("EFBIG", `${length} bytes are more than the file tools take`));
      }
      const id = this.nextId;
      this.nextId = (this.nextId + 1) >>> 0;
      const prefix = Buffer.alloc(PREFIX);
      prefix.writeUInt32BE(id);
      prefix.writeUInt32BE(head.length, 4);
      prefix.writeUInt32BE(length, 8);
      const entry: Waiting = {
        id,
        message: data ? [prefix, head, data] : [prefix, head],
        resolve,
        reject,
      };
      // One that has started is left to finish: half an operation helps nobody.
      signal?.addEventListener(
        "abort",
        () => {
          const at = this.waiting.indexOf(entry);
          if (at >= 0) this.waiting.splice(at, 1);
          reject(new Error("the operation was cancelled"));
        },
        { once: true },
      );
      this.waiting.push(entry);
      this.next();
    });
  }

  /** Ends the worker and with it its sandbox. */
  end(why: Error = new Error("the file worker was stopped")): void {
    if (this.over) return;
    this.over = why;
    clearTimeout(this.timer);
    this.child.stdin.destroy();
    this.child.kill("SIGKILL");
    const all = this.busy ? [this.busy, ...this.waiting] : [...this.waiting];
    this.busy = undefined;
    this.waiting.length = 0;
    for (const entry of all) entry.reject(why);
  }

  private next(): void {
    if (this.busy || this.over) return;
    const entry = this.waiting.shift();
    if (!entry) return;
    this.busy = entry;
    this.timer = setTimeout(
      () => this.end(new Error(`a file operation took more than ${OPERATION_MS} ms`)),
      OPERATION_MS,
    );
    for (const part of entry.message) this.child.stdin.write(part);
  }

  private take(chunk: Buffer): void {
    this.held.push(chunk);
    this.size += chunk.length;
    if (this.size < PREFIX) return;
    if (this.held.length > 1 && (this.held[0]?.length ?? 0) < PREFIX) {
      this.held = [Buffer.concat(this.held)];
    }
    const first = this.held[0]!;
    const head = first.readUInt32BE(4);
    const data = first.readUInt32BE(8);
    if (head > MAX_HEAD || data > MAX_DATA) return this.end(new Error("the file worker sent nonsense"));
    const total = PREFIX + head + data;
    if (this.size < total) return;
    const all = this.held.length === 1 ? first : Buffer.concat(this.held);
    const entry = this.busy;
    if (all.length > total || entry?.id !== all.readUInt32BE()) return this.end(new Error("the file worker spoke unasked"));
    if (!entry) return;
    this.held = [];
    this.size = 0;
    this.busy = undefined;
    clearTimeout(this.timer);
    try {
      const reply = JSON.parse(all.toString("utf8", PREFIX, PREFIX + head)) as {
        ok?: unknown;
        answer?: Answer;
        error?: { code?: unknown; message?: unknown };
      };
      if (reply.ok === true && typeof reply.answer === "object" && reply.answer !== null) {
        entry.resolve({ answer: reply.answer, data: all.subarray(PREFIX + head) });
      } else if (reply.ok === false) {
        entry.reject(new FileError(String(reply.error?.code), String(reply.error?.message)));
      } else {
        throw new Error("neither");
      }
    } catch {
      entry.reject(new Error("the file worker sent nonsense"));
      return this.end(new Error("the file worker sent nonsense"));
    }
    this.next();
  }
}
