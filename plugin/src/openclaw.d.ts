// The part of OpenClaw's plugin SDK that Seawall uses, as of 2026.9.6. The package does not ship
// types for all of it, and a narrow declaration shows what Seawall depends on. That it holds is
// tested against the real gateway (test/gateway).

declare module "openclaw/plugin-sdk/plugin-entry" {
  export interface Requester {
    readonly channel?: string;
    readonly accountId?: string;
    readonly senderId?: string;
    readonly senderIsOwner?: boolean;
  }

  export interface ToolEvent {
    toolName: string;
    params: Record<string, unknown>;
    runId?: string;
    toolCallId?: string;
    derivedPaths?: readonly string[];
  }

  /** Of the hook `resolve_exec_env`. */
  export interface ExecEnvEvent {
    sessionKey?: string;
    host?: unknown;
  }

  export interface ToolContext {
    agentId?: string;
    sessionKey?: string;
    sessionId?: string;
    runId?: string;
    toolCallId?: string;
    abortSignal?: AbortSignal;
    requester?: Requester;
  }

  export type ApprovalResolution = "allow-once" | "allow-always" | "deny" | "timeout" | "cancelled";

  export interface ToolDecision {
    params?: Record<string, unknown>;
    block?: true;
    blockReason?: string;
    requireApproval?: {
      title: string;
      description: string;
      severity?: "info" | "warning" | "critical";
      timeoutMs?: number;
      timeoutReason?: string;
      pluginId?: string;
      allowedDecisions?: Array<"allow-once" | "allow-always" | "deny">;
      onResolution?: (decision: ApprovalResolution) => void;
    };
  }

  export interface ToolResult {
    content: Array<{ type: string; text?: string }>;
    details?: unknown;
  }

  export interface MiddlewareEvent {
    toolCallId: string;
    toolName: string;
    args: Record<string, unknown>;
    isError?: boolean;
    result: ToolResult;
  }

  export interface MiddlewareContext {
    agentId?: string;
    sessionId?: string;
    sessionKey?: string;
    runId?: string;
  }

  export interface PluginApi {
    registrationMode: string;
    config: Record<string, unknown>;
    pluginConfig?: Record<string, unknown>;
    logger: {
      info(message: string): void;
      warn(message: string): void;
      error(message: string): void;
    };
    runtime: {
      version?: string;
      config?: { current?(): Record<string, unknown> };
      agent?: {
        resolveAgentWorkspaceDir?(config: Record<string, unknown>, agentId: string): string;
      };
    };
    on(
      hook: string,
      handler: (event: never, context: never) => unknown,
      options?: { priority?: number; timeoutMs?: number },
    ): void;
    registerTrustedToolPolicy(policy: {
      id: string;
      description: string;
      evaluate(event: ToolEvent, context: ToolContext): Promise<ToolDecision | undefined>;
    }): void;
    registerAgentToolResultMiddleware(
      handler: (
        event: MiddlewareEvent,
        context: MiddlewareContext,
      ) => Promise<{ result: ToolResult } | undefined>,
      options?: { runtimes?: Array<"openclaw" | "codex"> },
    ): void;
    registerService(service: {
      id: string;
      start(): void;
      stop(): void;
    }): void;
  }

  export function definePluginEntry(entry: {
    id: string;
    name: string;
    description: string;
    register(api: PluginApi): void;
  }): unknown;
}

declare module "openclaw/plugin-sdk/sandbox" {
  export interface DockerSettings {
    env?: Record<string, string>;
    [setting: string]: unknown;
  }

  export interface HostMount {
    hostPath: string;
    containerPath: string;
  }

  export interface BackendParams {
    sessionKey: string;
    scopeKey: string;
    workspaceDir: string;
    agentWorkspaceDir: string;
    skillsWorkspaceDir?: string;
    readOnlyResourceMounts?: HostMount[];
    cfg: { workspaceAccess: "none" | "ro" | "rw"; docker?: DockerSettings };
  }

  export interface ExecSpec {
    argv: string[];
    env: Record<string, string>;
    cwd?: string;
    stdinMode: "pipe-open" | "pipe-closed";
    finalizeToken?: unknown;
  }

  export interface ShellCommand {
    script: string;
    args?: string[];
    stdin?: Buffer | string;
    allowFailure?: boolean;
    signal?: AbortSignal;
  }

  export interface ShellResult {
    stdout: Buffer;
    stderr: Buffer;
    code: number;
  }

  export interface FsBridgeContext {
    workspaceDir: string;
    agentWorkspaceDir: string;
    skillsWorkspaceDir?: string;
    readOnlyResourceMounts?: HostMount[];
    workspaceAccess: "none" | "ro" | "rw";
  }

  export interface DirectoryEntry {
    name: string;
    type: string;
  }

  export interface FsBridge {
    resolvePath(p: { filePath: string; cwd?: string }): {
      hostPath?: string;
      relativePath: string;
      containerPath: string;
    };
    readFile(p: { filePath: string; cwd?: string; signal?: AbortSignal }): Promise<Buffer>;
    [method: string | symbol]: unknown;
  }

  export interface BackendHandle {
    id: string;
    runtimeId: string;
    runtimeLabel: string;
    workdir: string;
    env?: Record<string, string>;
    configLabel: string;
    configLabelKind: string;
    capabilities: { readOnlyResourceMounts: boolean };
    buildExecSpec(q: {
      command: string;
      workdir?: string;
      env: Record<string, string>;
      usePty: boolean;
    }): Promise<ExecSpec>;
    finalizeExec(q: {
      status: "completed" | "failed";
      exitCode: number | null;
      timedOut: boolean;
      token?: unknown;
    }): Promise<void>;
    runShellCommand(command: ShellCommand): Promise<ShellResult>;
    createFsBridge(p: { sandbox: FsBridgeContext }): FsBridge;
  }

  export interface BackendManager {
    describeRuntime(q: { entry: { image?: string } }): Promise<{
      running: boolean;
      actualConfigLabel?: string;
      configLabelMatch: boolean;
    }>;
    removeRuntime(q: unknown): Promise<void>;
  }

  export function registerSandboxBackend(
    id: string,
    backend: {
      factory(params: BackendParams): Promise<BackendHandle>;
      manager: BackendManager;
      resolveWorkdir(params: unknown): string;
      capabilities: { readOnlyResourceMounts: boolean };
    },
  ): () => void;

  export function resolveReadOnlyWorkspaceSkillMounts(p: {
    workspaceDir: string;
    agentWorkspaceDir: string;
    skillsWorkspaceDir?: string;
    workdir: string;
    workspaceAccess: "none" | "ro" | "rw";
  }): HostMount[];

  export function createRemoteShellSandboxFsBridge(p: {
    sandbox: FsBridgeContext;
    runtime: {
      remoteWorkspaceDir: string;
      remoteAgentWorkspaceDir: string;
      runRemoteShellScript(command: ShellCommand): Promise<ShellResult>;
    };
  }): FsBridge;
}
