// src/index.ts
import { randomUUID as randomUUID2 } from "node:crypto";
import { definePluginEntry } from "openclaw/plugin-sdk/plugin-entry";
import { registerSandboxBackend } from "openclaw/plugin-sdk/sandbox";

// src/backend.ts
import { createHash } from "node:crypto";
import {
  resolveReadOnlyWorkspaceSkillMounts
} from "openclaw/plugin-sdk/sandbox";

// src/constants.ts
var PLUGIN_ID = "seawall";
var PROTOCOL = 1;
var RUN_DIR = "/run/seawall";
var GUARD_SOCKET = `${RUN_DIR}/guard.sock`;
var LAUNCHER = `${RUN_DIR}/bin/seawall`;
var WORKDIR = "/workspace";
var AGENT_DIR = "/agent";
var MAX_FRAME = 16 * 1024 * 1024;
var DEFAULT_DEADLINE_MS = 2e3;
var DEADLINE_RANGE_MS = { min: 50, max: 1e4 };
var HEARTBEAT_RANGE_MS = { min: 50, max: 6e4 };
var RECONNECT_MS = [20, 50, 100, 250, 500];
var MAX_PENDING = 1024;
var MAX_QUEUED = 512;
var MAX_QUEUED_BYTES = 4 * 1024 * 1024;
var MAX_UNSENT_BYTES = 64 * 1024 * 1024;
var MAX_REASON = 4096;
var MAX_PERMITS = 4096;
var PERMIT_TTL_MS = 3e4;
var MAX_SESSIONS = 4096;
var EXEC_HOST_RACE_MS = 15e3;
var OBSERVE = { total: 256 * 1024, text: 64 * 1024, depth: 6, width: 100 };

// src/files/bridge.ts
import {
  createRemoteShellSandboxFsBridge
} from "openclaw/plugin-sdk/sandbox";
var FILE_IDENTITY = /* @__PURE__ */ Symbol.for("openclaw.sandboxFileIdentity");
var SKILL_FOLDERS = ["skills", ".agents/skills", ".openclaw/sandbox-skills/skills"];
function workerMounts(sandbox, readOnly) {
  const agent = sandbox.workspaceAccess !== "none" && sandbox.agentWorkspaceDir !== sandbox.workspaceDir;
  const roots = agent ? [WORKDIR, AGENT_DIR] : [WORKDIR];
  return {
    mounts: [
      { root: WORKDIR, writable: sandbox.workspaceAccess !== "ro" },
      ...agent ? [{ root: AGENT_DIR, writable: sandbox.workspaceAccess === "rw" }] : [],
      ...readOnly.map((mount) => ({ root: mount.containerPath, writable: false }))
    ],
    protected: roots.flatMap((root) => SKILL_FOLDERS.map((folder) => `${root}/${folder}`))
  };
}
function makeBridge(sandbox, ask) {
  const paths = createRemoteShellSandboxFsBridge({
    sandbox,
    runtime: {
      remoteWorkspaceDir: WORKDIR,
      remoteAgentWorkspaceDir: AGENT_DIR,
      runRemoteShellScript: () => Promise.reject(new Error("Seawall runs no file scripts"))
    }
  });
  const inside = ({ filePath, cwd }) => paths.resolvePath({ filePath, ...cwd === void 0 ? {} : { cwd } }).containerPath;
  const pin = (pinned) => pinned === void 0 ? {} : { pinned };
  const bytes = (content) => typeof content.data === "string" ? Buffer.from(content.data, content.encoding ?? "utf8") : content.data;
  const bridge = {
    get pathMappings() {
      return paths["pathMappings"];
    },
    resolvePath: paths.resolvePath.bind(paths),
    async [FILE_IDENTITY](where) {
      const { answer } = await ask({ op: "identity", path: inside(where) }, void 0, where.signal);
      return known(answer.path);
    },
    async resolvePinnedMutationTarget(where) {
      const { answer } = await ask(
        { op: "pin", path: inside(where), directory: where.action === "mkdir" },
        void 0,
        where.signal
      );
      return { policyPath: known(answer.policyPath), pinnedPath: known(answer.path) };
    },
    async readDirectory(where) {
      const { answer } = await ask({ op: "list", path: inside(where) }, void 0, where.signal);
      return known(answer.entries);
    },
    async readFile(where) {
      return (await bridge.readFileWithSource(where)).data;
    },
    async readFileWithSource(where) {
      if (where.maxBytes !== void 0 && !(Number.isSafeInteger(where.maxBytes) && where.maxBytes >= 0)) {
        throw new RangeError("Sandbox file read limit must be a non-negative safe integer.");
      }
      const path = inside(where);
      const { answer, data } = await ask(
        { op: "read", path, ...where.maxBytes === void 0 ? {} : { max: where.maxBytes } },
        void 0,
        where.signal
      );
      const logical = known(answer.policyPath);
      return {
        data,
        canonicalPath: known(answer.path),
        ...logical.startsWith(`${WORKDIR}/`) ? { workspaceRelativePath: logical.slice(WORKDIR.length + 1) } : {}
      };
    },
    async copyFile(p) {
      const from = inside({ filePath: p.sourcePath, cwd: p.cwd });
      const to = inside({ filePath: p.destinationPath, cwd: p.cwd });
      await ask(
        { op: "copy", from, to, mkdir: p.mkdir !== false, ...pin(p.pinnedPath) },
        void 0,
        p.signal
      );
    },
    async writeFile(content) {
      await ask(
        {
          op: "write",
          path: inside(content),
          mkdir: content.mkdir !== false,
          ...pin(content.pinnedPath)
        },
        bytes(content),
        content.signal
      );
    },
    async createFileExclusive(content) {
      const { answer } = await ask(
        {
          op: "create",
          path: inside(content),
          mkdir: content.mkdir !== false,
          ...pin(content.pinnedPath)
        },
        bytes(content),
        content.signal
      );
      return known(answer.created) ? "created" : "exists";
    },
    async mkdirp(where) {
      await ask(
        { op: "mkdir", path: inside(where), ...pin(where.pinnedPath) },
        void 0,
        where.signal
      );
    },
    async remove(where) {
      await ask(
        {
          op: "remove",
          path: inside(where),
          recursive: where.recursive === true,
          force: where.force !== false,
          ...pin(where.pinnedPath)
        },
        void 0,
        where.signal
      );
    },
    async rename(p) {
      const from = inside({ filePath: p.from, cwd: p.cwd });
      const to = inside({ filePath: p.to, cwd: p.cwd });
      await ask({ op: "rename", from, to }, void 0, p.signal);
    },
    async stat(where) {
      const { answer } = await ask({ op: "stat", path: inside(where) }, void 0, where.signal);
      const kind = known(answer.kind);
      if (kind === "missing") return null;
      return { type: kind, size: known(answer.size), mtimeMs: known(answer.mtimeMs) };
    }
  };
  return bridge;
}
function known(value) {
  if (value === void 0) throw new Error("the file worker left something out");
  return value;
}

