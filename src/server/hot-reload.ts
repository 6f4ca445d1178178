// The handover of listening sockets under bun --hot, from the server of the previous code to that of the new code.

import { F_DUPFD_CLOEXEC } from "../kernel/constants.ts";
import { check } from "../kernel/errors.ts";
import type { Syscalls } from "../kernel/ffi.ts";
import type { Listener, ListenOptions } from "./listeners.ts";

interface HotServer {
  /** The address options, which identify the server that takes over. */
  key: string;
  /** Which evaluation of this module created the server. A reload evaluates all modules again. */
  generation: number;
  listeners: readonly Listener[];
  /** Stops accepting immediately, and then as EpollServer.stop does. */
  stop(): Promise<void>;
}

interface HotRegistry {
  generation: number;
  servers: Set<HotServer>;
}

/** Survives a reload, unlike the variables of a module. */
const REGISTRY = Symbol.for("epoll-hello.hot");

const registry = openRegistry();
const generation = registry === undefined ? 0 : ++registry.generation;

/** Returns undefined without --hot, which is the normal case. */
function openRegistry(): HotRegistry | undefined {
  if (!process.execArgv.includes("--hot") || process.versions.bun === undefined || !Bun.isMainThread) return undefined;
  const scope = globalThis as { [REGISTRY]?: HotRegistry };
  return (scope[REGISTRY] ??= { generation: 0, servers: new Set() });
}

/**
 * Takes over the sockets of the server that the previous version of the program created with the same address, and stops that
 * server gracefully. Returns undefined if there is none.
 */
export function takeOverListeners(sys: Syscalls, options: ListenOptions): Listener[] | undefined {
  if (registry === undefined) return undefined;
  const key = keyOf(options);
  for (const previous of registry.servers) {
    if (previous.key !== key || previous.generation === generation) continue;
    registry.servers.delete(previous);
    const listeners = duplicateAll(sys, previous.listeners);
    previous.stop().catch(() => {}); // a callback that fails is an uncaught exception of its own
    return listeners;
  }
  return undefined;
}

/** Lets the next version of the program take over a server's sockets, until the server stops. */
export function offerListeners(
  options: ListenOptions,
  listeners: readonly Listener[],
  stopped: Promise<void>,
  stop: () => Promise<void>,
): void {
  if (registry === undefined) return;
  const entry: HotServer = { key: keyOf(options), generation, listeners, stop };
  registry.servers.add(entry);
  const remove = (): boolean => registry.servers.delete(entry);
  stopped.then(remove, remove);
}

function keyOf({ hostname, port, unix, fd }: ListenOptions): string {
  return JSON.stringify(fd ?? unix ?? [hostname, port]);
}

function duplicateAll(sys: Syscalls, listeners: readonly Listener[]): Listener[] {
  const fds: number[] = [];
  try {
    for (const { socket } of listeners) fds.push(check(sys.fcntl(socket.fileno(), F_DUPFD_CLOEXEC, 0), "fcntl"));
  } catch (error) {
    for (const fd of fds) sys.close(fd);
    throw error;
  }
  return listeners.map((listener, i) => listener.handOver(fds[i] as number));
}
