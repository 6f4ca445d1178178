// Explanations, in plain sentences, of why epoll reports an fd or does not.

import type { Address } from "../kernel/address.ts";
import { EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLONESHOT, EPOLLOUT, EPOLLRDHUP } from "../kernel/constants.ts";
import { invalidType } from "../kernel/errors.ts";
import { formatMask } from "../kernel/format-mask.ts";
import { check32Bit } from "../kernel/integers.ts";
import { REPORTING_FLAGS } from "./compare-masks.ts";
import type { FdInfo } from "./fd-info.ts";
import { formatPeer } from "./format.ts";
import { isFull } from "./kernel-queries.ts";

/** The registration of an fd with an epoll instance. */
export interface RegistrationInfo {
  /** The epoll instance. */
  epfd: number;
  /** The mask that the program has registered. */
  mask: number;
  /** The mask in the kernel's interest list; `null` if the fd is not in it. Undefined if it is not known. */
  kernelMask?: number | null | undefined;
}

/**
 * Explains why epoll_wait reports an fd, or does not: the type of the fd, its queues, its errors, and what epoll_wait returns for the
 * registered mask.
 *
 * @param info what `inspectFd` returned
 * @param registered the mask that the fd is registered with, or its registrations with several epoll instances; undefined if it is not
 *   registered
 * @returns a few sentences on one line
 * @throws {TypeError | RangeError} if `info` is not an FdInfo, or a mask is not a 32-bit integer
 */
export function explainReadiness(info: FdInfo, registered?: number | readonly RegistrationInfo[] | undefined): string {
  if (!isFdInfo(info)) throw invalidType("info", "what inspectFd returned", info);
  if (!Array.isArray(registered)) {
    if (registered !== undefined) check32Bit("registeredMask", registered as number);
    return [...describe(info), describeResult(info, registered as number | undefined)].join(" ");
  }
  const registrations = registered as readonly RegistrationInfo[];
  for (const registration of registrations) {
    if (typeof registration !== "object" || registration === null) {
      throw invalidType("registeredMask", "a 32-bit integer, or a list of registrations", registered);
    }
    check32Bit("mask", registration.mask);
  }
  if (registrations.length === 0) return [...describe(info), describeResult(info, undefined)].join(" ");
  return [...describe(info), ...registrations.map((one) => describeRegistration(info, one))].join(" ");
}

function describe(info: FdInfo): string[] {
  return [describeFd(info), describeInput(info), ...describeOutput(info), ...describeHangup(info)];
}

const KINDS: readonly unknown[] = ["connection", "listener", "datagram", "other"] satisfies FdInfo["kind"][];

function isFdInfo(info: unknown): info is FdInfo {
  if (typeof info !== "object" || info === null) return false;
  const { fd, kind, ready, file, local, peer } = info as Record<string, unknown>;
  const hasAddresses = [local, peer].every((address) => address === undefined || Object(address) === address);
  return (
    hasAddresses && Number.isInteger(fd) && Number.isInteger(ready) && typeof file === "string" && KINDS.includes(kind)
  );
}

function describeFd({ fd, kind, file, local, peer, tcp }: FdInfo): string {
  switch (kind) {
    case "listener":
      return `fd ${fd} listens on ${describeAddress(local)}.`;
    case "datagram":
      return `fd ${fd} is a datagram socket bound to ${describeAddress(local)}.`;
    case "connection": {
      const isUnix = local !== undefined && "path" in local;
      if (peer === undefined) return `fd ${fd} is a ${isUnix ? "unix" : "TCP"} socket without a peer${state(tcp)}.`;
      if (isUnix) return `fd ${fd} is a unix socket, connected to ${describeAddress(peer)}.`;
      return `fd ${fd} is a TCP connection with ${describeAddress(peer)}${state(tcp)}.`;
    }
    case "other":
      return `fd ${fd} is ${file}.`;
  }
}

function state(tcp: FdInfo["tcp"]): string {
  return tcp === undefined ? "" : `, ${tcp.state}`;
}

function describeAddress(address: Address | undefined): string {
  if (address === undefined) return "an unknown address";
  return "path" in address && address.path === "" ? "an unnamed socket" : formatPeer(address);
}

