// Sockets for tests: addresses in every family, connected pairs, waiting for readiness, and leak checks.

import { afterEach, beforeEach, expect } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Address, AddressLike, InternetAddress } from "../../src/kernel/address.ts";
import { AF_INET, AF_INET6, AF_UNIX, EPOLLERR, EPOLLHUP, SOCK_DGRAM, SOCK_STREAM } from "../../src/kernel/constants.ts";
import { Epoll } from "../../src/io/epoll.ts";
import { ErrnoError } from "../../src/kernel/errors.ts";
import { Socket } from "../../src/io/socket.ts";
import { WAIT_TIMEOUT_MS } from "./eventually.ts";
import { openFds } from "./fds.ts";

export type Kind = "AF_INET" | "AF_INET6" | "AF_UNIX path" | "AF_UNIX abstract";
export const kinds: readonly Kind[] = ["AF_INET", "AF_INET6", "AF_UNIX path", "AF_UNIX abstract"];

let places = 0;

/** Addresses that sockets of one kind can be bound to: on loopback, in a temporary directory, or abstract names. */
export class Place implements Disposable {
  readonly kind: Kind;
  readonly family: number;
  #directory: string | undefined;
  #names = 0;

  constructor(kind: Kind) {
    this.kind = kind;
    this.family = kind === "AF_INET" ? AF_INET : kind === "AF_INET6" ? AF_INET6 : AF_UNIX;
  }

  /** Returns an unused address: port 0, a new path or a new name. */
  fresh(): AddressLike {
    if (this.kind === "AF_INET") return { address: "127.0.0.1", port: 0 };
    if (this.kind === "AF_INET6") return { address: "::1", port: 0 };
    return {
      path: this.kind === "AF_UNIX path" ? this.path(`s${this.#names++}`) : `\0epoll-hello-${process.pid}-${places++}`,
    };
  }

