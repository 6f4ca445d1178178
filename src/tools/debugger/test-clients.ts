// The clients that a debugging session plays from its prompt: c1, c2, …

import type { Address } from "../../kernel/address.ts";
import { AF_INET, AF_INET6, AF_UNIX } from "../../kernel/constants.ts";
import { ErrnoError } from "../../kernel/errors.ts";
import { Socket } from "../../io/socket.ts";
import { formatPeer } from "../../trace/format.ts";

const REQUEST = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const RECEIVE_BYTES = 65_536;
const MOST_CLIENTS = 1_000;

export class TestClients implements Disposable {
  readonly #open = new Map<string, Socket>();
  #count = 0;

  /** @returns what to print */
  connect(to: Address): string {
    if (this.#open.size >= MOST_CLIENTS) return `*** ${MOST_CLIENTS} clients are open: close some`;
    const family = "path" in to ? AF_UNIX : to.family === "IPv6" ? AF_INET6 : AF_INET;
    const socket = new Socket(family);
    try {
      socket.connect(to);
    } catch (error) {
      socket.close();
      throw error;
    }
    const name = `c${++this.#count}`;
    this.#open.set(name, socket);
    return `${name} is connected, from ${formatPeer(socket.getsockname())}`;
  }

  /** @param who a name, or undefined: the last one; @param text a request unless given */
  send(who: string | undefined, text: string = REQUEST): string {
    const [name, socket] = this.#find(who);
    const bytes = Buffer.from(text, "latin1");
    const sent = socket.send(bytes);
    return sent < bytes.length
      ? `${name}: the kernel took ${Math.max(0, sent)} of ${bytes.length} bytes`
      : `${name} has sent ${sent} bytes`;
  }

  receive(who: string | undefined): string {
    const [name, socket] = this.#find(who);
    try {
      const bytes = socket.recv(RECEIVE_BYTES);
      if (bytes === null) return `${name}: nothing has come`;
      if (bytes.length === 0) return `${name}: the server has finished`;
      return `${name} has received ${bytes.length} bytes: ${JSON.stringify(Buffer.from(bytes).toString("latin1"))}`;
    } catch (error) {
      if (error instanceof ErrnoError) return `${name}: ${error.message}`;
      throw error;
    }
  }

  close(who: string | undefined): string {
    const [name, socket] = this.#find(who);
    this.#open.delete(name);
    socket.close();
    return `${name} is closed`;
  }

  /** Which of them has this address of its own. */
  nameOf(address: Address): string | undefined {
    const wanted = formatPeer(address);
    for (const [name, socket] of this.#open) if (formatPeer(socket.getsockname()) === wanted) return name;
    return undefined;
  }

  [Symbol.dispose](): void {
    for (const socket of this.#open.values()) socket.close();
    this.#open.clear();
  }

  #find(who: string | undefined): [name: string, socket: Socket] {
    const name = who ?? [...this.#open.keys()].at(-1);
    const socket = name === undefined ? undefined : this.#open.get(name);
    if (name === undefined) throw new Error("no client is open: connect makes one");
    if (socket === undefined)
      throw new Error(`there is no client ${name} (open: ${[...this.#open.keys()].join(" ") || "none"})`);
    return [name, socket];
  }
}
