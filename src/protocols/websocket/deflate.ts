// permessage-deflate: negotiates the extension, and compresses and decompresses messages. RFC 7692.

import { Buffer } from "node:buffer";
import type { DeflateSettings } from "./deflate-settings.ts";
import { type DeflateParameters, loadWs } from "./ws-library.ts";
import { createDeflate, createInflate, hasSyncZlib, type ZlibContext } from "./zlib-context.ts";

const NAME = "permessage-deflate";
/** The end of a flushed block, which is not transmitted: RFC 7692, 7.2.1. */
const TRAILER = Buffer.from([0x00, 0x00, 0xff, 0xff]);
const MAX_WINDOW_BITS = 15;
const MEM_LEVEL = 8;

/** The contexts that all WebSockets share, which are reset for each message. Compressors by their window. */
const sharedCompressors: (ZlibContext | undefined)[] = [];
let sharedDecompressor: ZlibContext | undefined;

/** The compression of one WebSocket. */
export class Deflate {
  /** The value of Sec-WebSocket-Extensions. */
  readonly extension: string;
  /** WebSockets with the same key compress a message to the same bytes; undefined if they have a context of their own. */
  readonly sharedKey: number | undefined;
  /** Whether messages are compressed if `compress` is true. */
  readonly canCompress: boolean;
  readonly #compressor: ZlibContext | undefined;
  readonly #decompressor: ZlibContext | undefined;

  private constructor(settings: DeflateSettings, accepted: DeflateParameters) {
    this.extension = loadWs().extension.format({ [NAME]: [accepted] });
    this.canCompress = settings.compress !== undefined;
    const { compress, decompress } = settings;
    const windowBits = Math.min(
      accepted.server_max_window_bits ?? MAX_WINDOW_BITS,
      compress?.windowBits ?? MAX_WINDOW_BITS,
    );
    if (compress?.isDedicated === true && accepted.server_no_context_takeover !== true) {
      this.#compressor = createDeflate(windowBits, compress.memLevel);
    } else {
      this.sharedKey = windowBits;
    }
    if (decompress.isDedicated && accepted.client_no_context_takeover !== true) {
      this.#decompressor = createInflate(accepted.client_max_window_bits ?? MAX_WINDOW_BITS);
    }
  }

  /**
   * Accepts an offer of the client.
   *
   * @param offers the value of Sec-WebSocket-Extensions
   * @returns undefined if there is none that can be accepted: the connection is not compressed
   */
  static negotiate(settings: DeflateSettings | undefined, offers: string | null): Deflate | undefined {
    if (settings === undefined || offers === null || !hasSyncZlib()) return undefined;
    const { extension, PerMessageDeflate } = loadWs();
    try {
      const offered = extension.parse(offers)[NAME];
      if (offered === undefined) return undefined;
      const { compress, decompress } = settings;
      const isLimited = decompress.isDedicated && decompress.windowBits < MAX_WINDOW_BITS;
      const deflate = new PerMessageDeflate({
        isServer: true,
        serverNoContextTakeover: compress?.isDedicated !== true,
        clientNoContextTakeover: !decompress.isDedicated,
        clientMaxWindowBits: isLimited && offers.includes("client_max_window_bits") ? decompress.windowBits : undefined,
      });
      return new Deflate(settings, deflate.accept(offered));
    } catch {
      return undefined; // an offer is malformed, or none can be accepted
    }
  }

  /** Compresses a message. */
  compress(data: Uint8Array): Buffer {
    const { sharedKey } = this;
    const context =
      this.#compressor ?? (sharedCompressors[sharedKey as number] ??= createDeflate(sharedKey as number, MEM_LEVEL));
    if (sharedKey !== undefined) context.reset();
    const compressed = context.transform(data, Infinity) as Buffer;
    return compressed.subarray(0, compressed.length - TRAILER.length);
  }

  /**
   * Decompresses a message of at most `maxBytes`.
   *
   * @returns the message, or why it could not be decompressed
   */
  decompress(data: Uint8Array, maxBytes: number): Buffer | "too-large" | "invalid" {
    const context = this.#decompressor ?? (sharedDecompressor ??= createInflate(MAX_WINDOW_BITS));
    if (this.#decompressor === undefined) context.reset();
    return context.transform(Buffer.concat([data, TRAILER]), maxBytes);
  }

  /** Frees the contexts of this WebSocket. */
  close(): void {
    this.#compressor?.close();
    this.#decompressor?.close();
  }
}