  /** Returns a path in a temporary directory, which is removed on dispose. */
  path(name: string): string {
    this.#directory ??= mkdtempSync(join(tmpdir(), "epoll-hello-"));
    return join(this.#directory, name);
  }

  /** Creates a socket that is bound to an unused address. */
  bound(type: number = SOCK_STREAM): Socket {
    const socket = new Socket(this.family, type);
    try {
      socket.bind(this.fresh());
      return socket;
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  /** Creates a listening socket. */
  listening(backlog?: number, type: number = SOCK_STREAM): Socket {
    const socket = this.bound(type);
    socket.listen(backlog);
    return socket;
  }

  /** Creates two stream (or seqpacket) sockets that are connected through a listening socket. */
  connected(type: number = SOCK_STREAM): Pair {
    using listener = this.listening(undefined, type);
    const client = new Socket(this.family, type);
    client.connect(listener.getsockname());
    return new Pair(client, accepted(listener).socket);
  }

  /** Creates two bound datagram sockets that are each other's peer. */
  datagrams(): Pair {
    const client = this.bound(SOCK_DGRAM);
    const server = this.bound(SOCK_DGRAM);
    client.connect(server.getsockname());
    server.connect(client.getsockname());
    return new Pair(client, server);
  }

  [Symbol.dispose](): void {
    if (this.#directory !== undefined) rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Two sockets that are closed together. */
export class Pair implements Disposable {
  readonly client: Socket;
  readonly server: Socket;

  constructor(client: Socket, server: Socket) {
    this.client = client;
    this.server = server;
  }

  [Symbol.dispose](): void {
    this.client.close();
    this.server.close();
  }
}

/** Waits until epoll reports an event of `mask` (or an error) for the socket, and returns the events. */
export function until(socket: Socket, mask: number): number {
  const events = poll(socket, mask, WAIT_TIMEOUT_MS);
  if (events === 0) throw new Error(`no event within ${WAIT_TIMEOUT_MS} ms`);
  return events;
}

/** Returns the current events of the socket. */
export function readiness(socket: Socket, mask: number): number {
  return poll(socket, mask, 0);
}

function poll(socket: Socket, mask: number, timeoutMs: number): number {
  using epoll = new Epoll();
  epoll.register(socket, mask);
  return epoll.poll(timeoutMs)[0]?.[1] ?? 0;
}

/** Waits for and accepts a connection. */
export function accepted(listener: Socket): { socket: Socket; address: Address } {
  for (;;) {
    const connection = listener.accept();
    if (connection !== null) return connection;
    expect(until(listener, 1 /* EPOLLIN */) & (EPOLLERR | EPOLLHUP)).toBe(0);
  }
}

/** Waits until `receive` returns something other than null, and returns it. */
export function eventually<T>(socket: Socket, receive: () => T | null): T {
  for (;;) {
    const received = receive();
    if (received !== null) return received;
    until(socket, 1 /* EPOLLIN */);
  }
}

/** Receives exactly `size` bytes of a stream, or fewer if it ends earlier. */
export function receiveAll(socket: Socket, size: number): Uint8Array {
  const all = new Uint8Array(size);
  let filled = 0;
  while (filled < size) {
    const n = eventually(socket, () => orNull(socket.recvInto(all.subarray(filled))));
    if (n === 0) break;
    filled += n;
  }
  return all.subarray(0, filled);
}

/** Sends all data, waiting for space in the send buffer. The data must fit, or be read by another process. */
export function sendAll(socket: Socket, data: Uint8Array): void {
  for (let sent = 0; sent < data.length;) {
    const n = socket.send(data.subarray(sent));
    if (n >= 0) sent += n;
    else until(socket, 4 /* EPOLLOUT */);
  }
}

/** Returns null instead of WOULD_BLOCK. */
export function orNull(n: number): number | null {
  return n === -1 ? null : n;
}

/** Creates a socket that is bound but does not listen, so that connections to its address are refused. */
export function refusing(place: Place): Socket {
  return place.bound(SOCK_STREAM);
}

/** Returns the ErrnoError that a call throws. */
export function errnoError(call: () => unknown): ErrnoError {
  try {
    call();
  } catch (error) {
    if (error instanceof ErrnoError) return error;
    throw error;
  }
  throw new Error("the call did not fail");
}

/** Returns `[code, syscall]` of the ErrnoError that a call throws. */
export function failure(call: () => unknown): [code: string, syscall: string] {
  const { code, syscall } = errnoError(call);
  return [code, syscall];
}

/** Decodes UTF-8. Returns null and undefined unchanged. */
export function text(bytes: Uint8Array | undefined | null): string | null | undefined {
  return bytes && new TextDecoder().decode(bytes);
}

/** Returns `length` bytes of a fixed pattern, starting at offset `start`, in which neighboring bytes differ. */
export function pattern(length: number, start = 0): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = byteAt(start + i);
  return bytes;
}

/** Returns the byte of the pattern at an offset. */
export function byteAt(offset: number): number {
  return (Math.imul(offset, 0x9e3779b1) >>> 24) & 0xff;
}

/** Asserts after each test of the file that it left no socket open. */
export function everySocketIsClosed(): void {
  let before = new Set<string>();
  const sockets = (): Set<string> => new Set([...openFds().values()].filter((what) => what.startsWith("socket:")));
  beforeEach(() => {
    before = sockets();
  });
  afterEach(() => {
    expect([...sockets()].filter((what) => !before.has(what))).toEqual([]);
  });
}

/**
 * Returns a port that is currently free at all of the addresses. A port that is free at one address can be in use at
 * another, by a client or in TIME_WAIT.
 */
export function freePort(...addresses: readonly [string, ...string[]]): number {
  for (;;) {
    let port = 0;
    using stack = new DisposableStack();
    try {
      for (const address of addresses) {
        const socket = stack.use(new Socket(address.includes(":") ? AF_INET6 : AF_INET));
        socket.bind({ address, port });
        ({ port } = socket.getsockname() as InternetAddress);
      }
      return port;
    } catch (error) {
      if (!(error instanceof ErrnoError) || error.code !== "EADDRINUSE" || port === 0) throw error;
    }
  }
}
