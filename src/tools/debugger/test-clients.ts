// class TestClients: clients of the debugged server, controlled by the commands connect, send, recv and close.

import type { Address } from "../../kernel/address.ts";
import { AF_INET, AF_INET6, AF_UNIX } from "../../kernel/constants.ts";
import { ErrnoError } from "../../kernel/errors.ts";
import { Socket } from "../../io/socket.ts";
import { formatPeer } from "../../trace/format.ts";

export const REQUEST = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const MAX_RECEIVE_BYTES = 65_536;
const MAX_CLIENTS = 1_000;

export class TestClients implements Disposable {
  readonly #sockets = new Map<string, Socket>();
  #count = 0;

  /** The names of the connected clients. */
  get names(): string[] {
    return [...this.#sockets.keys()];
  }

  /** Connects a client. Like the methods below, returns the text to print. */
  connect(address: Address): string {
    if (this.#sockets.size >= MAX_CLIENTS) {
      throw new Error(`${MAX_CLIENTS} clients are connected, which is the maximum: close some first`);
    }
    const socket = createSocketFor(address);
    try {
      socket.connect(address);
    } catch (error) {
      socket.close();
      throw error;
    }
    const name = `c${++this.#count}`;
    this.#sockets.set(name, socket);
    return `${name} is connected from ${formatPeer(socket.getsockname())}`;
  }

  /**
   * @param name the client; default: the newest
   * @param text the data to send; default: a GET request
   */
  send(name: string | undefined, text: string = REQUEST): string {
    const [client, socket] = this.#find(name);
    const bytes = Buffer.from(text, "latin1");
    const sent = Math.max(0, socket.send(bytes));
    return sent < bytes.length
      ? `${client} sent ${sent} of ${bytes.length} bytes: its send queue is full`
      : `${client} sent ${sent} bytes`;
  }

  receive(name: string | undefined): string {
    const [client, socket] = this.#find(name);
    try {
      const bytes = socket.recv(MAX_RECEIVE_BYTES);
      if (bytes === null) return `${client}: nothing has arrived yet`;
      if (bytes.length === 0) return `${client}: end of stream, the server has closed its side`;
      return `${client} received ${bytes.length} bytes: ${JSON.stringify(Buffer.from(bytes).toString("latin1"))}`;
    } catch (error) {
      if (error instanceof ErrnoError) return `${client}: ${error.message}`;
      throw error;
    }
  }

  close(name: string | undefined): string {
    const [client, socket] = this.#find(name);
    this.#sockets.delete(client);
    socket.close();
    return `${client} is closed`;
  }

  /** Returns the name of the client whose local address this is. */
  nameOf(address: Address): string | undefined {
    const text = formatPeer(address);
    for (const [name, socket] of this.#sockets) if (formatPeer(socket.getsockname()) === text) return name;
    return undefined;
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
  }

  #find(name: string | undefined): [name: string, socket: Socket] {
    const names = [...this.#sockets.keys()];
    const found = name ?? names.at(-1);
    if (found === undefined) throw new Error("no client is connected: use connect");
    const socket = this.#sockets.get(found);
    if (socket === undefined) throw new Error(`no client ${found} (connected: ${names.join(", ") || "none"})`);
    return [found, socket];
  }
}

/** Returns a socket of the family of the address, not yet connected. */
export function createSocketFor(address: Address): Socket {
  return new Socket("path" in address ? AF_UNIX : address.family === "IPv6" ? AF_INET6 : AF_INET);
}
