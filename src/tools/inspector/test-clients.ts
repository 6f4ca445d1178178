// Test clients, well-behaved and misbehaving, which run on Bun's event loop through watch().

import type { Address } from "../../kernel/address.ts";
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, SHUT_WR, SO_RCVBUF, SOL_SOCKET } from "../../kernel/constants.ts";
import { ErrnoError } from "../../kernel/errors.ts";
import type { Socket } from "../../io/socket.ts";
import { formatPeer } from "../../trace/format.ts";
import { watch, type Watch } from "../../event-loop/watch.ts";
import { createSocketFor, REQUEST } from "../debugger/test-clients.ts";
import type { TestClientKind, TestClientState } from "./messages.ts";

const MAX_OPEN = 256;
const MAX_LISTED = 24;
const MAX_LOG_LINES = 12;
const BURST_SIZE = 64;
const DRIP_INTERVAL_MS = 250;
/** A client that stays open for longer is closed. */
const MAX_LIFETIME_MS = 120_000;
const RECEIVE_BYTES = 65_536;
const MAX_SHOWN_CHARACTERS = 60;
/** A client that never reads logs its progress each time it has sent this many bytes. */
const LOG_EVERY_BYTES = 100_000;

/** The beginning of a TLS ClientHello. */
const NOT_HTTP = "\x16\x03\x01\x02\x00\x01\x00\xfc\xff\r\n\r\n";

export class TestClientPool implements Disposable {
  readonly #onChange: () => void;
  readonly #open = new Map<number, Set<TestClient>>();
  #states: TestClientState[] = [];
  #nextId = 1;

  /** @param onChange called whenever `states` changes */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** The most recent clients, oldest first. */
  get states(): TestClientState[] {
    return this.#states;
  }

