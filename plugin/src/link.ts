// The connection to the guard: one per gateway process, re-made when it breaks.
//
// A question either gets the guard's answer within the deadline or fails; there is no third way.
// Everything here is asynchronous, bounded, and without a promise that nobody catches.

import { createConnection, type Socket } from "node:net";
import {
  DEADLINE_RANGE_MS,
  DEFAULT_DEADLINE_MS,
  HEARTBEAT_RANGE_MS,
  MAX_PENDING,
  MAX_QUEUED,
  MAX_QUEUED_BYTES,
  MAX_REASON,
  MAX_UNSENT_BYTES,
  PROTOCOL,
  RECONNECT_MS,
} from "./constants.ts";
import {
  ANSWER_TYPE,
  type Answers,
  type FromGuard,
  type Notice,
  type Origin,
  type Question,
} from "./frames.ts";
import { encode, FrameReader } from "./wire.ts";

/** The guard gave no usable answer. The message says what happened, without a trailing stop. */
export class GuardError extends Error {
  override name = "GuardError";
}

interface Pending {
  type: Question["type"];
  bytes: Buffer;
  /** The connection it was sent on; a question is sent once. */
  sent: boolean;
  sentAt: number;
  timer: NodeJS.Timeout;
  resolve(frame: FromGuard): void;
  reject(error: GuardError): void;
}

export interface LinkOptions {
  socketPath: string;
  bootId: string;
  openclawVersion: string;
  /** Told when the guard appears or disappears; once per change. */
  log(message: string): void;
}

type State = "down" | "connecting" | "greeting" | "ready";

export class Link {
  private readonly options: LinkOptions;
  private state: State = "down";
  private socket: Socket | undefined;
  private deadlineMs: number = DEFAULT_DEADLINE_MS;
  private nextId = 1;
  private readonly pending = new Map<number, Pending>();
  private pendingBytes = 0;
  private queue: Buffer[] = [];
  private queuedBytes = 0;
  private lost = 0;
  private heartbeats = 0;
  private heartbeat: NodeJS.Timeout | undefined;
  private retry: NodeJS.Timeout | undefined;
  private attempts = 0;
  private holders = 0;
  private lastHeard = 0;
  private trouble = "it has not been reached yet";
  private told = "";

  constructor(options: LinkOptions) {
    this.options = options;
  }

  /** How long a question may take now, in milliseconds. */
  get deadline(): number {
    return this.deadlineMs;
  }

  /** Keeps the connection, and with it the heartbeat, up until `release` is called as often. */
  hold(): void {
    this.holders += 1;
    this.connect();
  }

  release(): void {
    this.holders = Math.max(0, this.holders - 1);
    if (this.holders > 0) return;
    clearTimeout(this.retry);
    this.retry = undefined;
    this.drop("the plugin was stopped");
  }

  /** Asks. Rejects with a [`GuardError`] and never later than the deadline. */
  ask<Q extends Question>(question: Q, signal?: AbortSignal): Promise<Answers[Q["type"]]> {
    return new Promise<FromGuard>((resolve, reject) => {
      if (signal?.aborted) return reject(new GuardError("the call was cancelled"));
      if (this.pending.size >= MAX_PENDING) {
        return reject(new GuardError("too many calls wait for the guard"));
      }
      const id = this.nextId;
      let bytes: Buffer;
      try {
        bytes = encode({ ...question, id });
      } catch (error) {
        return reject(new GuardError(`the call cannot be shown to the guard (${text(error)})`));
      }
      if (this.pendingBytes + bytes.length > MAX_UNSENT_BYTES) {
        return reject(new GuardError("too much waits for the guard"));
      }
      this.nextId += 1;
      this.pendingBytes += bytes.length;
      const settle = () => {
        clearTimeout(entry.timer);
        signal?.removeEventListener("abort", onAbort);
        if (this.pending.delete(id)) this.pendingBytes -= bytes.length;
      };
      const onAbort = () => entry.reject(new GuardError("the call was cancelled"));
      const entry: Pending = {
        type: question.type,
        bytes,
        sent: false,
        sentAt: 0,
        timer: setTimeout(() => this.expire(id), this.deadlineMs),
        resolve(frame) {
          settle();
          resolve(frame);
        },
        reject(error) {
          settle();
          reject(error);
        },
      };
      this.pending.set(id, entry);
      signal?.addEventListener("abort", onAbort, { once: true });
      if (this.state === "ready") this.send(entry);
      else this.connect();
    }) as Promise<Answers[Q["type"]]>;
  }

