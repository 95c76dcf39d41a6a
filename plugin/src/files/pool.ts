// One file worker per session's sandbox: started when it is needed, ended when it is idle.

import { text } from "../link.ts";
import { type Answer, FileError, Worker, type WorkerMount } from "./worker.ts";

/** Unused this long, a worker gives its memory back. */
const IDLE_MS = 60_000;

/** What the kernel says of a file that is held in a sandbox. */
const HELD: ReadonlySet<string> = new Set(["EROFS", "EBUSY"]);

/** Most workers at once; the one that was used least recently makes room. */
const MAX_WORKERS = 32;

/** Prepares a worker: asks the guard for a ticket and returns the command line. */
export type Prepare = () => Promise<string[]>;

interface Kept {
  worker: Promise<Worker>;
  timer: NodeJS.Timeout;
}

export class Pool {
  private readonly kept = new Map<string, Kept>();
  private readonly env: Record<string, string>;

  constructor(env: Record<string, string>) {
    this.env = env;
  }

  /** Does one operation in the worker of `key`. What fails to start is tried anew next time. */
  async ask(
    key: string,
    prepare: Prepare,
    hello: { mounts: WorkerMount[]; protected: string[] },
    request: object,
    data?: Buffer,
    signal?: AbortSignal,
  ): Promise<{ answer: Answer; data: Buffer }> {
    try {
      const worker = await this.worker(key, prepare, hello);
      try {
        return await worker.ask(request, data, signal);
      } catch (error) {
        if (!(error instanceof FileError) || !HELD.has(error.code)) throw error;
        // A person may have said yes to this very file since that worker started.
        const fresh = new Worker(await prepare(), this.env, hello);
        try {
          return await fresh.ask(request, data, signal);
        } finally {
          fresh.end();
        }
      }
    } catch (error) {
      if (error instanceof FileError) {
        throw Object.assign(new Error(error.message, { cause: error }), { code: error.code });
      }
      throw new Error(`Seawall could not reach the files of this session: ${text(error)}`, { cause: error });
    }
  }

  endAll(): void {
    for (const key of [...this.kept.keys()]) this.drop(key);
  }

  private async worker(
    key: string,
    prepare: Prepare,
    hello: { mounts: WorkerMount[]; protected: string[] },
  ): Promise<Worker> {
    const known = this.kept.get(key);
    if (known) {
      const worker = await known.worker;
      if (!worker.ended) {
        known.timer.refresh();
        // The order of insertion is the order of use.
        if (this.kept.get(key) === known) {
          this.kept.delete(key);
          this.kept.set(key, known);
        }
        return worker;
      }
      if (this.kept.get(key) === known) this.drop(key);
      return this.worker(key, prepare, hello);
    }
    for (const oldest of this.kept.keys()) {
      if (this.kept.size < MAX_WORKERS) break;
      this.drop(oldest);
    }
    const worker = prepare().then((argv) => new Worker(argv, this.env, hello));
    const timer = setTimeout(() => this.drop(key), IDLE_MS).unref();
    const fresh: Kept = { worker, timer };
    this.kept.set(key, fresh);
    worker.catch(() => {
      if (this.kept.get(key) === fresh) this.drop(key);
    });
    return worker;
  }

  private drop(key: string): void {
    const known = this.kept.get(key);
    if (!known) return;
    this.kept.delete(key);
    clearTimeout(known.timer);
    known.worker.then(
      (worker) => worker.end(),
      () => {},
    );
  }
}