  /**
   * Connects a client, or a group of them, to `address`.
   *
   * @throws {Error} if too many clients are open
   * @throws {ErrnoError} if connect(2) fails
   */
  start(kind: TestClientKind, address: Address): void {
    const openCount = [...this.#open.values()].reduce((sum, { size }) => sum + size, 0);
    const count = kind === "burst" ? BURST_SIZE : 1;
    if (openCount + count > MAX_OPEN) throw new Error(`${openCount} test clients are open: close some first`);
    const id = this.#nextId++;
    const state: TestClientState = { id, kind, isOpen: true, address: "", log: [] };
    this.#states = [...this.#states, state].slice(-MAX_LISTED);
    const log = (line: string): void => {
      if (state.log.length < MAX_LOG_LINES) state.log.push(line);
      this.#onChange();
    };
    const group = new Set<TestClient>();
    this.#open.set(id, group);
    const onClose = (client: TestClient): void => {
      group.delete(client);
      if (group.size > 0) return;
      state.isOpen = false;
      this.#open.delete(id);
      this.#onChange();
    };
    try {
      for (let i = 0; i < count; i++) {
        const isFirst = i === 0; // of a group, only the first client is logged
        const client: TestClient = new TestClient(kind, address, isFirst ? log : () => {}, () => onClose(client));
        group.add(client);
        if (isFirst) state.address = client.address;
      }
      for (const client of group) client.start(); // a client that fails removes itself from the group
    } catch (error) {
      for (const client of group) client[Symbol.dispose]();
      this.#open.delete(id);
      state.isOpen = false;
      throw error;
    }
    this.#onChange();
  }

  close(id: number): void {
    for (const client of this.#open.get(id) ?? []) client.close("closed");
  }

  [Symbol.dispose](): void {
    for (const id of this.#open.keys()) this.close(id);
  }
}

class TestClient implements Disposable {
  readonly #kind: TestClientKind;
  readonly #socket: Socket;
  readonly #log: (line: string) => void;
  readonly #onClose: () => void;
  #watch: Watch | undefined;
  #dripTimer: ReturnType<typeof setInterval> | undefined;
  readonly #lifetimeTimer: ReturnType<typeof setTimeout>;
  #isOpen = true;
  #output = Buffer.alloc(0);
  #bytesSent = 0;
  #dripped = 0;

  constructor(kind: TestClientKind, address: Address, log: (line: string) => void, onClose: () => void) {
    this.#kind = kind;
    this.#log = log;
    this.#onClose = onClose;
    this.#socket = createSocketFor(address);
    try {
      if (kind === "never-reads") this.#socket.setsockopt(SOL_SOCKET, SO_RCVBUF, 4_096);
      this.#socket.connect(address);
    } catch (error) {
      this.#socket.close();
      throw error;
    }
    this.#lifetimeTimer = setTimeout(() => this.close("closed after 2 minutes"), MAX_LIFETIME_MS);
  }

  get address(): string {
    return formatPeer(this.#socket.getsockname());
  }

  start(): void {
    this.#log(`connected from ${this.address}`);
    const mask = this.#kind === "never-reads" ? EPOLLOUT : EPOLLIN;
    this.#watch = watch(this.#socket, mask, (ready) => this.#onReady(ready));
    switch (this.#kind) {
      case "request":
      case "burst":
        return this.#send(REQUEST);
      case "pipeline":
        return this.#send(REQUEST.repeat(16));
      case "silent":
        return this.#log("sends nothing");
      case "partial-head":
        return this.#send("GET / HTTP/1.1\r\nHost: lo");
      case "drip":
        this.#log(`sends one byte every ${DRIP_INTERVAL_MS} ms`);
        this.#dripTimer = setInterval(() => this.#drip(), DRIP_INTERVAL_MS);
        return;
      case "half-close":
        this.#send(REQUEST);
        this.#socket.shutdown(SHUT_WR);
        return this.#log("called shutdown(SHUT_WR), keeps reading");
      case "disconnect":
        return this.close("closed immediately");
      case "reset":
        this.#send("GET / HTTP/1.1\r\n");
        this.#socket.setLinger(0);
        return this.close("closed with a reset (RST)");
      case "garbage":
        return this.#send(NOT_HTTP);
      case "endless-head":
        return this.#send(`GET / HTTP/1.1\r\nX: ${"x".repeat(1_000_000)}`);
      case "never-reads":
        return; // sends whenever the socket is writable
    }
  }

  close(reason: string): void {
    if (!this.#isOpen) return;
    this[Symbol.dispose]();
    this.#log(reason);
    this.#onClose();
  }

  [Symbol.dispose](): void {
    this.#isOpen = false;
    clearInterval(this.#dripTimer);
    clearTimeout(this.#lifetimeTimer);
    this.#watch?.close();
    this.#socket.close();
  }

  #onReady(mask: number): void {
    try {
      if ((mask & EPOLLOUT) !== 0) this.#flush();
      if ((mask & (EPOLLIN | EPOLLHUP | EPOLLERR)) !== 0 && this.#isOpen) this.#receive();
    } catch (error) {
      this.#onError(error);
    }
  }

  #onError(error: unknown): void {
    if (!(error instanceof ErrnoError)) throw error;
    this.close(`closed after ${error.message}`);
  }

  #receive(): void {
    const bytes = this.#socket.recv(RECEIVE_BYTES);
    if (bytes === null) return;
    if (bytes.length === 0) return this.close("the server closed the connection");
    const text = JSON.stringify(Buffer.from(bytes).toString("latin1").slice(0, MAX_SHOWN_CHARACTERS));
    this.#log(`received ${bytes.length} bytes: ${text}`);
    if (this.#kind === "request") this.close("closed after the response");
  }

  #send(text: string): void {
    this.#output = Buffer.from(text, "latin1");
    try {
      this.#flush();
    } catch (error) {
      this.#onError(error);
    }
  }

  /** Sends as much as fits in the send queue. EPOLLOUT reports when there is room for the rest. */
  #flush(): void {
    if (this.#kind === "never-reads") return this.#sendRequests();
    if (this.#output.length === 0) return;
    const sent = this.#socket.send(this.#output);
    if (sent < 0) return;
    this.#output = this.#output.subarray(sent);
    this.#log(`sent ${sent} bytes`);
    this.#watch?.modify(this.#output.length > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
  }

  /** Keeps sending requests, and never reads a response. */
  #sendRequests(): void {
    if (this.#output.length === 0) this.#output = Buffer.from(REQUEST.repeat(100));
    const sent = this.#socket.send(this.#output);
    if (sent < 0) return;
    this.#output = this.#output.subarray(sent);
    const before = this.#bytesSent;
    this.#bytesSent += sent;
    const isDue = Math.floor(before / LOG_EVERY_BYTES) < Math.floor(this.#bytesSent / LOG_EVERY_BYTES);
    if (isDue || before === 0) this.#log(`sent ${this.#bytesSent} bytes, reads nothing`);
  }

  #drip(): void {
    const next = REQUEST[this.#dripped++];
    if (next === undefined) {
      clearInterval(this.#dripTimer);
      this.#log("sent the whole request, one byte at a time");
      return;
    }
    try {
      this.#socket.send(Buffer.from(next));
    } catch (error) {
      this.#onError(error);
    }
  }
}
