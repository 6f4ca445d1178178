// A WebSocket client that sends any bytes as they are, and shows the frames that it receives.

import { eventually } from "./eventually.ts";

/** A frame that the client has received. */
export interface ReceivedFrame {
  opcode: number;
  fin: boolean;
  /** The reserved bits: RSV1 is 4. */
  rsv: number;
  payload: Buffer;
}

export interface FrameOptions {
  fin?: boolean;
  rsv?: number;
  isMasked?: boolean;
}

export const KEY = "dGhlIHNhbXBsZSBub25jZQ==";

/** Returns an upgrade request. A header that is undefined is left out. */
export function upgradeRequest(
  headers: Record<string, string | undefined> = {},
  line: string = "GET / HTTP/1.1",
): string {
  const all: Record<string, string | undefined> = {
    Host: "a.test",
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
    ...headers,
  };
  const fields = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}\r\n`]));
  return `${line}\r\n${fields.join("")}\r\n`;
}

/** Serializes a client's frame. */
export function frame(
  opcode: number,
  payload: string | Uint8Array = "",
  { fin = true, rsv = 0, isMasked = true }: FrameOptions = {},
): Buffer {
  const data = Buffer.from(payload as string);
  const { length } = data;
  const extended = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const bytes = Buffer.alloc(2 + extended + (isMasked ? 4 : 0) + length);
  bytes[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  bytes[1] = (isMasked ? 0x80 : 0) | (extended === 0 ? length : extended === 2 ? 126 : 127);
  if (extended === 2) bytes.writeUInt16BE(length, 2);
  if (extended === 8) bytes.writeBigUInt64BE(BigInt(length), 2);
  const at = bytes.length - length;
  data.copy(bytes, at);
  if (!isMasked) return bytes;
  const key = [0x11, 0x22, 0x33, 0x44];
  bytes.set(key, at - 4);
  for (let i = 0; i < length; i++) bytes[at + i] = (bytes[at + i] as number) ^ (key[i & 3] as number);
  return bytes;
}

/** Returns the payload of a Close frame. */
export function closePayload(code: number, reason: string | Uint8Array = ""): Buffer {
  const bytes = Buffer.from([code >> 8, code & 0xff]);
  return Buffer.concat([bytes, Buffer.from(reason as string)]);
}

export class RawWebSocket implements Disposable {
  /** The head of the response; empty while it is incomplete. */
  head = "";
  /** The body of a response that is not an upgrade, one character for each byte. */
  body = "";
  readonly frames: ReceivedFrame[] = [];
  /** `end`: the server has closed its side. */
  fate: "open" | "end" | "closed" = "open";
  socket!: Bun.Socket;
  #bytes = Buffer.alloc(0);

  /** Connects, and sends nothing. */
  static async connect(port: number, localAddress?: string): Promise<RawWebSocket> {
    const client = new RawWebSocket();
    client.socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      allowHalfOpen: true,
      ...(localAddress === undefined ? {} : { localAddress }),
      socket: {
        data: (_, bytes) => client.#receive(bytes),
        end: () => void (client.fate = client.fate === "open" ? "end" : client.fate),
        close: () => void (client.fate = "closed"),
        error() {},
        drain: (socket) => client.#write(socket),
      },
    });
    client.socket.setNoDelay(true);
    return client;
  }

  /** Connects, and opens a WebSocket. */
  static async open(port: number, headers: Record<string, string | undefined> = {}): Promise<RawWebSocket> {
    const client = await RawWebSocket.connect(port);
    client.send(upgradeRequest(headers));
    await client.until(({ head }) => head !== "");
    if (!client.head.startsWith("HTTP/1.1 101 ")) throw new Error(`not upgraded: ${client.head}`);
    return client;
  }

  #unsent: Uint8Array[] = [];

  /** Sends bytes as they are. */
  send(bytes: string | Uint8Array): void {
    this.#unsent.push(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
    this.#write(this.socket);
  }

  #write(socket: Bun.Socket): void {
    for (let first; (first = this.#unsent[0]) !== undefined;) {
      const n = Math.max(0, socket.write(first));
      if (n < first.length) {
        this.#unsent[0] = first.subarray(n);
        return;
      }
      this.#unsent.shift();
    }
  }

  frame(opcode: number, payload?: string | Uint8Array, options?: FrameOptions): void {
    this.send(frame(opcode, payload, options));
  }

  /** Waits until everything was written to the kernel. */
  async written(): Promise<void> {
    await eventually(
      () => this.#unsent.length,
      (count) => count === 0,
    );
  }

  async until(predicate: (client: this) => boolean): Promise<void> {
    await eventually(
      () => ({ head: this.head, frames: this.frames.length, last: this.frames.at(-1), fate: this.fate }),
      () => predicate(this),
    );
  }

  /** The texts that were received. */
  get texts(): string[] {
    return this.frames.filter(({ opcode }) => opcode === 1).map(({ payload }) => payload.toString());
  }

  /** The code and the reason of the Close frame, once one was received: `"1000 bye"`, or `"none"` without a code. */
  get closeFrame(): string | undefined {
    const payload = this.frames.find(({ opcode }) => opcode === 8)?.payload;
    if (payload === undefined) return undefined;
    return payload.length === 0 ? "none" : `${payload.readUInt16BE(0)} ${payload.toString("utf8", 2)}`.trimEnd();
  }

  /** Resets the connection. */
  reset(): void {
    this.socket.terminate();
  }

  [Symbol.dispose](): void {
    this.socket.terminate();
  }

  /** Input that is joined once a whole frame is there. */
  #chunks: Uint8Array[] = [];
  #missing = 0;

  #receive(bytes: Uint8Array): void {
    this.#chunks.push(Uint8Array.from(bytes));
    this.#missing -= bytes.length;
    if (this.#missing > 0) return;
    this.#bytes = Buffer.concat([this.#bytes, ...this.#chunks.splice(0)]);
    if (this.head === "") {
      const end = this.#bytes.indexOf("\r\n\r\n");
      if (end < 0) return;
      this.head = this.#bytes.toString("latin1", 0, end);
      this.#bytes = this.#bytes.subarray(end + 4);
    }
    if (!this.head.startsWith("HTTP/1.1 101 ")) {
      this.body += this.#bytes.toString("latin1");
      this.#bytes = Buffer.alloc(0);
      return;
    }
    while (this.#parseFrame());
  }

  #parseFrame(): boolean {
    const bytes = this.#bytes;
    if (bytes.length < 2) return false;
    const [first = 0, second = 0] = bytes;
    if ((second & 0x80) !== 0) throw new Error("a server must not mask its frames");
    const extended = second < 126 ? 0 : second === 126 ? 2 : 8;
    const start = 2 + extended;
    if (bytes.length < start) return false;
    const length = extended === 0 ? second : extended === 2 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
    this.#missing = start + length - bytes.length;
    if (this.#missing > 0) return false;
    const payload = Buffer.from(bytes.subarray(start, start + length));
    this.frames.push({ opcode: first & 0x0f, fin: first >= 0x80, rsv: (first >> 4) & 7, payload });
    this.#bytes = bytes.subarray(start + length);
    return true;
  }
}

/** Splits what a server has sent after its response into frames: `"text hello"`, `"close 1000 bye"`, `"ping "`, …. */
export function framesOf(text: string): string[] {
  const bytes = Buffer.from(text.slice(text.indexOf("\r\n\r\n") + 4), "latin1");
  const names: Record<number, string> = {
    0: "continuation",
    1: "text",
    2: "binary",
    8: "close",
    9: "ping",
    10: "pong",
  };
  const frames: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const [first = 0, second = 0] = bytes.subarray(at);
    const extended = second < 126 ? 0 : second === 126 ? 2 : 8;
    const start = at + 2 + extended;
    const length =
      extended === 0 ? second : extended === 2 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2));
    const payload = bytes.subarray(start, start + length);
    const isClose = (first & 15) === 8 && payload.length > 1;
    const content = isClose ? `${payload.readUInt16BE(0)} ${payload.toString("utf8", 2)}` : payload.toString();
    frames.push(`${names[first & 15]} ${content}`);
    at = start + length;
  }
  return frames;
}
