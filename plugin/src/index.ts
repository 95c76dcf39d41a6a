// Entry: what is registered with the gateway, and when.

import { randomUUID } from "node:crypto";
import { definePluginEntry, type ExecEnvEvent, type PluginApi } from "openclaw/plugin-sdk/plugin-entry";
import { registerSandboxBackend } from "openclaw/plugin-sdk/sandbox";
import { CLIENT_ENV, makeFactory, manager } from "./backend.ts";
import { GUARD_SOCKET, LAUNCHER, PLUGIN_ID, WORKDIR } from "./constants.ts";
import { Pool } from "./files/pool.ts";
import { makeGate } from "./gate.ts";
import { ExecHosts } from "./hosts.ts";
import { Link } from "./link.ts";
import { registerObservers } from "./observe.ts";
import { originOf, type Where, workspaceFinder } from "./origin.ts";
import { Permits } from "./permits.ts";
import { makeResultFilter } from "./results.ts";

/**
 * The gateway loads this file several times in one process: "full" for its own registry, and
 * "discovery" for the registry that agent runs use. One call may meet hooks of both, so that boot
 * id, connection and permits are the process's and live where all instances find them.
 */
const SHARED = Symbol.for(`${PLUGIN_ID}.${process.env["SEAWALL_PLUGIN_VERSION"] ?? "dev"}`);

interface Shared {
  bootId: string;
  permits: Permits;
  hosts: ExecHosts;
  files: Pool;
  links: Map<string, Link>;
}

const shared = globalThis as { [SHARED]?: Shared };

function sharedOf(): Shared {
  return (shared[SHARED] ??= {
    bootId: randomUUID(),
    permits: new Permits(),
    hosts: new ExecHosts(),
    files: new Pool(CLIENT_ENV),
    links: new Map(),
  });
}

function linkOf(api: PluginApi, socketPath: string): Link {
  const own = sharedOf();
  let link = own.links.get(socketPath);
  if (!link) {
    link = new Link({
      socketPath,
      bootId: own.bootId,
      openclawVersion: api.runtime.version ?? "",
      log: (message) => api.logger.info(`seawall: ${message}`),
    });
    own.links.set(socketPath, link);
  }
  return link;
}

function setting(api: PluginApi, name: string, fallback: string): string {
  const value = api.pluginConfig?.[name];
  if (value === undefined) return fallback;
  if (typeof value !== "string" || !value.startsWith("/")) {
    throw new Error(`plugins.entries.${PLUGIN_ID}.config.${name} is not an absolute path`);
  }
  return value;
}

/** Last among hooks, so that nothing changes a call after it was decided. */
const LAST = -1_000_000;

export default definePluginEntry({
  id: PLUGIN_ID,
  name: "Seawall",
  description: "Asks the Seawall guard before every tool call and runs tools in its sandbox",
  register(api) {
    const link = linkOf(api, setting(api, "guardSocket", GUARD_SOCKET));
    const launcher = setting(api, "launcher", LAUNCHER);

    // All of this in every registration mode. Agent runs take their hooks from a registry that was
    // loaded for "discovery": what is registered in "full" only is never asked about their calls.
    // Nothing here connects before it is used, so that the command line may load it too.
    const dispose = registerSandboxBackend(PLUGIN_ID, {
      factory: makeFactory(link, launcher, sharedOf().files),
      manager,
      resolveWorkdir: () => WORKDIR,
      capabilities: { readOnlyResourceMounts: true },
    });

    const workspaceOf = workspaceFinder(api);
    const gate = makeGate(link, workspaceOf, sharedOf().hosts, sharedOf().permits);
    api.registerTrustedToolPolicy({
      id: PLUGIN_ID,
      description: "Every tool call is decided by the Seawall guard",
      evaluate: gate.first,
    });
    api.on("before_tool_call", gate.second as (event: never, context: never) => unknown, {
      priority: LAST,
    });
    // The gateway resolves where a command will run before it asks the gates, and says it here.
    api.on("resolve_exec_env", ((event: ExecEnvEvent, context: Where) => {
      const where = { ...context, sessionKey: context.sessionKey ?? event.sessionKey ?? "" };
      sharedOf().hosts.seen(where.sessionKey, event.host);
      if (event.host !== "sandbox") {
        link.observe("exec_outside", originOf(where, workspaceOf), { host: String(event.host) });
      }
    }) as (event: never, context: never) => unknown);
    api.registerAgentToolResultMiddleware(makeResultFilter(link, workspaceOf), {
      runtimes: ["openclaw", "codex"],
    });
    registerObservers(api, link, workspaceOf);

    // Services are started in the gateway only, once it serves: the heartbeat begins here.
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
      },
    });
  },
});
