// Starts the real OpenClaw gateway with the plugin as it ships, and talks to it as a client.

import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { createWriteStream, existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Script, ScriptedGuard } from "../guard.ts";
import { makeLauncher } from "./launcher.ts";
import { ScriptedModel } from "./model.ts";

/** `SEAWALL_OPENCLAW_DIR`: a folder with `node_modules/openclaw` in it. */
export function findOpenclaw(): string | undefined {
  const root = process.env["SEAWALL_OPENCLAW_DIR"];
  const entry = root && join(root, "node_modules/openclaw/openclaw.mjs");
  return entry && existsSync(entry) ? entry : undefined;
}

/** First of the ports to use; a gateway and a model each take one. */
const BASE_PORT = Number(process.env["SEAWALL_TEST_PORT"] ?? 20_300);

export interface Options {
  /** Further configuration, merged at the top level. */
  config?: Record<string, unknown>;
  sandbox?: Record<string, unknown>;
  script?: Partial<Script>;
  env?: Record<string, string>;
}

export interface Turn {
  status: string;
  text: string;
}

export class Gateway {
  readonly dir: string;
  readonly workspace: string;
  readonly guard: ScriptedGuard;
  readonly model = new ScriptedModel();
  readonly token = randomBytes(16).toString("hex");
  port = BASE_PORT;
  process: ChildProcess | undefined;
  private socket: WebSocket | undefined;
  private calls = new Map<string, (frame: { ok: boolean; payload?: unknown; error?: { message: string } }) => void>();
  private listeners: Array<(event: string, payload: Record<string, unknown>) => void> = [];
  private nextCall = 1;

  private constructor(dir: string) {
    this.dir = dir;
    this.workspace = join(dir, "ws");
    this.guard = new ScriptedGuard(join(dir, "guard.sock"));
  }

  static async start(options: Options = {}): Promise<Gateway> {
    const gateway = new Gateway(await mkdtemp(join(tmpdir(), "seawall-gw-")));
    try {
      await gateway.boot(options);
      return gateway;
    } catch (error) {
      await gateway.stop();
      throw error;
    }
  }

