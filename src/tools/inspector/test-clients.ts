// class Tries: clients of every bad kind, and of good ones, on Bun's own event loop by this package's own watch().

import type { Address } from "../../kernel/address.ts";
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  SHUT_WR,
  SO_LINGER,
  SO_RCVBUF,
  SOL_SOCKET,
} from "../../kernel/constants.ts";
import { ErrnoError } from "../../kernel/errors.ts";
import { Socket } from "../../io/socket.ts";
import { formatPeer } from "../../trace/format.ts";
import { watch, type Watch } from "../../event-loop/watch.ts";
import type { TestClientKind, TestClientState } from "./messages.ts";

const MOST_OPEN = 256;
const MOST_SHOWN = 24;
const MOST_LINES = 12;
const CROWD = 64;
const DRIP_MS = 250;
/** A client that is left alone ends then. */
const LONGEST_MS = 120_000;
const RECEIVE_BYTES = 65_536;
const SHOWN_CHARACTERS = 60;

const REQUEST = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

export class TestClients implements Disposable {
  readonly #onChange: () => void;
  readonly #tries = new Map<number, Try[]>();
  #states: TestClientState[] = [];
  #nextId = 1;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  get states(): TestClientState[] {
    return this.#states;
  }

  /** @throws {Error} if there are too many, or nobody listens there */
  start(kind: TestClientKind, to: Address): number {
    const open = [...this.#tries.values()].reduce((sum, some) => sum + some.length, 0);
    const count = kind === "crowd" ? CROWD : 1;
    if (open + count > MOST_OPEN) throw new Error(`${open} clients are open: end some first`);
    const id = this.#nextId++;
    const state: TestClientState = { id, kind, isOpen: true, address: "", log: [] };
    this.#states = [...this.#states, state].slice(-MOST_SHOWN);
    const note = (line: string): void => {
      if (state.log.length < MOST_LINES) state.log.push(line);
      this.#onChange();
    };
    const mine: Try[] = [];
    this.#tries.set(id, mine);
    const ended = (one: Try): void => {
      mine.splice(mine.indexOf(one), 1);
      if (mine.length > 0) return;
      state.isOpen = false;
      this.#tries.delete(id);
      this.#onChange();
    };
    try {
      for (let i = 0; i < count; i++) {
        const one: Try = new Try(kind, to, i === 0 ? note : () => {}, () => ended(one));
        mine.push(one);
        if (i === 0) state.address = one.address;
      }
      for (const one of mine.slice()) one.begin(); // one that fails at once takes itself out
    } catch (error) {
      for (const one of mine.splice(0)) one[Symbol.dispose]();
      this.#tries.delete(id);
      state.isOpen = false;
      throw error;
    }
    this.#onChange();
    return id;
  }

  end(id: number): void {
    for (const one of this.#tries.get(id)?.slice() ?? []) one.end("closed");
  }

  [Symbol.dispose](): void {
    for (const id of this.#tries.keys()) this.end(id);
  }
}

/** One client. */
class Try implements Disposable {
  readonly #kind: TestClientKind;
  readonly #socket: Socket;
  readonly #note: (line: string) => void;
  readonly #ended: () => void;
  #watch: Watch | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  readonly #end: ReturnType<typeof setTimeout>;
  #isOpen = true;
  #unsent = Buffer.alloc(0);
  #received = 0;
  #sent = 0;
  #dripped = 0;

  constructor(kind: TestClientKind, to: Address, note: (line: string) => void, ended: () => void) {
    this.#kind = kind;
    this.#note = note;
    this.#ended = ended;
    this.#socket = new Socket("path" in to ? AF_UNIX : to.family === "IPv6" ? AF_INET6 : AF_INET);
    try {
      if (kind === "never-reads") this.#socket.setsockopt(SOL_SOCKET, SO_RCVBUF, 4_096);
      this.#socket.connect(to);
    } catch (error) {
      this.#socket.close();
      throw error;
    }
    this.#end = setTimeout(() => this.end("left alone for two minutes: closed"), LONGEST_MS);
  }

  get address(): string {
    return formatPeer(this.#socket.getsockname());
  }

  begin(): void {
    this.#note(`connected from ${this.address}`);
    const reads = this.#kind !== "never-reads";
    this.#watch = watch(this.#socket, reads ? EPOLLIN : EPOLLOUT, (mask) => this.#ready(mask));
    switch (this.#kind) {
      case "request":
      case "crowd":
        return this.#send(REQUEST);
      case "pipeline":
        return this.#send(REQUEST.repeat(16));
      case "silent":
        return this.#note("says nothing, and waits");
      case "half-head":
        return this.#send("GET / HTTP/1.1\r\nHost: lo");
      case "drip":
        this.#timer = setInterval(() => this.#drip(), DRIP_MS);
        return;
      case "half-close":
        this.#send(REQUEST);
        this.#socket.shutdown(SHUT_WR);
        return this.#note("has shut its half: it sends no more, and reads on");
      case "leave":
        return this.end("closed at once");
      case "reset":
        this.#send("GET / HTTP/1.1\r\n");
        this.#socket.setsockopt(SOL_SOCKET, SO_LINGER, new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]));
        return this.end("reset (RST)");
      case "garbage":
        return this.#send("\x16\x03\x01\x02\x00\x01\x00\xfc\xff\r\n\r\n");
      case "endless":
        return this.#send(`GET / HTTP/1.1\r\nX: ${"x".repeat(1_000_000)}`);
      case "never-reads":
        return; // as long as the server takes more
    }
  }

  end(why: string): void {
    if (!this.#isOpen) return;
    this[Symbol.dispose]();
    this.#note(why);
    this.#ended();
  }

  [Symbol.dispose](): void {
    this.#isOpen = false;
    clearInterval(this.#timer);
    clearTimeout(this.#end);
    this.#watch?.close();
    this.#socket.close();
  }

  #ready(mask: number): void {
    try {
      if ((mask & EPOLLOUT) !== 0) this.#push();
      if ((mask & (EPOLLIN | EPOLLHUP | EPOLLERR)) !== 0 && this.#isOpen) this.#receive();
    } catch (error) {
      this.#failed(error);
    }
  }

  #receive(): void {
    const bytes = this.#socket.recv(RECEIVE_BYTES);
    if (bytes === null) return;
    if (bytes.length === 0) return this.end("the server has closed");
    this.#received += bytes.length;
    const text = JSON.stringify(Buffer.from(bytes).toString("latin1").slice(0, SHOWN_CHARACTERS));
    this.#note(`received ${bytes.length} bytes: ${text}`);
    if (this.#kind === "request" && this.#received > 0) this.end("has its reply: closed");
  }

  #send(text: string): void {
    this.#unsent = Buffer.from(text, "latin1");
    try {
      this.#push();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** As much as the kernel takes; the rest when it takes more. */
  #push(): void {
    if (this.#kind === "never-reads" && this.#unsent.length === 0) this.#unsent = Buffer.from(REQUEST.repeat(100));
    if (this.#unsent.length === 0) return;
    const sent = this.#socket.send(this.#unsent);
    if (sent < 0) return;
    this.#unsent = this.#unsent.subarray(sent);
    const before = this.#sent;
    this.#sent += sent;
    if (this.#kind !== "never-reads") this.#note(`sent ${sent} bytes`);
    else if (Math.floor(before / 100_000) < Math.floor(this.#sent / 100_000) || before === 0) {
      this.#note(`sent ${this.#sent} bytes, and reads nothing`);
    }
    if (this.#kind === "never-reads") return;
    this.#watch?.modify(this.#unsent.length > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
  }

  #drip(): void {
    const next = REQUEST[this.#dripped++];
    if (next === undefined) {
      clearInterval(this.#timer);
      this.#note("has sent its request, a byte at a time");
      return;
    }
    try {
      this.#socket.send(Buffer.from(next));
      if (this.#dripped === 1) this.#note(`sends a byte each ${DRIP_MS} ms`);
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    if (!(error instanceof ErrnoError)) throw error;
    this.end(`${error.message}: closed`);
  }
}