  /** Tells. Waits in a bounded queue while there is no connection; what does not fit is counted. */
  tell(notice: Extract<Notice, { type: "observe" }>): void {
    let bytes: Buffer;
    try {
      bytes = encode(notice);
    } catch {
      this.lost += 1;
      return;
    }
    if (this.state === "ready" && this.socket && this.socket.writableLength < MAX_QUEUED_BYTES) {
      this.socket.write(bytes);
    } else if (
      this.state !== "ready" &&
      this.queue.length < MAX_QUEUED &&
      this.queuedBytes + bytes.length <= MAX_QUEUED_BYTES
    ) {
      this.queue.push(bytes);
      this.queuedBytes += bytes.length;
    } else {
      this.lost += 1;
    }
  }

  /** Passes on a person's answer. False when there is no connection to pass it on by. */
  answered(callId: string, allowed: boolean, resolution: string): boolean {
    if (this.state !== "ready" || !this.socket) return false;
    this.socket.write(encode({ type: "answered", callId, allowed, resolution } satisfies Notice));
    return true;
  }

  /** Shorthand for an observation. */
  observe(hook: string, origin: Origin, data: unknown): void {
    this.tell({ type: "observe", hook, origin, data });
  }

  private connect(): void {
    if (this.state !== "down") return;
    clearTimeout(this.retry);
    this.retry = undefined;
    this.state = "connecting";
    const reader = new FrameReader();
    const socket = createConnection(this.options.socketPath);
    this.socket = socket;
    // The plugin must not keep a process alive that has nothing else to do.
    socket.unref();
    // A guard that accepts and says nothing is not there.
    const greeting = setTimeout(
      () => {
        if (this.state !== "ready") this.drop("the guard did not greet the plugin", socket);
      },
      DEFAULT_DEADLINE_MS,
    ).unref();
    socket.on("connect", () => {
      if (this.socket !== socket) return;
      this.state = "greeting";
      socket.write(
        encode({
          type: "hello",
          protocol: PROTOCOL,
          bootId: this.options.bootId,
          openclawVersion: this.options.openclawVersion,
        } satisfies Notice),
      );
    });
    socket.on("data", (chunk: Buffer) => {
      if (this.socket !== socket) return;
      try {
        for (const frame of reader.push(chunk)) {
          if (this.socket !== socket) return;
          this.lastHeard = performance.now();
          this.take(frame, socket);
        }
      } catch (error) {
        this.drop(`the guard sent something that is not a frame (${text(error)})`, socket);
      }
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.drop(`the guard cannot be reached (${error.code ?? error.message})`, socket);
    });
    socket.on("close", () => {
      clearTimeout(greeting);
      this.drop("the guard closed the connection", socket);
    });
  }

  private take(frame: FromGuard, socket: Socket): void {
    if (this.state === "greeting") {
      if (frame.type === "error") return this.drop(`the guard refused the plugin: ${short(frame.message)}`, socket);
      if (frame.type !== "welcome") return this.drop("the guard did not greet the plugin", socket);
      return this.welcome(frame, socket);
    }
    if (frame.type === "welcome") return this.drop("the guard greeted the plugin twice", socket);
    if (frame.type === "error" && frame.id === undefined) {
      this.options.log(`the guard could not use a frame: ${short(frame.message)}`);
      return;
    }
    const id = frame.id ?? -1;
    const entry = this.pending.get(id);
    if (!entry) {
      // The answer to a question that has expired is late; to one never asked it is nonsense.
      if (id >= this.nextId) this.drop("the guard answered a question that was not asked", socket);
      return;
    }
    if (frame.type === "error") {
      entry.reject(new GuardError(`the guard could not decide: ${short(frame.message)}`));
    } else if (!entry.sent || frame.type !== ANSWER_TYPE[entry.type]) {
      this.drop("the guard gave an answer of the wrong kind", socket);
    } else {
      entry.resolve(frame);
    }
  }