// src/link.ts
import { createConnection } from "node:net";

// src/frames.ts
var ANSWER_TYPE = {
  decide: "verdict",
  result: "result_verdict",
  prepare: "ticket"
};
var FrameError = class extends Error {
  name = "FrameError";
};
function isRecord(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
function string(fields, key) {
  const value = fields[key];
  if (typeof value !== "string") throw new FrameError(`\`${key}\` is not a string`);
  return value;
}
function optionalString(fields, key) {
  return fields[key] === void 0 ? "" : string(fields, key);
}
function count(fields, key) {
  const value = fields[key];
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new FrameError(`\`${key}\` is not a whole number`);
  }
  return value;
}
var DECISIONS = ["allow", "rewrite", "ask", "deny"];
function verdict(fields) {
  const decision = DECISIONS.find((known2) => known2 === fields["decision"]);
  if (decision === void 0) throw new FrameError("`decision` is none of the four");
  const out = {
    type: "verdict",
    id: count(fields, "id"),
    decision,
    reason: optionalString(fields, "reason")
  };
  if (decision === "rewrite") {
    const params = fields["params"];
    if (!isRecord(params)) throw new FrameError("a rewrite without `params`");
    out.params = params;
  } else if (fields["params"] !== void 0) {
    throw new FrameError("`params` without a rewrite");
  }
  if (decision === "ask") {
    const ask = fields["ask"];
    if (!isRecord(ask)) throw new FrameError("an ask without `ask`");
    out.ask = {
      title: string(ask, "title"),
      description: string(ask, "description"),
      timeoutMs: count(ask, "timeoutMs")
    };
  }
  return out;
}
function decode(body) {
  let fields;
  try {
    fields = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    throw new FrameError("not JSON");
  }
  if (!isRecord(fields)) throw new FrameError("not an object");
  switch (fields["type"]) {
    case "welcome":
      return {
        type: "welcome",
        protocol: count(fields, "protocol"),
        deadlineMs: count(fields, "deadlineMs"),
        heartbeatMs: count(fields, "heartbeatMs")
      };
    case "verdict":
      return verdict(fields);
    case "result_verdict": {
      const id = count(fields, "id");
      return fields["replace"] === void 0 ? { type: "result_verdict", id } : { type: "result_verdict", id, replace: string(fields, "replace") };
    }
    case "ticket": {
      const ticket = string(fields, "ticket");
      if (!/^[A-Za-z0-9_][A-Za-z0-9_-]{15,255}$/.test(ticket)) throw new FrameError("a malformed `ticket`");
      return { type: "ticket", id: count(fields, "id"), ticket };
    }
    case "error": {
      const message = string(fields, "message");
      return fields["id"] === void 0 ? { type: "error", message } : { type: "error", id: count(fields, "id"), message };
    }
    default:
      throw new FrameError("an unknown `type`");
  }
}

// src/wire.ts
var HEAD = 4;
var TooLongError = class extends Error {
  name = "TooLongError";
  constructor(bytes) {
    super(`${bytes} bytes are longer than the limit of ${MAX_FRAME}`);
  }
};
function encode(frame) {
  const text3 = JSON.stringify(frame);
  const length = Buffer.byteLength(text3);
  if (length > MAX_FRAME) throw new TooLongError(length);
  const out = Buffer.allocUnsafe(HEAD + length);
  out.writeUInt32BE(length);
  out.write(text3, HEAD);
  return out;
}
var FrameReader = class {
  chunks = [];
  held = 0;
  wanted = HEAD;
  body = false;
  /** Takes bytes and returns the frames that are complete. Throws on the first that is not one. */
  push(chunk) {
    const frames = [];
    this.chunks.push(chunk);
    this.held += chunk.length;
    while (this.held >= this.wanted) {
      const piece = this.take(this.wanted);
      if (this.body) {
        frames.push(decode(piece));
        this.body = false;
        this.wanted = HEAD;
      } else {
        this.wanted = piece.readUInt32BE();
        if (this.wanted > MAX_FRAME) throw new FrameError("a frame above the length limit");
        this.body = true;
      }
    }
    return frames;
  }
  take(bytes) {
    const all = this.chunks.length === 1 ? this.chunks[0] : Buffer.concat(this.chunks);
    this.chunks = all.length > bytes ? [all.subarray(bytes)] : [];
    this.held = all.length - bytes;
    return all.subarray(0, bytes);
  }
};

