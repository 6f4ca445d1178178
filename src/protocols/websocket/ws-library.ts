// The parts of the npm package ws that parse frames and negotiate extensions, loaded on first use.

import type { Buffer } from "node:buffer";

/** The parser of ws, with the members that `FrameReceiver` uses. */
export declare abstract class WsReceiver {
  constructor(options: { isServer: true; maxFragments: number; extensions: object });
  /** Parses a chunk, and calls back with an error if it is not valid. */
  _write(chunk: Buffer, encoding: string, callback: (error?: Error) => void): void;
  /** Removes and returns the next `n` bytes of the input. */
  protected consume(n: number): Buffer;
  /** A whole frame may be there: handles it. */
  protected getData(callback: (error?: Error) => void): void;
  /** Handles a data frame whose content is in `_fragments`. */
  protected dataMessage(callback: (error?: Error) => void): void;
  protected createError(
    type: ErrorConstructor,
    message: string,
    hasPrefix: boolean,
    status: number,
    code: string,
  ): Error;
  _maxPayload: number;
  protected _state: number;
  protected _loop: boolean;
  /** The input that was not parsed yet. */
  protected _buffers: Buffer[];
  protected _bufferedBytes: number;
  protected _mask: Buffer | undefined;
  protected _payloadLength: number;
  protected _totalPayloadLength: number;
  protected _messageLength: number;
  protected _opcode: number;
  protected _fin: boolean;
  /** The opcode of the message whose fragments are being received; 0 if there is none. */
  protected _fragmented: number;
  protected _compressed: boolean;
  protected _fragments: Buffer[];
  protected _numFragments: number;
}

/** The parameters of permessage-deflate that a server answers with. */
export interface DeflateParameters {
  server_no_context_takeover?: true;
  client_no_context_takeover?: true;
  server_max_window_bits?: number;
  client_max_window_bits?: number;
}

export interface DeflateOptions {
  isServer: true;
  serverNoContextTakeover: boolean;
  clientNoContextTakeover: boolean;
  clientMaxWindowBits?: number | undefined;
  serverMaxWindowBits?: number | undefined;
}

/** The negotiation of permessage-deflate in ws. Its compression is not used, because it needs Bun's event loop. */
interface WsPerMessageDeflate {
  new (options: DeflateOptions): { accept(offers: object[]): DeflateParameters };
}

/** The parser and serializer of Sec-WebSocket-Extensions in ws. */
interface WsExtension {
  parse(header: string): Record<string, object[]>;
  format(extensions: Record<string, object>): string;
}

export interface WsLibrary {
  Receiver: typeof WsReceiver;
  PerMessageDeflate: WsPerMessageDeflate;
  extension: WsExtension;
  /** The key of an error's status code for a Close frame. */
  kStatusCode: symbol;
  isValidStatusCode(code: number): boolean;
}

let library: WsLibrary | undefined;

/**
 * Loads the library, by path: Bun replaces the package by a part of its own when it is imported by name, and the package exports
 * only its entry point. The bundler includes them in dist/.
 */
export function loadWs(): WsLibrary {
  if (library !== undefined) return library;
  const { kStatusCode } = require("../../../node_modules/ws/lib/constants.js") as Pick<WsLibrary, "kStatusCode">;
  const { isValidStatusCode } = require("../../../node_modules/ws/lib/validation.js") as Pick<
    WsLibrary,
    "isValidStatusCode"
  >;
  return (library = {
    Receiver: require("../../../node_modules/ws/lib/receiver.js") as typeof WsReceiver,
    PerMessageDeflate: require("../../../node_modules/ws/lib/permessage-deflate.js") as WsPerMessageDeflate,
    extension: require("../../../node_modules/ws/lib/extension.js") as WsExtension,
    kStatusCode,
    isValidStatusCode,
  });
}
