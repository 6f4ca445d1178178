// Synchronous compression with a context that lasts longer than one call, on the native part of node:zlib.

import { Buffer } from "node:buffer";

/** The native part of a stream of node:zlib, which it uses for its own synchronous calls. */
interface ZlibHandle {
  onerror: (...details: unknown[]) => void;
  writeSync(
    flush: number,
    input: Uint8Array,
    inputStart: number,
    inputLength: number,
    output: Uint8Array,
    outputStart: number,
    outputLength: number,
  ): void;
  reset(): void;
  close(): void;
}

interface ZlibStream {
  readonly _handle?: ZlibHandle;
  /** The room that is left in the output, and the input that is left. */
  readonly _writeState?: Uint32Array;
}

type Zlib = typeof import("node:zlib");

const OUTPUT_BYTES = 65_536;
const output: Buffer = Buffer.allocUnsafeSlow(OUTPUT_BYTES);

const zlib = (): Zlib => require("node:zlib") as Zlib;

export class ZlibContext {
  readonly #handle: ZlibHandle;
  readonly #state: Uint32Array;
  readonly #flush: number;
  #hasFailed = false;

  constructor(stream: ZlibStream) {
    this.#handle = stream._handle as ZlibHandle;
    this.#state = stream._writeState as Uint32Array;
    this.#flush = zlib().constants.Z_SYNC_FLUSH;
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- it is not an event target
    this.#handle.onerror = () => {
      this.#hasFailed = true;
    };
  }

  /** Forgets everything before. */
  reset(): void {
    this.#handle.reset();
  }

  close(): void {
    this.#handle.close();
  }

  /** Compresses or decompresses all of the data, to at most `maxBytes`. */
  transform(data: Uint8Array, maxBytes: number): Buffer | "too-large" | "invalid" {
    const parts: Buffer[] = [];
    let total = 0;
    for (let at = 0; ;) {
      const left = data.length - at;
      this.#handle.writeSync(this.#flush, data, at, left, output, 0, OUTPUT_BYTES);
      if (this.#hasFailed) {
        this.#hasFailed = false;
        return "invalid";
      }
      const room = this.#state[0] as number;
      const count = OUTPUT_BYTES - room;
      total += count;
      if (total > maxBytes) return "too-large";
      parts.push(Buffer.from(new Uint8Array(output.subarray(0, count)).buffer));
      if (room > 0) return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts, total);
      at += left - (this.#state[1] as number);
    }
  }
}

export function createDeflate(windowBits: number, memLevel: number): ZlibContext {
  return new ZlibContext(zlib().createDeflateRaw({ windowBits, memLevel }) as unknown as ZlibStream);
}

export function createInflate(windowBits: number): ZlibContext {
  return new ZlibContext(zlib().createInflateRaw({ windowBits }) as unknown as ZlibStream);
}

let isSupported: boolean | undefined;

/** Returns whether this version of Bun has what is used here. If not, nothing is compressed. */
export function hasSyncZlib(): boolean {
  if (isSupported === undefined) {
    const stream = zlib().createInflateRaw() as unknown as ZlibStream;
    isSupported = typeof stream._handle?.writeSync === "function" && stream._writeState instanceof Uint32Array;
  }
  return isSupported;
}