// src/link.ts
var GuardError = class extends Error {
  name = "GuardError";
};
var Link = class {
  options;
  state = "down";
  socket;
  deadlineMs = DEFAULT_DEADLINE_MS;
  nextId = 1;
  pending = /* @__PURE__ */ new Map();
  pendingBytes = 0;
  queue = [];
  queuedBytes = 0;
  lost = 0;
  heartbeats = 0;
  heartbeat;
  retry;
  attempts = 0;
  holders = 0;
  lastHeard = 0;
  trouble = "it has not been reached yet";
  told = "";
  constructor(options) {
    this.options = options;
  }
  /** How long a question may take now, in milliseconds. */
  get deadline() {
    return this.deadlineMs;
  }
  /** Keeps the connection, and with it the heartbeat, up until `release` is called as often. */
  hold() {
    this.holders += 1;
    this.connect();
  }
  release() {
    this.holders = Math.max(0, this.holders - 1);
    if (this.holders > 0) return;
    clearTimeout(this.retry);
    this.retry = void 0;
    this.drop("the plugin was stopped");
  }
  /** Asks. Rejects with a [`GuardError`] and never later than the deadline. */
  ask(question, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(new GuardError("the call was cancelled"));
      if (this.pending.size >= MAX_PENDING) {
        return reject(new GuardError("too many calls wait for the guard"));
      }
      const id = this.nextId;
      let bytes;
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
      const entry = {
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
        }
      };
      this.pending.set(id, entry);
      signal?.addEventListener("abort", onAbort, { once: true });
      if (this.state === "ready") this.send(entry);
      else this.connect();
    });
  }
  /** Tells. Waits in a bounded queue while there is no connection; what does not fit is counted. */
  tell(notice) {
    let bytes;
    try {
      bytes = encode(notice);
    } catch {
      this.lost += 1;
      return;
    }
    if (this.state === "ready" && this.socket && this.socket.writableLength < MAX_QUEUED_BYTES) {
      this.socket.write(bytes);
    } else if (this.state !== "ready" && this.queue.length < MAX_QUEUED && this.queuedBytes + bytes.length <= MAX_QUEUED_BYTES) {
      this.queue.push(bytes);
      this.queuedBytes += bytes.length;
    } else {
      this.lost += 1;
    }
  }
  /** Passes on a person's answer. False when there is no connection to pass it on by. */
  answered(callId, allowed, resolution) {
    if (this.state !== "ready" || !this.socket) return false;
    this.socket.write(encode({ type: "answered", callId, allowed, resolution }));
    return true;
  }
  /** Shorthand for an observation. */
  observe(hook, origin, data) {
    this.tell({ type: "observe", hook, origin, data });
  }
  connect() {
    if (this.state !== "down") return;
    clearTimeout(this.retry);
    this.retry = void 0;
    this.state = "connecting";
    const reader = new FrameReader();
    const socket = createConnection(this.options.socketPath);
    this.socket = socket;
    socket.unref();
    const greeting = setTimeout(
      () => {
        if (this.state !== "ready") this.drop("the guard did not greet the plugin", socket);
      },
      DEFAULT_DEADLINE_MS
    ).unref();
    socket.on("connect", () => {
      if (this.socket !== socket) return;
      this.state = "greeting";
      socket.write(
        encode({
          type: "hello",
          protocol: PROTOCOL,
          bootId: this.options.bootId,
          openclawVersion: this.options.openclawVersion
        })
      );
    });
    socket.on("data", (chunk) => {
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
    socket.on("error", (error) => {
      this.drop(`the guard cannot be reached (${error.code ?? error.message})`, socket);
    });
    socket.on("close", () => {
      clearTimeout(greeting);
      this.drop("the guard closed the connection", socket);
    });
  }
  take(frame, socket) {
    if (this.state === "greeting") {
      if (frame.type === "error") return this.drop(`the guard refused the plugin: ${short(frame.message)}`, socket);
      if (frame.type !== "welcome") return this.drop("the guard did not greet the plugin", socket);
      return this.welcome(frame, socket);
    }
    if (frame.type === "welcome") return this.drop("the guard greeted the plugin twice", socket);
    if (frame.type === "error" && frame.id === void 0) {
      this.options.log(`the guard could not use a frame: ${short(frame.message)}`);
      return;
    }
    const id = frame.id ?? -1;
    const entry = this.pending.get(id);
    if (!entry) {
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
  welcome(frame, socket) {
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
  beat() {
    const socket = this.socket;
    if (!socket) return;
    if (socket.writableLength > MAX_UNSENT_BYTES) {
      return this.drop("the guard does not read what it is sent", socket);
    }
    socket.write(
      encode({ type: "heartbeat", seq: this.heartbeats, lost: this.lost })
    );
    this.heartbeats += 1;
  }
  send(entry) {
    const socket = this.socket;
    if (!socket) return;
    if (socket.writableLength > MAX_UNSENT_BYTES) {
      return this.drop("the guard does not read what it is sent", socket);
    }
    entry.sent = true;
    entry.sentAt = performance.now();
    socket.write(entry.bytes);
  }
  expire(id, looked = false) {
    const entry = this.pending.get(id);
    if (!entry) return;
    if (!looked) {
      setImmediate(() => this.expire(id, true));
      return;
    }
    const silent = entry.sent && this.lastHeard < entry.sentAt;
    entry.reject(
      new GuardError(
        entry.sent ? `the guard gave no answer within ${this.deadlineMs} ms` : `the guard is not there: ${this.trouble}`
      )
    );
    if (silent) this.drop("the guard fell silent", this.socket);
  }
  /** Ends the connection; what was sent on it will not be answered any more. */
  drop(why, socket = this.socket) {
    if (socket !== this.socket || this.state === "down") return;
    this.state = "down";
    this.socket = void 0;
    this.trouble = why;
    clearInterval(this.heartbeat);
    this.heartbeat = void 0;
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
  note(what) {
    if (what === this.told) return;
    this.told = what;
    this.options.log(what);
  }
};
function within(value, range) {
  return value >= range.min && value <= range.max;
}
function short(message) {
  return message.length > MAX_REASON ? `${message.slice(0, MAX_REASON)}…` : message;
}
function text(error) {
  return error instanceof Error ? error.message : String(error);
}

// src/origin.ts
function workspaceFinder(api) {
  return (agentId) => {
    try {
      const config = api.runtime.config?.current?.() ?? api.config;
      const dir = api.runtime.agent?.resolveAgentWorkspaceDir?.(config, agentId);
      return typeof dir === "string" && dir.startsWith("/") ? dir : void 0;
    } catch {
      return void 0;
    }
  };
}
var text2 = (value) => typeof value === "string" && value !== "" ? value : void 0;
function agentOf(sessionKey) {
  return /^agent:([^:]+):/.exec(sessionKey)?.[1] ?? "";
}
function originOf(where, workspaceOf) {
  const sessionKey = text2(where.sessionKey) ?? text2(where.requesterSessionKey) ?? "";
  const origin = { agentId: text2(where.agentId) ?? agentOf(sessionKey), sessionKey };
  const sessionId = text2(where.sessionId);
  if (sessionId !== void 0) origin.sessionId = sessionId;
  const runId = text2(where.runId);
  if (runId !== void 0) origin.runId = runId;
  const workspace = text2(where.workspaceDir) ?? (origin.agentId === "" ? void 0 : workspaceOf(origin.agentId));
  if (workspace !== void 0) origin.workspace = workspace;
  if (typeof where.requester === "object" && where.requester !== null) {
    const { channel, accountId, senderId, senderIsOwner } = where.requester;
    const requester = {};
    if (text2(channel) !== void 0) requester.channel = channel;
    if (text2(accountId) !== void 0) requester.accountId = accountId;
    if (text2(senderId) !== void 0) requester.senderId = senderId;
    if (typeof senderIsOwner === "boolean") requester.senderIsOwner = senderIsOwner;
    origin.requester = requester;
  }
  return origin;
}
function canAsk(origin) {
  return origin.requester?.channel !== void 0 && !/:(subagent|cron|acp|heartbeat)(:|$)/.test(origin.sessionKey);
}

// src/backend.ts
var CLIENT_ENV = { PATH: "/usr/bin:/bin" };
var CONFIG_LABEL = "fresh-per-run";
var manager = {
  describeRuntime: ({ entry }) => Promise.resolve({
    running: true,
    actualConfigLabel: CONFIG_LABEL,
    configLabelMatch: entry.image === CONFIG_LABEL
  }),
  // Nothing outlives a run.
  removeRuntime: () => Promise.resolve()
};
function makeFactory(link, launcher, pool) {
  return async (params) => {
    const runtimeId = `seawall-${createHash("sha256").update(params.scopeKey).digest("hex").slice(0, 16)}`;
    const readOnly = readOnlyMounts(params);
    const { sessionKey, scopeKey, workspaceDir, agentWorkspaceDir, cfg } = params;
    const key = JSON.stringify([sessionKey, scopeKey, workspaceDir, agentWorkspaceDir, cfg, readOnly]);
    const origin = { agentId: agentOf(sessionKey), sessionKey };
    async function prepare(run) {
      try {
        const { ticket } = await link.ask({
          type: "prepare",
          origin,
          run: {
            args: [],
            workdir: WORKDIR,
            env: {},
            workspaceDir,
            agentWorkspaceDir,
            workspaceAccess: cfg.workspaceAccess,
            readOnlyMounts: readOnly.map((m) => [m.hostPath, m.containerPath]),
            settings: cfg.docker ?? {},
            ...run
          }
        });
        return [launcher, "start", ticket];
      } catch (error) {
        throw new Error(
          `Seawall did not start this: ${error instanceof GuardError ? error.message : String(error)}. Run \`seawall status\` to see what is wrong; nothing was executed.`
        );
      }
    }
    const handle = {
      id: PLUGIN_ID,
      runtimeId,
      runtimeLabel: runtimeId,
      workdir: WORKDIR,
      ...params.cfg.docker?.env ? { env: params.cfg.docker.env } : {},
      configLabel: CONFIG_LABEL,
      configLabelKind: "Profile",
      capabilities: { readOnlyResourceMounts: true },
      async buildExecSpec({ command, workdir, env }) {
        const argv = await prepare({
          purpose: "exec",
          command,
          workdir: workdir ?? WORKDIR,
          env: innerEnv(env, params)
        });
        return {
          argv,
          env: { ...CLIENT_ENV },
          cwd: "/",
          stdinMode: "pipe-closed",
          finalizeToken: { command: createHash("sha256").update(command).digest("hex") }
        };
      },
      finalizeExec({ status, exitCode, timedOut, token }) {
        link.observe("exec_finished", origin, { status, exitCode, timedOut, run: token });
        return Promise.resolve();
      },
      // OpenClaw calls this for its own file bridge only, which is not used here.
      runShellCommand: () => Promise.reject(new Error("Seawall runs no file scripts: files go through its file worker")),
      createFsBridge: ({ sandbox }) => makeBridge(
        sandbox,
        (request, data, signal) => pool.ask(
          key,
          () => prepare({ purpose: "file_worker", command: "" }),
          workerMounts(sandbox, readOnly),
          request,
          data,
          signal
        )
      )
    };
    return handle;
  };
}
function readOnlyMounts(params) {
  const { workspaceDir, agentWorkspaceDir, skillsWorkspaceDir, cfg } = params;
  const roots = agentWorkspaceDir !== workspaceDir && cfg.workspaceAccess !== "none" ? [WORKDIR, AGENT_DIR] : [WORKDIR];
  return [
    ...roots.flatMap(
      (workdir) => resolveReadOnlyWorkspaceSkillMounts({
        workspaceDir,
        agentWorkspaceDir,
        ...skillsWorkspaceDir === void 0 ? {} : { skillsWorkspaceDir },
        workdir,
        workspaceAccess: cfg.workspaceAccess
      })
    ),
    ...params.readOnlyResourceMounts ?? []
  ];
}
function innerEnv(env, params) {
  const inner = { ...env };
  const configured = params.cfg.docker?.env?.["PATH"];
  if (configured === void 0) delete inner["PATH"];
  else inner["PATH"] = configured;
  return inner;
}

// src/files/worker.ts
import { spawn } from "node:child_process";
var VERSION = 1;
var PREFIX = 12;
var MAX_HEAD = 16 * 1024 * 1024;
var MAX_DATA = 64 * 1024 * 1024;
var OPERATION_MS = 3e4;
var MAX_SAID = 2048;
var FileError = class extends Error {
  name = "FileError";
  code;
  constructor(code, message) {
    super(message);
    this.code = code;
  }
};
var Worker = class {
  child;
  waiting = [];
  busy;
  nextId = 0;
  timer;
  held = [];
  size = 0;
  said = "";
  over;
  constructor(argv, env, hello) {
    const [program = "", ...args] = argv;
    this.child = spawn(program, args, { cwd: "/", env, stdio: ["pipe", "pipe", "pipe"] });
    this.child.stdout.on("data", (chunk) => this.take(chunk));
    this.child.stderr.on("data", (chunk) => {
      if (this.said.length < MAX_SAID) this.said += chunk.toString("utf8").slice(0, MAX_SAID);
    });
    this.child.stdin.on("error", () => {
    });
    this.child.on("error", (error) => this.end(error));
    this.child.on("close", () => {
      const said = this.said.trim();
      this.end(new Error(`the file worker ended${said ? `: ${said}` : ""}`));
    });
    this.child.unref();
    for (const pipe of [this.child.stdin, this.child.stdout, this.child.stderr]) {
      pipe.unref?.();
    }
    this.ask({ op: "hello", version: VERSION, ...hello }).catch(() => {
    });
  }
  get ended() {
    return this.over !== void 0;
  }
  get idle() {
    return this.busy === void 0 && this.waiting.length === 0;
  }
  /** Does one operation; in the order in which they are asked for. */
  ask(request, data, signal) {
    return new Promise((resolve, reject) => {
      if (this.over) return reject(this.over);
      if (signal?.aborted) return reject(new Error("the operation was cancelled"));
      const head = Buffer.from(JSON.stringify(request));
      const length = data?.length ?? 0;
      if (head.length > MAX_HEAD || length > MAX_DATA) {
        return reject(new FileError("EFBIG", `${length} bytes are more than the file tools take`));
      }
      const id = this.nextId;
      this.nextId = this.nextId + 1 >>> 0;
      const prefix = Buffer.alloc(PREFIX);
      prefix.writeUInt32BE(id);
      prefix.writeUInt32BE(head.length, 4);
      prefix.writeUInt32BE(length, 8);
      const entry = {
        id,
        message: data ? [prefix, head, data] : [prefix, head],
        resolve,
        reject
      };
      signal?.addEventListener(
        "abort",
        () => {
          const at = this.waiting.indexOf(entry);
          if (at >= 0) this.waiting.splice(at, 1);
          reject(new Error("the operation was cancelled"));
        },
        { once: true }
      );
      this.waiting.push(entry);
      this.next();
    });
  }
  /** Ends the worker and with it its sandbox. */
  end(why = new Error("the file worker was stopped")) {
    if (this.over) return;
    this.over = why;
    clearTimeout(this.timer);
    this.child.stdin.destroy();
    this.child.kill("SIGKILL");
    const all = this.busy ? [this.busy, ...this.waiting] : [...this.waiting];
    this.busy = void 0;
    this.waiting.length = 0;
    for (const entry of all) entry.reject(why);
  }
  next() {
    if (this.busy || this.over) return;
    const entry = this.waiting.shift();
    if (!entry) return;
    this.busy = entry;
    this.timer = setTimeout(
      () => this.end(new Error(`a file operation took more than ${OPERATION_MS} ms`)),
      OPERATION_MS
    );
    for (const part of entry.message) this.child.stdin.write(part);
  }
  take(chunk) {
    this.held.push(chunk);
    this.size += chunk.length;
    if (this.size < PREFIX) return;
    if (this.held.length > 1 && (this.held[0]?.length ?? 0) < PREFIX) {
      this.held = [Buffer.concat(this.held)];
    }
    const first = this.held[0];
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
    this.busy = void 0;
    clearTimeout(this.timer);
    try {
      const reply = JSON.parse(all.toString("utf8", PREFIX, PREFIX + head));
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
};

// src/files/pool.ts
var IDLE_MS = 6e4;
var HELD = /* @__PURE__ */ new Set(["EROFS", "EBUSY"]);
var MAX_WORKERS = 32;
var Pool = class {
  kept = /* @__PURE__ */ new Map();
  env;
  constructor(env) {
    this.env = env;
  }
  /** Does one operation in the worker of `key`. What fails to start is tried anew next time. */
  async ask(key, prepare, hello, request, data, signal) {
    try {
      const worker = await this.worker(key, prepare, hello);
      try {
        return await worker.ask(request, data, signal);
      } catch (error) {
        if (!(error instanceof FileError) || !HELD.has(error.code)) throw error;
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
  endAll() {
    for (const key of [...this.kept.keys()]) this.drop(key);
  }
  async worker(key, prepare, hello) {
    const known2 = this.kept.get(key);
    if (known2) {
      const worker2 = await known2.worker;
      if (!worker2.ended) {
        known2.timer.refresh();
        if (this.kept.get(key) === known2) {
          this.kept.delete(key);
          this.kept.set(key, known2);
        }
        return worker2;
      }
      if (this.kept.get(key) === known2) this.drop(key);
      return this.worker(key, prepare, hello);
    }
    for (const oldest of this.kept.keys()) {
      if (this.kept.size < MAX_WORKERS) break;
      this.drop(oldest);
    }
    const worker = prepare().then((argv) => new Worker(argv, this.env, hello));
    const timer = setTimeout(() => this.drop(key), IDLE_MS).unref();
    const fresh = { worker, timer };
    this.kept.set(key, fresh);
    worker.catch(() => {
      if (this.kept.get(key) === fresh) this.drop(key);
    });
    return worker;
  }
  drop(key) {
    const known2 = this.kept.get(key);
    if (!known2) return;
    this.kept.delete(key);
    clearTimeout(known2.timer);
    known2.worker.then(
      (worker) => worker.end(),
      () => {
      }
    );
  }
};

// src/gate.ts
import { randomUUID } from "node:crypto";

// src/permits.ts
import { createHash as createHash2 } from "node:crypto";
function digest(tool, params) {
  return createHash2("sha256").update(tool).update("\0").update(canonical(params)).digest("hex");
}
function canonical(value) {
  return JSON.stringify(
    value,
    (_key, inner) => typeof inner === "object" && inner !== null && !Array.isArray(inner) ? Object.fromEntries(
      Object.entries(inner).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0)
    ) : inner
  ) ?? "null";
}
var Permits = class {
  held = /* @__PURE__ */ new Map();
  now;
  constructor(now = () => performance.now()) {
    this.now = now;
  }
  grant(key, callDigest) {
    this.held.delete(key);
    this.held.set(key, { digest: callDigest, until: this.now() + PERMIT_TTL_MS });
    for (const old of this.held.keys()) {
      if (this.held.size <= MAX_PERMITS) break;
      this.held.delete(old);
    }
  }
  /** True at most once per grant. */
  take(key, callDigest) {
    const permit = this.held.get(key);
    this.held.delete(key);
    return permit !== void 0 && permit.digest === callDigest && this.now() <= permit.until;
  }
};

// src/gate.ts
var MAX_ASK_MS = 6e5;
var MAX_TITLE = 80;
var MAX_DESCRIPTION = 512;
function refusal(error) {
  const why = error instanceof GuardError ? error.message : `the plugin failed: ${text(error)}`;
  return {
    block: true,
    blockReason: `Seawall blocked this call: ${short(why)}. Run \`seawall status\` to see what is wrong; nothing was executed.`
  };
}
function makeGate(link, workspaceOf, hosts, permits = new Permits()) {
  function outside(event, context) {
    if (event.toolName !== "exec") return void 0;
    const place = hosts.outside(context.sessionKey ?? "");
    if (place === void 0) return void 0;
    link.observe("exec_outside", originOf({ ...context, ...runOf(event, context) }, workspaceOf), {
      host: place,
      refused: true
    });
    return {
      block: true,
      blockReason: `Seawall: commands of this session would run on ${place}, outside the sandbox, and nothing runs there. Start a new session, or clear the session's exec host (\`sessions.patch\` with \`execHost: null\`).`
    };
  }
  async function decide(event, context, key, callId) {
    const origin = originOf({ ...context, ...runOf(event, context) }, workspaceOf);
    const callDigest = digest(event.toolName, event.params);
    const verdict2 = await link.ask(
      {
        type: "decide",
        callId,
        origin,
        call: {
          tool: event.toolName,
          params: event.params,
          ...event.derivedPaths?.length ? { derivedPaths: [...event.derivedPaths] } : {}
        },
        canAsk: canAsk(origin)
      },
      context.abortSignal
    );
    if (verdict2.decision === "allow") permits.grant(key, callDigest);
    return { verdict: verdict2, callDigest };
  }
  function question(verdict2, key, callId, callDigest) {
    const ask = verdict2.ask;
    if (!ask) throw new GuardError("the guard asked without a question");
    return {
      requireApproval: {
        title: fit(ask.title, MAX_TITLE) || "Seawall asks",
        description: fit(ask.description, MAX_DESCRIPTION) || "No description was given.",
        severity: "warning",
        timeoutMs: Math.min(Math.max(ask.timeoutMs, 1e3), MAX_ASK_MS),
        timeoutReason: `Seawall asked and nobody answered: ${fit(ask.title, MAX_TITLE)}`,
        // From a trusted policy the gateway does not fill this in, and refuses what has no owner.
        pluginId: PLUGIN_ID,
        // A standing grant is the guard's to give (`seawall policy`), not the gateway's.
        allowedDecisions: ["allow-once", "deny"],
        onResolution: (resolution) => {
          const allowed = resolution === "allow-once" || resolution === "allow-always";
          const told = link.answered(callId, allowed, resolution);
          if (allowed && told) permits.grant(key, callDigest);
        }
      }
    };
  }
  async function first(event, context) {
    const blocked = outside(event, context);
    if (blocked) return blocked;
    const { key, callId } = identify(event, context);
    const { verdict: verdict2, callDigest } = await decide(event, context, key, callId);
    switch (verdict2.decision) {
      case "allow":
        return void 0;
      case "rewrite": {
        const params = verdict2.params ?? {};
        permits.grant(key, digest(event.toolName, params));
        return { params };
      }
      case "ask":
        return question(verdict2, key, callId, callDigest);
      case "deny":
        return denied(verdict2);
    }
  }
  async function second(event, context) {
    const blocked = outside(event, context);
    if (blocked) return blocked;
    const { key, callId } = identify(event, context);
    const pinned = { params: event.params };
    if (permits.take(key, digest(event.toolName, event.params))) return pinned;
    const { verdict: verdict2, callDigest } = await decide(event, context, key, callId);
    permits.take(key, callDigest);
    switch (verdict2.decision) {
      case "allow":
        return pinned;
      case "rewrite": {
        const params = verdict2.params ?? {};
        if (Object.keys(event.params).some((name) => !Object.hasOwn(params, name))) {
          throw new GuardError("the guard's rewrite cannot be applied at this point");
        }
        return { params };
      }
      case "ask":
        return { ...pinned, ...question(verdict2, key, callId, callDigest) };
      case "deny":
        return denied(verdict2);
    }
  }
  const closed = (gate) => async (event, context) => {
    try {
      return await gate(event, context);
    } catch (error) {
      return refusal(error);
    }
  };
  return {
    first: closed(first),
    second: closed(second)
  };
}
function denied(verdict2) {
  return {
    block: true,
    blockReason: `Seawall: ${short(verdict2.reason) || "this call is not allowed (`seawall events tail` says why)"}`
  };
}
function fit(words, most) {
  const all = words.isWellFormed() ? words : words.toWellFormed();
  if (all.length <= most) return all;
  const tail = Math.floor(most / 3);
  return `${all.slice(0, most - tail - 1)}…${all.slice(all.length - tail)}`.toWellFormed();
}
function runOf(event, context) {
  const runId = context.runId ?? event.runId;
  return runId === void 0 ? {} : { runId };
}
function identify(event, context) {
  const callId = event.toolCallId ?? context.toolCallId;
  const scope = `${context.sessionKey ?? ""}\0${context.runId ?? event.runId ?? ""}\0${event.toolName}`;
  if (typeof callId === "string" && callId !== "") return { key: `${scope}\0${callId}`, callId };
  return { key: `${scope}\0`, callId: `seawall-${randomUUID()}` };
}

// src/hosts.ts
var SANDBOX = "sandbox";
var ExecHosts = class {
  held = /* @__PURE__ */ new Map();
  now;
  constructor(now = () => performance.now()) {
    this.now = now;
  }
  /** The gateway resolved the host of a command, which it does before it asks the gates. */
  seen(sessionKey, host) {
    const last = typeof host === "string" ? host.slice(0, 16) : "unknown";
    const before = this.held.get(sessionKey)?.outside;
    const outside = last === SANDBOX ? before : { host: last, at: this.now() };
    this.held.delete(sessionKey);
    this.held.set(sessionKey, outside === void 0 ? { last } : { last, outside });
    for (const old of this.held.keys()) {
      if (this.held.size <= MAX_SESSIONS) break;
      this.held.delete(old);
    }
  }
  /** Where a command of this session would run, unless that is the sandbox. */
  outside(sessionKey) {
    const known2 = this.held.get(sessionKey);
    if (known2 === void 0) return "a place that the gateway did not name";
    if (known2.last !== SANDBOX) return `the ${known2.last}`;
    if (known2.outside && this.now() - known2.outside.at < EXEC_HOST_RACE_MS) {
      return `the ${known2.outside.host}`;
    }
    return void 0;
  }
};

// src/bound.ts
function bounded(value, without = []) {
  let budget = OBSERVE.total;
  const seen = /* @__PURE__ */ new WeakSet();
  function copy(inner, depth) {
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
        return void 0;
    }
    if (inner === null) return null;
    if (inner instanceof AbortSignal) return void 0;
    if (inner instanceof Error) return copy(inner.message, depth);
    if (ArrayBuffer.isView(inner)) return `[${inner.byteLength} bytes]`;
    if (seen.has(inner) || depth >= OBSERVE.depth) return "[cut]";
    seen.add(inner);
    if (Array.isArray(inner)) {
      const kept = inner.slice(0, OBSERVE.width).map((item) => copy(item, depth + 1) ?? null);
      if (inner.length > OBSERVE.width) kept.push(`[${inner.length} elements]`);
      return kept;
    }
    const out = {};
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
        const field = copy(inner[name], depth + 1);
        if (field !== void 0) out[name] = field;
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

// src/observe.ts
var OBSERVED = [
  // Who wrote what: the start of every chain of influence.
  { hook: "message_received" },
  { hook: "message_sending" },
  { hook: "message_sent" },
  // The prompt of a run; command-line turns have no message hook. History and system prompt are
  // left out: large, and known from the events that made them.
  { hook: "before_agent_run", without: ["messages", "systemPrompt"] },
  { hook: "agent_end", without: ["messages"] },
  { hook: "model_call_started" },
  { hook: "model_call_ended" },
  { hook: "session_start" },
  { hook: "session_end" },
  { hook: "before_reset", without: ["messages"] },
  { hook: "subagent_spawned" },
  { hook: "subagent_ended" },
  // Schedules run without a person and partly without any tool call.
  { hook: "cron_changed" },
  { hook: "cron_reconciled" },
  // With the arguments that were used in the end; the result itself went through the filter.
  { hook: "after_tool_call", without: ["result"] },
  // The code is a credential that approves the pairing.
  { hook: "channel_pairing_requested", without: ["code"] },
  { hook: "before_install", without: ["files", "content"] },
  { hook: "skill_changed", without: ["before", "after"] },
  { hook: "skill_proposal_changed", without: ["candidate", "baseline"] },
  { hook: "gateway_start" },
  { hook: "gateway_stop" }
];
function registerObservers(api, link, workspaceOf) {
  for (const { hook, without } of OBSERVED) {
    try {
      api.on(hook, (event, context) => {
        try {
          link.observe(hook, originOf(whereOf(event, context), workspaceOf), bounded(event, without));
        } catch {
        }
      });
    } catch (error) {
      api.logger.warn(`seawall: the gateway has no hook ${hook}: ${String(error)}`);
    }
  }
}
function record(value) {
  return typeof value === "object" && value !== null ? value : {};
}
function whereOf(event, context) {
  const out = { ...record(context) };
  const fields = record(event);
  for (const name of ["agentId", "sessionKey", "sessionId", "runId"]) {
    if (typeof out[name] !== "string") out[name] = fields[name];
  }
  return out;
}

// src/results.ts
var MAX_TEXT = 1e5;
function makeResultFilter(link, workspaceOf) {
  return async (event, context) => {
    try {
      const answer = await link.ask({
        type: "result",
        callId: event.toolCallId,
        origin: originOf(context, workspaceOf),
        tool: event.toolName,
        params: event.args ?? null,
        text: textOf(event.result),
        isError: event.isError === true
      });
      return answer.replace === void 0 ? void 0 : instead(answer.replace, "replaced");
    } catch (error) {
      const why = error instanceof GuardError ? error.message : `the plugin failed: ${text(error)}`;
      return instead(
        `Seawall withheld the output of this tool: ${why}. The tool has run; do not run it again for its output. Run \`seawall status\` to see what is wrong.`,
        "withheld"
      );
    }
  };
}
function textOf(result) {
  const parts = [];
  for (const block of result.content) {
    if (block.type === "text" && typeof block.text === "string") parts.push(block.text);
  }
  return parts.join("\n");
}
function instead(replacement, status) {
  const content = replacement.length > MAX_TEXT ? `${replacement.slice(0, MAX_TEXT - 32)}
[shortened by Seawall]` : replacement;
  return { result: { content: [{ type: "text", text: content }], details: { seawall: status } } };
}

// src/index.ts
var SHARED = /* @__PURE__ */ Symbol.for(`${PLUGIN_ID}.${"0.1.0"}`);
var shared = globalThis;
function sharedOf() {
  return shared[SHARED] ??= {
    bootId: randomUUID2(),
    permits: new Permits(),
    hosts: new ExecHosts(),
    files: new Pool(CLIENT_ENV),
    links: /* @__PURE__ */ new Map()
  };
}
function linkOf(api, socketPath) {
  const own = sharedOf();
  let link = own.links.get(socketPath);
  if (!link) {
    link = new Link({
      socketPath,
      bootId: own.bootId,
      openclawVersion: api.runtime.version ?? "",
      log: (message) => api.logger.info(`seawall: ${message}`)
    });
    own.links.set(socketPath, link);
  }
  return link;
}
function setting(api, name, fallback) {
  const value = api.pluginConfig?.[name];
  if (value === void 0) return fallback;
  if (typeof value !== "string" || !value.startsWith("/")) {
    throw new Error(`plugins.entries.${PLUGIN_ID}.config.${name} is not an absolute path`);
  }
  return value;
}
var LAST = -1e6;
var index_default = definePluginEntry({
  id: PLUGIN_ID,
  name: "Seawall",
  description: "Asks the Seawall guard before every tool call and runs tools in its sandbox",
  register(api) {
    const link = linkOf(api, setting(api, "guardSocket", GUARD_SOCKET));
    const launcher = setting(api, "launcher", LAUNCHER);
    const dispose = registerSandboxBackend(PLUGIN_ID, {
      factory: makeFactory(link, launcher, sharedOf().files),
      manager,
      resolveWorkdir: () => WORKDIR,
      capabilities: { readOnlyResourceMounts: true }
    });
    const workspaceOf = workspaceFinder(api);
    const gate = makeGate(link, workspaceOf, sharedOf().hosts, sharedOf().permits);
    api.registerTrustedToolPolicy({
      id: PLUGIN_ID,
      description: "Every tool call is decided by the Seawall guard",
      evaluate: gate.first
    });
    api.on("before_tool_call", gate.second, {
      priority: LAST
    });
    api.on("resolve_exec_env", ((event, context) => {
      const where = { ...context, sessionKey: context.sessionKey ?? event.sessionKey ?? "" };
      sharedOf().hosts.seen(where.sessionKey, event.host);
      if (event.host !== "sandbox") {
        link.observe("exec_outside", originOf(where, workspaceOf), { host: String(event.host) });
      }
    }));
    api.registerAgentToolResultMiddleware(makeResultFilter(link, workspaceOf), {
      runtimes: ["openclaw", "codex"]
    });
    registerObservers(api, link, workspaceOf);
    let held = false;
    api.registerService({
      id: PLUGIN_ID,
      start() {
        if (!held) link.hold();
        held = true;
      },
      stop() {
        if (held) link.release();
        held = false;
        sharedOf().files.endAll();
        dispose();
      }
    });
  }
});
export {
  index_default as default
};
