// Sockets for tests: places to bind in every family, connected pairs, waits on a state, and a check that all close.

import { afterEach, beforeEach, expect } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Address, AddressLike, InternetAddress } from "../../src/kernel/address.ts";
import { AF_INET, AF_INET6, AF_UNIX, EPOLLERR, EPOLLHUP, SOCK_DGRAM, SOCK_STREAM } from "../../src/kernel/constants.ts";
import { Epoll } from "../../src/io/epoll.ts";
import { ErrnoError } from "../../src/kernel/errors.ts";
import { Socket } from "../../src/io/socket.ts";
import { openFds } from "./fds.ts";

export type Kind = "AF_INET" | "AF_INET6" | "AF_UNIX path" | "AF_UNIX abstract";
export const kinds: readonly Kind[] = ["AF_INET", "AF_INET6", "AF_UNIX path", "AF_UNIX abstract"];

/** How long a test waits for a state before it fails; never how long it takes. */
const PATIENCE_MS = 20_000;

let places = 0;

/** Where sockets of one kind can be bound: loopback, a directory of its own, or names nobody else has. */
export class Place implements Disposable {
  readonly kind: Kind;
  readonly family: number;
  #directory: string | undefined;
  #names = 0;

  constructor(kind: Kind) {
    this.kind = kind;
    this.family = kind === "AF_INET" ? AF_INET : kind === "AF_INET6" ? AF_INET6 : AF_UNIX;
  }

  /** An address to bind that nobody has: a free port, a new path, a new name. */
  fresh(): AddressLike {
    if (this.kind === "AF_INET") return { address: "127.0.0.1", port: 0 };
    if (this.kind === "AF_INET6") return { address: "::1", port: 0 };
    return {
      path: this.kind === "AF_UNIX path" ? this.path(`s${this.#names++}`) : `\0epoll-hello-${process.pid}-${places++}`,
    };
  }

  /** A path in a directory of this place's own, which goes with it. */
  path(name: string): string {
    this.#directory ??= mkdtempSync(join(tmpdir(), "epoll-hello-"));
    return join(this.#directory, name);
  }

  /** A socket that is bound to a fresh address. */
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

  listening(backlog?: number, type: number = SOCK_STREAM): Socket {
    const socket = this.bound(type);
    socket.listen(backlog);
    return socket;
  }

  /** Two stream (or seqpacket) sockets that are connected through a listener. */
  connected(type: number = SOCK_STREAM): Pair {
    using listener = this.listening(undefined, type);
    const client = new Socket(this.family, type);
    client.connect(listener.getsockname());
    return new Pair(client, accepted(listener).socket);
  }

  /** Two datagram sockets, bound, each with the other as its peer. */
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

/** Two sockets that close together. */
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

/** Wait until epoll reports any of `mask` (or an error) for the socket, and return what it reports. */
export function until(socket: Socket, mask: number): number {
  const events = poll(socket, mask, PATIENCE_MS);
  if (events === 0) throw new Error(`waited ${PATIENCE_MS} ms in vain`);
  return events;
}

/** What epoll reports for the socket now. */
export function readiness(socket: Socket, mask: number): number {
  return poll(socket, mask, 0);
}

function poll(socket: Socket, mask: number, timeoutMs: number): number {
  using epoll = new Epoll();
  epoll.register(socket, mask);
  return epoll.poll(timeoutMs)[0]?.[1] ?? 0;
}

/** The next connection, once it is there. */
export function accepted(listener: Socket): { socket: Socket; address: Address } {
  for (;;) {
    const connection = listener.accept();
    if (connection !== null) return connection;
    expect(until(listener, 1 /* EPOLLIN */) & (EPOLLERR | EPOLLHUP)).toBe(0);
  }
}

/** What `receive` gives, once it is there. */
export function eventually<T>(socket: Socket, receive: () => T | null): T {
  for (;;) {
    const received = receive();
    if (received !== null) return received;
    until(socket, 1 /* EPOLLIN */);
  }
}

/** Receive exactly `size` bytes of a stream, or fewer if it ends before. */
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

/** Send all of it, waiting for room where there is none. Only for what somebody reads, or what fits. */
export function sendAll(socket: Socket, data: Uint8Array): void {
  for (let sent = 0; sent < data.length;) {
    const n = socket.send(data.subarray(sent));
    if (n >= 0) sent += n;
    else until(socket, 4 /* EPOLLOUT */);
  }
}

/** `null` instead of WOULD_BLOCK. */
export function orNull(n: number): number | null {
  return n === -1 ? null : n;
}

/** The address of a port that nobody listens on; kept bound, so that nobody takes it meanwhile. */
export function refusing(place: Place): Socket {
  return place.bound(SOCK_STREAM);
}

/** The error of a call that must fail with an errno. */
export function errnoError(call: () => unknown): ErrnoError {
  try {
    call();
  } catch (error) {
    if (error instanceof ErrnoError) return error;
    throw error;
  }
  throw new Error("the call did not fail");
}

/** `[code, syscall]` of a call that must fail with an errno. */
export function failure(call: () => unknown): [code: string, syscall: string] {
  const { code, syscall } = errnoError(call);
  return [code, syscall];
}

export function text(bytes: Uint8Array | undefined | null): string | null | undefined {
  return bytes && new TextDecoder().decode(bytes);
}

/** Bytes that differ at every place near each other, the same for the same start. */
export function pattern(length: number, start = 0): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = byteAt(start + i);
  return bytes;
}

/** The byte at one place of the endless pattern. */
export function byteAt(place: number): number {
  return (Math.imul(place, 0x9e3779b1) >>> 24) & 0xff;
}

/** After each test of the file, assert that it left no socket open that it opened. */
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
 * A port that nobody has at any of these addresses, just now. A port that is free at one may be a client's at another, whose
 * connection may have ended a minute ago: TIME_WAIT.
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
