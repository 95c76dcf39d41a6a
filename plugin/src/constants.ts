// Names, paths and limits, each with its reason.

/** Id under which the gateway knows the plugin, its trusted policy and its sandbox backend. */
export const PLUGIN_ID = "seawall";

/** Version of the frames; the guard refuses any other. */
export const PROTOCOL = 1;

/** Folder that the launcher mounts into the gateway's jail. */
const RUN_DIR = "/run/seawall";

/** Where the guard listens. */
export const GUARD_SOCKET = `${RUN_DIR}/guard.sock`;

/** The program that starts a tool run when it is shown a ticket. */
export const LAUNCHER = `${RUN_DIR}/bin/seawall`;

/** Where a run finds the session's folder, and the agent's own when it is another. */
export const WORKDIR = "/workspace";
export const AGENT_DIR = "/agent";

/** Longest frame in bytes, the same on both sides. */
export const MAX_FRAME = 16 * 1024 * 1024;

/** How long an answer may take until the guard has said how long, in milliseconds. */
export const DEFAULT_DEADLINE_MS = 2_000;

/**
 * Deadlines that are accepted from the guard. The gateway gives a hook 15 s: above that its own
 * (differently worded) refusal would come first, and the trusted policy has no limit at all.
 */
export const DEADLINE_RANGE_MS = { min: 50, max: 10_000 } as const;

/** Heartbeat intervals that are accepted from the guard. */
export const HEARTBEAT_RANGE_MS = { min: 50, max: 60_000 } as const;

/** Pauses between attempts to connect, in milliseconds; the last one repeats. */
export const RECONNECT_MS = [20, 50, 100, 250, 500] as const;

/** Questions in flight. A gateway runs a handful of calls at once; more is a flood. */
export const MAX_PENDING = 1_024;

/** Observations that wait for a connection: enough for a restart of the guard. */
export const MAX_QUEUED = 512;

/** Bytes of observations that wait, or that the socket may hold back, before they are dropped. */
export const MAX_QUEUED_BYTES = 4 * 1024 * 1024;

/** Bytes the socket may hold back altogether before the guard counts as gone. */
export const MAX_UNSENT_BYTES = 64 * 1024 * 1024;

/** Longest text of a reason that is passed on, in UTF-16 units. */
export const MAX_REASON = 4_096;

/** Permits that are remembered between the two gates of a call. */
export const MAX_PERMITS = 4_096;

/** How long the first gate's answer holds for the second one, in milliseconds. */
export const PERMIT_TTL_MS = 30_000;

/** Sessions whose exec host is remembered; one that was forgotten says it anew with its next call. */
export const MAX_SESSIONS = 4_096;

/**
 * How long a command that was about to run outside the sandbox holds up the others of its session:
 * the time that the gateway gives a hook, since the gates are asked within it.
 */
export const EXEC_HOST_RACE_MS = 15_000;

/** What is sent of one observation at most, in UTF-16 units and in depth, keys and elements. */
export const OBSERVE = { total: 256 * 1024, text: 64 * 1024, depth: 6, width: 100 } as const;
