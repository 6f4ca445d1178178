// What a program has done with its fds: the calls on each of them, from the call that opened it until it is closed.

import type { CallSite } from "../caller-line.ts";
import type { AcceptEvent, TransferEvent } from "../events.ts";
import { EMFILE, ENFILE } from "../../kernel/errno.ts";

/** An open fd. A new object for each file that gets the number, so it identifies the fd. */
export interface FdActivity {
  readonly fd: number;
  readonly origin: "accepted" | "listening" | "other";
  /** The call that accepted the connection, or that made the socket listen. */
  readonly site: CallSite | undefined;
  readonly sinceUs: number;
  /** It is certainly no datagram socket: a read of 0 bytes is the end of the stream. */
  isStream: boolean;
  /** The number of calls that used it. Calls of epoll_ctl and epoll_wait do not count. */
  calls: number;
  /** The number of calls that sent, or tried to. */
  sends: number;
  /** The number of reads in a row that returned 0: end of stream. */
  emptyReads: number;
  /** The last read. */
  readSite: CallSite | undefined;
  /** The number of accepts in a row that failed because no file descriptor was free, since the registration changed. */
  failedAccepts: number;
  /** Another owner closes it: `detach` was called, or it was closed by a call that is not traced. */
  isHandedOver: boolean;
}

export class FdActivities {
  readonly #byFd = new Map<number, FdActivity>();

  get(fd: number): FdActivity | undefined {
    return this.#byFd.get(fd);
  }

  /** Returns the activity of an fd. One that the program got in an untraced way is added. */
  of(fd: number, nowUs: number): FdActivity {
    return this.#byFd.get(fd) ?? this.open(fd, "other", nowUs, undefined);
  }

  /** Adds an fd that was opened. */
  open(fd: number, origin: FdActivity["origin"], sinceUs: number, site: CallSite | undefined): FdActivity {
    const activity: FdActivity = {
      fd,
      origin,
      site,
      sinceUs,
      isStream: origin === "accepted",
      calls: 0,
      sends: 0,
      emptyReads: 0,
      readSite: undefined,
      failedAccepts: 0,
      isHandedOver: false,
    };
    this.#byFd.set(fd, activity);
    return activity;
  }

  /** Removes an fd that was closed. */
  close(fd: number): FdActivity | undefined {
    const activity = this.#byFd.get(fd);
    this.#byFd.delete(fd);
    return activity;
  }
}

/** Records a call that transferred data, or tried to. */
export function recordTransfer(activity: FdActivity, event: TransferEvent, site: CallSite | undefined): void {
  activity.calls++;
  if (event.type === "send") {
    activity.sends++;
  } else {
    activity.emptyReads = isEndOfStream(event, activity) ? activity.emptyReads + 1 : 0;
    activity.readSite = site;
  }
}

/** Records an accept on a listening socket. */
export function recordAccept(activity: FdActivity, { result }: AcceptEvent): void {
  activity.calls++;
  if (result >= 0) activity.failedAccepts = 0;
  else if (lacksFds(result)) activity.failedAccepts++;
}

/** Returns whether accept failed because the process or the system has no free file descriptor. */
export function lacksFds(result: number): boolean {
  return result === -EMFILE || result === -ENFILE;
}

/**
 * Whether a read returned 0 at the end of a stream. From recvfrom(2) or recvmsg(2), 0 may also be an empty datagram, but not on a
 * connection that was accepted.
 */
function isEndOfStream({ result, wanted, call }: TransferEvent, activity: FdActivity): boolean {
  const isStream = call === undefined || call === "read" || call === "readv" || activity.isStream;
  return result === 0 && wanted > 0 && isStream;
}
