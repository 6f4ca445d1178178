// The fds that a process has open, read from /proc while the process is stopped.

import { type Address, addressBuffer, decodeAddress } from "../../kernel/address.ts";
import { SO_ACCEPTCONN, SO_TYPE, SOCK_DGRAM, SOL_SOCKET } from "../../kernel/constants.ts";
import { type Syscalls, untracedSyscalls } from "../../kernel/ffi.ts";
import { tryGetIntOption } from "../../kernel/int-options.ts";
import { nodeFs } from "../../kernel/node-fs.ts";
import type { OpenEvent } from "../events.ts";
import { withDuplicate } from "./kernel-of.ts";
import type { ProcessState } from "./process-state.ts";

/** A registration in the interest list of an epoll instance, with the data that the program has registered. */
export interface RegisteredEntry {
  fd: number;
  mask: number;
  low: number;
  high: number;
}

/** Reads the fds of a process into `state`, and returns an event for each. */
export function readOpenFiles(state: ProcessState): OpenEvent[] {
  const { pid } = state;
  state.clear();
  const events: OpenEvent[] = [];
  for (const fd of listFds(pid)) {
    const file = linkOf(pid, fd);
    if (file === undefined) continue;
    state.onOpen(fd);
    const event: OpenEvent = { type: "open", call: "inherited", result: fd, file };
    if (file === "anon_inode:[eventpoll]") {
      event.kind = "epoll";
      const entries = registeredEntries(pid, fd);
      event.interest = entries.map((entry) => [entry.fd, entry.mask]);
      for (const entry of entries) state.registered(fd).set(entry.low, entry.high, entry.fd);
    } else if (file.startsWith("socket:")) {
      Object.assign(event, describeSocket(pid, fd));
    }
    events.push(event);
  }
  return events;
}

/** Returns the interest list of an epoll instance; empty if the fd is not one. @see proc_pid_fdinfo(5) */
export function registeredEntries(pid: number, epfd: number): RegisteredEntry[] {
  let text: string;
  try {
    text = nodeFs().readFileSync(`/proc/${pid}/fdinfo/${epfd}`, "utf8");
  } catch {
    return [];
  }
  return [...text.matchAll(/^tfd:\s*(\d+) events:\s*([\da-f]+) data:\s*([\da-f]+)/gm)].map(
    ([, fd, mask = "", data = ""]) => {
      const digits = data.padStart(16, "0");
      const [high, low] = [digits.slice(0, 8), digits.slice(8)].map((half) => Number.parseInt(half, 16));
      return { fd: Number(fd), mask: Number.parseInt(mask, 16), low: low as number, high: high as number };
    },
  );
}

/** Returns the local address of a process's socket; undefined if it cannot be asked. */
export function localAddress(pid: number, fd: number): Address | undefined {
  return askAddress(pid, fd, "getsockname");
}

/** Returns the address of the peer of a process's socket; undefined if it has none or cannot be asked. */
export function peerAddress(pid: number, fd: number): Address | undefined {
  return askAddress(pid, fd, "getpeername");
}

function askAddress(pid: number, fd: number, call: "getsockname" | "getpeername"): Address | undefined {
  const address = addressBuffer();
  const result = withDuplicate(pid, fd, (duplicate, sys) => sys[call](duplicate, address));
  return result < 0 ? undefined : decodeAddress(untracedSyscalls(), address);
}

function describeSocket(pid: number, fd: number): Pick<OpenEvent, "kind" | "address"> {
  const description: Pick<OpenEvent, "kind" | "address"> = {};
  withDuplicate(pid, fd, (duplicate, sys) => {
    const type = tryGetIntOption(sys, duplicate, SOL_SOCKET, SO_TYPE);
    const isListening = tryGetIntOption(sys, duplicate, SOL_SOCKET, SO_ACCEPTCONN) === 1;
    const peer = isListening ? undefined : addressBy(sys, "getpeername", duplicate);
    const kind =
      type === SOCK_DGRAM ? "datagram" : isListening ? "listener" : peer === undefined ? undefined : "connection";
    const address = isListening || kind === "datagram" ? addressBy(sys, "getsockname", duplicate) : peer;
    if (kind !== undefined) description.kind = kind;
    if (address !== undefined) description.address = address;
    return 0;
  });
  return description;
}

function addressBy(sys: Syscalls, call: "getsockname" | "getpeername", fd: number): Address | undefined {
  const address = addressBuffer();
  return sys[call](fd, address) < 0 ? undefined : decodeAddress(sys, address);
}

function listFds(pid: number): number[] {
  try {
    return nodeFs()
      .readdirSync(`/proc/${pid}/fd`)
      .map(Number)
      .sort((a, b) => a - b);
  } catch {
    return [];
  }
}

function linkOf(pid: number, fd: number): string | undefined {
  try {
    return nodeFs().readlinkSync(`/proc/${pid}/fd/${fd}`);
  } catch {
    return undefined;
  }
}