function describeInput({ kind, ready, receiveQueueBytes = 0, acceptQueue }: FdInfo): string {
  const isReadable = (ready & EPOLLIN) !== 0;
  if (kind === "listener") {
    if (!isReadable) return "No connection is waiting to be accepted, so it is not readable.";
    const length = acceptQueue?.length;
    const waiting =
      length === undefined ? "A connection is" : length === 1 ? "1 connection is" : `${length} connections are`;
    const full =
      acceptQueue !== undefined && isFull(acceptQueue)
        ? ` The accept queue is full (backlog ${acceptQueue.limit}): the kernel drops new connections.`
        : "";
    return `${waiting} waiting to be accepted, so it is readable (EPOLLIN).${full}`;
  }
  if (receiveQueueBytes > 0) {
    return `The receive queue holds ${formatBytes(receiveQueueBytes)}${isReadable ? ", so it is readable (EPOLLIN)" : ""}.`;
  }
  if (isReadable && (ready & EPOLLRDHUP) !== 0) {
    return "The receive queue is empty and the peer has closed its side: recv returns 0 (end of stream), so it is readable (EPOLLIN).";
  }
  return isReadable ? "It is readable (EPOLLIN)." : "There is nothing to read.";
}

/** TCP states in which the program has shut down its side, or there is no connection: send fails immediately. */
const NO_SEND: ReadonlySet<string | undefined> = new Set(["FIN_WAIT1", "FIN_WAIT2", "CLOSING", "LAST_ACK", "CLOSE"]);

function describeOutput({ kind, ready, sendQueueBytes = 0, tcp }: FdInfo): string[] {
  const isWritable = (ready & EPOLLOUT) !== 0;
  if (isWritable && NO_SEND.has(tcp?.state)) return ["It is writable (EPOLLOUT), because send fails immediately."];
  if (kind !== "connection") return isWritable ? ["It is writable (EPOLLOUT)."] : [];
  const queue = sendQueueBytes === 0 ? "" : `The send queue holds ${formatBytes(sendQueueBytes)}`;
  if (isWritable)
    return [
      queue === ""
        ? "The send queue has room, so it is writable (EPOLLOUT)."
        : `${queue} and has room for more, so it is writable (EPOLLOUT).`,
    ];
  return [queue === "" ? "It is not writable." : `${queue} and is full, so it is not writable.`];
}

function describeHangup({ ready, kind, peer, tcp }: FdInfo): string[] {
  const sentences: string[] = [];
  if ((ready & EPOLLERR) !== 0) sentences.push("It has an error condition (EPOLLERR), which is always reported.");
  if ((ready & EPOLLHUP) === 0) return sentences;
  const isUnconnected = tcp?.state === "CLOSE" && peer === undefined;
  const what =
    kind === "other" ? "The other end is closed" : isUnconnected ? "It is not connected" : "Both directions are closed";
  return [...sentences, `${what} (EPOLLHUP), which is always reported.`];
}

function describeRegistration(info: FdInfo, { epfd, mask, kernelMask }: RegistrationInfo): string {
  if (kernelMask === null) {
    return `The program has registered it with epoll fd ${epfd} for ${formatMask(mask)}, but the kernel does not watch it there, so epoll_wait(${epfd}) does not report it.`;
  }
  return describeResult(info, kernelMask === undefined ? mask : withoutAlways(kernelMask, mask), epfd);
}

/** Removes EPOLLERR and EPOLLHUP, which the kernel adds, unless the program has registered them. */
function withoutAlways(kernelMask: number, mask: number): number {
  return (kernelMask & ~((EPOLLERR | EPOLLHUP) & ~mask)) >>> 0;
}

function describeResult({ ready }: FdInfo, mask: number | undefined, epfd?: number): string {
  if (mask === undefined) return "It is not registered with epoll.";
  const [registered, call] =
    epfd === undefined ? ["registered", "epoll_wait"] : [`registered with epoll fd ${epfd}`, `epoll_wait(${epfd})`];
  const requested = mask & ~REPORTING_FLAGS;
  if (requested === 0 && (mask & EPOLLONESHOT) !== 0 && epfd !== undefined) {
    return `It is ${registered}, but EPOLLONESHOT has reported its event, so ${call} does not report it until it is re-armed (EPOLL_CTL_MOD).`;
  }
  const reported = ready & (requested | EPOLLERR | EPOLLHUP);
  if (reported === 0) {
    const events = requested === 0 ? "for nothing" : `only for ${formatMask(requested)}`;
    return `It is ${registered} ${events}, so ${call} does not report it.`;
  }
  const how = (mask & EPOLLET) === 0 ? "" : " once, and again when something new arrives (EPOLLET)";
  const events = requested === 0 ? "nothing" : formatMask(requested);
  return `It is ${registered} for ${events}, so ${call} reports ${formatMask(reported)}${how}.`;
}

function formatBytes(count: number): string {
  return count === 1 ? "1 byte" : `${count} bytes`;
}
