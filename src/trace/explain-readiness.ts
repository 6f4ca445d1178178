// Explanations, in plain sentences, of why epoll reports an fd or does not.

import type { Address } from "../kernel/address.ts";
import { EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from "../kernel/constants.ts";
import { invalidType } from "../kernel/errors.ts";
import { formatMask } from "../kernel/format-mask.ts";
import { check32Bit } from "../kernel/integers.ts";
import { REPORTING_FLAGS } from "./compare-masks.ts";
import type { FdInfo } from "./fd-info.ts";
import { formatPeer } from "./format.ts";

/**
 * Explains why epoll_wait reports an fd, or does not: the type of the fd, its queues, its errors, and what epoll_wait returns for the
 * registered mask.
 *
 * @param info what `inspectFd` returned
 * @param registeredMask the mask that the fd is registered with; undefined if it is not registered
 * @returns a few sentences on one line
 * @throws {TypeError | RangeError} if `info` is not an FdInfo, or the mask is not a 32-bit integer
 */
export function explainReadiness(info: FdInfo, registeredMask?: number | undefined): string {
  if (!isFdInfo(info)) throw invalidType("info", "what inspectFd returned", info);
  if (registeredMask !== undefined) check32Bit("registeredMask", registeredMask);
  return [
    describeFd(info),
    describeInput(info),
    ...describeOutput(info),
    ...describeHangup(info),
    describeResult(info, registeredMask),
  ].join(" ");
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

function describeInput({ kind, ready, receiveQueueBytes = 0, tcp }: FdInfo): string {
  const isReadable = (ready & EPOLLIN) !== 0;
  if (kind === "listener") {
    if (!isReadable) return "No connection is waiting to be accepted, so it is not readable.";
    const backlog = tcp?.unacked; // TCP_INFO of a listening socket has the length of the accept queue in this field
    const waiting =
      backlog === undefined ? "A connection is" : backlog === 1 ? "1 connection is" : `${backlog} connections are`;
    return `${waiting} waiting to be accepted, so it is readable (EPOLLIN).`;
  }
  if (receiveQueueBytes > 0) {
    return `The receive queue holds ${formatBytes(receiveQueueBytes)}${isReadable ? ", so it is readable (EPOLLIN)" : ""}.`;
  }
  if (isReadable && (ready & EPOLLRDHUP) !== 0) {
    return "The receive queue is empty and the peer has closed its side: recv returns 0 (end of stream), so it is readable (EPOLLIN).";
  }
  return isReadable ? "It is readable (EPOLLIN)." : "There is nothing to read.";
}

function describeOutput({ kind, ready, sendQueueBytes = 0 }: FdInfo): string[] {
  const isWritable = (ready & EPOLLOUT) !== 0;
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

function describeHangup({ ready }: FdInfo): string[] {
  if ((ready & EPOLLERR) !== 0) return ["It has an error condition (EPOLLERR), which is always reported."];
  if ((ready & EPOLLHUP) !== 0) return ["Both directions are closed (EPOLLHUP), which is always reported."];
  return [];
}

function describeResult({ ready }: FdInfo, registeredMask: number | undefined): string {
  if (registeredMask === undefined) return "It is not registered with epoll.";
  const requested = registeredMask & ~REPORTING_FLAGS;
  const reported = ready & (requested | EPOLLERR | EPOLLHUP);
  if (reported === 0) {
    const events = requested === 0 ? "for nothing" : `only for ${formatMask(requested)}`;
    return `It is registered ${events}, so epoll_wait does not report it.`;
  }
  const how = (registeredMask & EPOLLET) === 0 ? "" : " once, and again when something new arrives (EPOLLET)";
  const events = requested === 0 ? "nothing" : formatMask(requested);
  return `It is registered for ${events}, so epoll_wait reports ${formatMask(reported)}${how}.`;
}

function formatBytes(count: number): string {
  return count === 1 ? "1 byte" : `${count} bytes`;
}