  private welcome(frame: Extract<FromGuard, { type: "welcome" }>, socket: Socket): void {
    if (frame.protocol !== PROTOCOL) {
      return this.drop(`the guard speaks protocol ${frame.protocol}, the plugin ${PROTOCOL}`, socket);
    }
    if (!within(frame.deadlineMs, DEADLINE_RANGE_MS) || !within(frame.heartbeatMs, HEARTBEAT_RANGE_MS)) {
      return this.drop("the guard asked for a deadline or a heartbeat out of range", socket);
    }
    this.state = "ready";
    this.attempts = 0;
    this.deadlineMs = frame.deadlineMs;
    this.note("the guard is there");
    const queued = this.queue;
    this.queue = [];
    this.queuedBytes = 0;
    for (const bytes of queued) socket.write(bytes);
    for (const entry of this.pending.values()) if (!entry.sent) this.send(entry);
    this.beat();
    this.heartbeat = setInterval(() => this.beat(), frame.heartbeatMs).unref();
  }

  private beat(): void {
    const socket = this.socket;
    if (!socket) return;
    if (socket.writableLength > MAX_UNSENT_BYTES) {
      return this.drop("the guard does not read what it is sent", socket);
    }
    socket.write(
      encode({ type: "heartbeat", seq: this.heartbeats, lost: this.lost } satisfies Notice),
    );
    this.heartbeats += 1;
  }

  private send(entry: Pending): void {
    const socket = this.socket;
    if (!socket) return;
    if (socket.writableLength > MAX_UNSENT_BYTES) {
      return this.drop("the guard does not read what it is sent", socket);
    }
    entry.sent = true;
    entry.sentAt = performance.now();
    socket.write(entry.bytes);
  }

  private expire(id: number, looked = false): void {
    const entry = this.pending.get(id);
    if (!entry) return;
    // When somebody else held up the event loop, the answer may have come in time and not been
    // read yet: timers come before sockets.
    if (!looked) {
      setImmediate(() => this.expire(id, true));
      return;
    }
    const silent = entry.sent && this.lastHeard < entry.sentAt;
    entry.reject(
      new GuardError(
        entry.sent
          ? `the guard gave no answer within ${this.deadlineMs} ms`
          : `the guard is not there: ${this.trouble}`,
      ),
    );
    // Not a word since the question: a new connection may reach a guard that works.
    if (silent) this.drop("the guard fell silent", this.socket);
  }

  /** Ends the connection; what was sent on it will not be answered any more. */
  private drop(why: string, socket = this.socket): void {
    if (socket !== this.socket || this.state === "down") return;
    this.state = "down";
    this.socket = undefined;
    this.trouble = why;
    clearInterval(this.heartbeat);
    this.heartbeat = undefined;
    socket?.destroy();
    for (const entry of [...this.pending.values()]) {
      if (entry.sent) entry.reject(new GuardError(why));
    }
    this.note(why);
    if (this.holders === 0 && this.pending.size === 0) return;
    const pause = RECONNECT_MS[Math.min(this.attempts, RECONNECT_MS.length - 1)] ?? 500;
    this.attempts += 1;
    this.retry = setTimeout(() => this.connect(), pause).unref();
  }

  private note(what: string): void {
    if (what === this.told) return;
    this.told = what;
    this.options.log(what);
  }
}

function within(value: number, range: { min: number; max: number }): boolean {
  return value >= range.min && value <= range.max;
}

/** Bounds a text that comes from the guard. */
export function short(message: string): string {
  return message.length > MAX_REASON ? `${message.slice(0, MAX_REASON)}…` : message;
}

/** What an error says, whatever was thrown. */
export function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