  private async boot(options: Options): Promise<void> {
    const { dir } = this;
    await mkdir(join(dir, "state"), { recursive: true });
    await mkdir(this.workspace, { recursive: true });
    const launcher = await makeLauncher(dir);
    const bin = process.env["SEAWALL_BIN"];
    if (bin) await writeFile(join(dir, "seawall-bin"), bin);
    this.guard.script = { mode: "allow", ticket: launcher.ticket, ...options.script };
    await this.guard.start();
    await this.model.start(BASE_PORT + 1);
    const config = {
      gateway: {
        mode: "local",
        bind: "loopback",
        port: this.port,
        auth: { mode: "token", token: this.token },
      },
      agents: {
        defaults: {
          workspace: this.workspace,
          model: { primary: "scripted/one" },
          skipBootstrap: true,
          sandbox: { mode: "all", backend: "seawall", workspaceAccess: "rw", ...options.sandbox },
        },
      },
      models: {
        mode: "replace",
        providers: {
          scripted: {
            baseUrl: `http://127.0.0.1:${this.model.port}/v1`,
            apiKey: "none",
            api: "openai-completions",
            models: [
              {
                id: "one",
                name: "Scripted",
                reasoning: false,
                input: ["text"],
                cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
                contextWindow: 128000,
                maxTokens: 4096,
              },
            ],
          },
        },
      },
      plugins: {
        enabled: true,
        allow: ["seawall"],
        load: { paths: [new URL("../../dist", import.meta.url).pathname] },
        entries: {
          seawall: {
            enabled: true,
            hooks: { allowConversationAccess: true },
            config: { guardSocket: this.guard.path, launcher: launcher.program },
          },
        },
      },
      logging: { level: "debug", file: join(dir, "gateway.log") },
      ...options.config,
    };
    await writeFile(join(dir, "openclaw.json"), JSON.stringify(config, null, 1));
    const entry = findOpenclaw();
    if (!entry) throw new Error("SEAWALL_OPENCLAW_DIR is not set");
    this.process = spawn(process.execPath, [entry, "gateway", "run"], {
      cwd: dir,
      env: { ...this.env(), ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const child = this.process;
    process.once("exit", () => child.kill("SIGKILL"));
    const log = createWriteStream(join(dir, "stdout.log"));
    this.process.stdout?.pipe(log);
    this.process.stderr?.pipe(log);
    const until = Date.now() + 300_000;
    for (;;) {
      if (this.process.exitCode !== null) throw new Error(`the gateway ended:\n${this.output()}`);
      if (Date.now() > until) throw new Error(`the gateway is not ready:\n${this.output()}`);
      const ready = await fetch(`http://127.0.0.1:${this.port}/readyz`).then(
        (response) => response.ok,
        () => false,
      );
      if (ready) break;
      await sleep(150);
    }
    await this.connect();
  }

  /** All that the gateway gets as environment. */
  env(): Record<string, string> {
    return {
      PATH: "/usr/bin:/bin",
      HOME: this.dir,
      OPENCLAW_STATE_DIR: join(this.dir, "state"),
      OPENCLAW_CONFIG_PATH: join(this.dir, "openclaw.json"),
      NO_COLOR: "1",
    };
  }

  output(): string {
    try {
      return readFileSync(join(this.dir, "stdout.log"), "utf8").slice(-4_000);
    } catch {
      return "";
    }
  }

  private async connect(): Promise<void> {
    const socket = new WebSocket(`ws://127.0.0.1:${this.port}/`);
    this.socket = socket;
    await new Promise<void>((done, fail) => {
      socket.onerror = () => fail(new Error("no WebSocket"));
      socket.onclose = () => {
        for (const finish of this.calls.values()) finish({ ok: false, error: { message: "closed" } });
        this.calls.clear();
      };
      socket.onmessage = (message) => {
        const frame = JSON.parse(String(message.data)) as {
          type: string;
          id?: string;
          event?: string;
          ok: boolean;
          payload?: Record<string, unknown>;
          error?: { message: string };
        };
        if (frame.type === "event" && frame.event === "connect.challenge") {
          this.rpc("connect", {
            minProtocol: 4,
            maxProtocol: 4,
            client: { id: "gateway-client", version: "1", platform: "linux", mode: "backend" },
            role: "operator",
            scopes: ["operator.admin", "operator.read", "operator.write", "operator.approvals"],
            caps: ["approvals"],
            commands: [],
            permissions: {},
            auth: { token: this.token },
          }).then(() => done(), fail);
        } else if (frame.type === "res" && frame.id) {
          const payload = frame.payload;
          // `agent` answers twice; the first one says that it was accepted.
          if (frame.ok && payload?.["status"] === "accepted") return;
          this.calls.get(frame.id)?.(frame);
          this.calls.delete(frame.id);
        } else if (frame.type === "event" && frame.event) {
          for (const listener of this.listeners) listener(frame.event, frame.payload ?? {});
        }
      };
    });
  }

  rpc(method: string, params: unknown): Promise<unknown> {
    return new Promise((done, fail) => {
      const id = String(this.nextCall++);
      this.calls.set(id, (frame) =>
        frame.ok ? done(frame.payload) : fail(new Error(`${method}: ${frame.error?.message}`)),
      );
      this.socket?.send(JSON.stringify({ type: "req", id, method, params }));
    });
  }

  onEvent(listener: (event: string, payload: Record<string, unknown>) => void): () => void {
    this.listeners.push(listener);
    return () => this.listeners.splice(this.listeners.indexOf(listener), 1);
  }

  /** A turn as the command line makes it. */
  async turn(message: string, session: string = randomUUID(), more = {}): Promise<Turn> {
    const answer = (await this.rpc("agent", {
      message,
      agentId: "main",
      sessionKey: `agent:main:${session}`,
      idempotencyKey: randomUUID(),
      ...more,
    })) as { status?: string; result?: { payloads?: Array<{ text?: string }> } };
    return {
      status: answer.status ?? "",
      text: (answer.result?.payloads ?? []).map((part) => part.text ?? "").join("\n"),
    };
  }

  /** A turn as the web chat makes it. */
  async chat(message: string, session: string = randomUUID()): Promise<string> {
    const sessionKey = `agent:main:${session}`;
    const done = new Promise<string>((finish) => {
      const off = this.onEvent((event, payload) => {
        if (event !== "chat" || payload["sessionKey"] !== sessionKey) return;
        if (payload["state"] === "final" || payload["state"] === "error") {
          off();
          finish(JSON.stringify(payload["message"] ?? payload));
        }
      });
    });
    await this.rpc("chat.send", { sessionKey, message, idempotencyKey: randomUUID() });
    return done;
  }

  async file(name: string): Promise<string | undefined> {
    return readFile(join(this.workspace, name), "utf8").catch(() => undefined);
  }

  async stop(): Promise<void> {
    this.socket?.close();
    const child = this.process;
    if (child && child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((done) => child.once("exit", done));
      child.kill("SIGTERM");
      if (!(await Promise.race([ended.then(() => true), sleep(15_000).then(() => false)]))) {
        child.kill("SIGKILL");
        await ended;
      }
    }
    await this.guard.stop();
    await this.model.stop();
    if (!process.env["SEAWALL_KEEP"]) {
      // The gateway's workers may still be writing.
      await rm(this.dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
    }
  }
}
