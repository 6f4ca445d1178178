// class MessageBatch: many datagrams that are sent or received by one system call, sendmmsg(2) and recvmmsg(2).

import { type Address, ADDRESS_BYTES, type AddressLike, decodeAddress, encodeAddress } from "../kernel/address.ts";
import { AF_INET, MSG_CMSG_CLOEXEC, MSG_NOSIGNAL } from "../kernel/constants.ts";
import {
  type Ancillary,
  decodeAncillary,
  encodeAncillary,
  type ReceivedAncillary,
} from "../kernel/control-messages.ts";
import { byteLengthOf } from "../kernel/byte-arrays.ts";
import { checkInteger, invalidType, invalidValue, outOfRange } from "../kernel/errors.ts";
import { syscalls, type Syscalls } from "../kernel/ffi.ts";
import type { Message } from "./socket-messages.ts";
import { MAX_TRANSFER_BYTES, retryInterrupted, toBytes, transferLength } from "./transfer.ts";

/** The kernel's limit of messages per call, UIO_MAXIOV. */
export const MAX_MESSAGES = 1024;
const HEADER_BYTES = 64; // struct mmsghdr
const IOVEC_BYTES = 16;

// struct batch in shim.c: the flags, the control size and the first message, then for each message:
const FLAGS = 0;
const CONTROL_SIZE = 1;
const START = 2;
const FIRST = 4;
const FIELDS = 4;
const LENGTH = 0;
const MESSAGE_FLAGS = 1;
const CONTROL_LENGTH = 2;
const SENDS_CONTROL = 3;

/** A message to send with `sendmmsg`. */
export interface OutgoingMessage {
  /** Bytes, or a string, which is encoded as UTF-8. */
  readonly data: Uint8Array | string;
  /** The receiver, for a socket that is not connected. */
  readonly address?: AddressLike | undefined;
  /** Ancillary data, as for `sendmsg`. */
  readonly ancillary?: readonly Ancillary[] | undefined;
}

/** The memory of a MessageBatch. */
export interface MessageBatchOptions {
  /** Maximum number of messages, from 1 to 1024. */
  capacity: number;
  /** Maximum size of a message in bytes. The rest of a longer received one is discarded. */
  messageSize: number;
  /** Buffer size for each message's ancillary data; see CMSG_SPACE; default: 0. */
  ancillarySize?: number | undefined;
  /** The address family of the socket; default: AF_INET. */
  family?: number | undefined;
}

/** What `sendmmsg` and `recvmmsg` of the kernel need, apart from the fd. */
interface Batch {
  readonly headers: Uint8Array;
  readonly iovecs: Uint8Array;
  readonly addresses: Uint8Array;
  readonly control: Uint8Array;
  readonly state: Int32Array;
}

/** Returns whether a value is a MessageBatch, and not only an object with the same methods. */
export let isMessageBatch: (value: unknown) => value is MessageBatch;

/**
 * Sends the messages from index `start` on.
 *
 * @param open returns the fd; it is called before each attempt
 * @returns the number of messages sent, or -errno
 */
export let sendBatch: (
  sys: Syscalls,
  open: () => number,
  batch: MessageBatch,
  family: number,
  start: number,
  flags: number,
) => number;

/** Receives messages. Returns their number, or -errno; see `sendBatch`. */
export let receiveBatch: (
  sys: Syscalls,
  open: () => number,
  batch: MessageBatch,
  family: number,
  flags: number,
) => number;

/**
 * Reusable memory for datagrams. `Socket.recvmmsgInto` fills it and `Socket.sendmmsg` sends it with one system call, and
 * without allocating memory.
 *
 * A received batch can be sent as it is: each message has the address of its sender.
 *
 * @see recvmmsg(2), sendmmsg(2)
 * @example
 * ```ts
 * const batch = new MessageBatch({ capacity: 64, messageSize: 1500 });
 * while (socket.recvmmsgInto(batch) > 0) {
 *   for (let i = 0; i < batch.length; i++) console.log(batch.size(i), batch.bytes[batch.offset(i)]);
 *   socket.sendmmsg(batch); // returns all datagrams to their senders
 * }
 * ```
 */
export class MessageBatch {
  readonly #bytes: Uint8Array;
  readonly #capacity: number;
  readonly #messageSize: number;
  readonly #ancillarySize: number;
  readonly #family: number;
  readonly #batch: Batch;
  readonly #buffers: readonly [Uint8Array];
  #length = 0;

  static {
    isMessageBatch = (value): value is MessageBatch => typeof value === "object" && value !== null && #batch in value;
    sendBatch = (sys, open, batch, family, start, flags) => {
      const length = batch.#length;
      checkInteger("start", start, 0, length);
      batch.#checkFamily(family);
      open();
      if (start === length) return 0;
      const { headers, iovecs, addresses, control, state } = batch.#batch;
      const size = batch.#messageSize;
      state[START] = start;
      state[FLAGS] = flags | MSG_NOSIGNAL;
      return retryInterrupted(() => {
        const fd = open();
        batch.#checkAttached();
        for (let i = start; i < length; i++) sys.set_iovec(iovecs, i, batch.#bytes, i * size, batch.size(i));
        return sys.sendmmsg(fd, headers, iovecs, addresses, control, state, length - start, batch.#buffers);
      });
    };
    receiveBatch = (sys, open, batch, family, flags) => {
      batch.#checkFamily(family);
      const { headers, iovecs, addresses, control, state } = batch.#batch;
      const [size, capacity] = [batch.#messageSize, batch.#capacity];
      state[FLAGS] = flags | MSG_CMSG_CLOEXEC;
      const n = retryInterrupted(() => {
        const fd = open();
        batch.#checkAttached();
        for (let i = 0; i < capacity; i++) sys.set_iovec(iovecs, i, batch.#bytes, i * size, size);
        return sys.recvmmsg(fd, headers, iovecs, addresses, control, state, capacity, batch.#buffers);
      });
      batch.#length = Math.max(0, Math.min(n, capacity));
      return n < 0 ? n : batch.#length;
    };
  }

  /**
   * Allocates the memory.
   *
   * @param options `capacity`, `messageSize`, `ancillarySize`, `family`
   * @throws {TypeError | RangeError} if an option has the wrong type or is out of range
   */
  constructor(options: MessageBatchOptions) {
    if (typeof options !== "object" || options === null) {
      throw invalidType("options", "an object, such as { capacity: 64, messageSize: 1500 }", options);
    }
    const { capacity, messageSize, ancillarySize = 0, family = AF_INET } = options;
    this.#capacity = checkInteger("capacity", capacity, 1, MAX_MESSAGES);
    this.#messageSize = checkInteger("messageSize", messageSize, 0, Math.floor(MAX_TRANSFER_BYTES / capacity));
    this.#ancillarySize = checkInteger("ancillarySize", ancillarySize, 0, Math.floor(MAX_TRANSFER_BYTES / capacity));
    this.#family = checkInteger("family", family, 0, 0xffff);
    this.#bytes = new Uint8Array(new ArrayBuffer(capacity * messageSize));
    this.#buffers = [this.#bytes];
    this.#batch = createBatch(capacity, (this.#ancillarySize + 7) & ~7);
  }

  /** The memory of all messages: message `i` starts at `offset(i)`. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Maximum number of messages. */
  get capacity(): number {
    return this.#capacity;
  }

  /** Maximum size of a message in bytes. */
  get messageSize(): number {
    return this.#messageSize;
  }

  /** The number of messages: those that were received, or have been added by `push`. */
  get length(): number {
    return this.#length;
  }

  /** Returns where message `i` starts in `bytes`. @throws {TypeError | RangeError} if there is no message `i` */
  offset(i: number): number {
    return this.#check(i) * this.#messageSize;
  }

  /** Returns the number of bytes of message `i`. @throws {TypeError | RangeError} if there is no message `i` */
  size(i: number): number {
    return Math.min(this.#field(i, LENGTH), this.#messageSize);
  }

  /**
   * Returns the size of the whole datagram of message `i`, if it was received with the flag MSG_TRUNC. Otherwise it is
   * the same as `size`.
   *
   * @throws {TypeError | RangeError} if there is no message `i`
   */
  fullSize(i: number): number {
    return this.#field(i, LENGTH) >>> 0;
  }

  /**
   * Returns the bytes of message `i`: a view, which the next call that receives overwrites.
   *
   * @throws {TypeError | RangeError} if there is no message `i`
   */
  data(i: number): Uint8Array {
    const start = this.offset(i);
    return this.#bytes.subarray(start, start + this.size(i));
  }

  /**
   * Returns the address of message `i`: the sender of a received message, the receiver of one to send.
   *
   * @returns the address; an empty path if there is none
   * @throws {TypeError | RangeError} if there is no message `i`
   */
  address(i: number): Address {
    const start = this.#check(i) * ADDRESS_BYTES;
    return decodeAddress(syscalls(), this.#batch.addresses.subarray(start, start + ADDRESS_BYTES));
  }

  /**
   * Returns the flags of received message `i`: MSG_TRUNC if it was longer than `messageSize`, MSG_CTRUNC if ancillary
   * data was discarded.
   *
   * @throws {TypeError | RangeError} if there is no message `i`
   */
  flags(i: number): number {
    return this.#field(i, MESSAGE_FLAGS) & ~MSG_CMSG_CLOEXEC;
  }

  /**
   * Returns the ancillary data of received message `i`. The receiver must close the file descriptors in it.
   *
   * @throws {TypeError | RangeError} if there is no message `i`
   */
  ancillary(i: number): ReceivedAncillary[] {
    const length = this.#field(i, CONTROL_LENGTH);
    const { control, state } = this.#batch;
    const size = state[CONTROL_SIZE] as number;
    return decodeAncillary(syscalls(), control.subarray(i * size, (i + 1) * size), length);
  }

  /**
   * Adds a message to send. Its bytes are copied.
   *
   * @param data bytes, or a string, which is encoded as UTF-8
   * @param address the receiver, for a socket that is not connected
   * @param ancillary items of ancillary data, as for `sendmsg`
   * @returns the index of the message
   * @throws {RangeError} if the batch is full, or the message does not fit
   * @throws {TypeError | RangeError} if an argument is not valid
   */
  push(data: Uint8Array | string, address?: AddressLike, ancillary: readonly Ancillary[] = []): number {
    const bytes = toBytes(data);
    const sys = syscalls();
    const to = address === undefined ? undefined : encodeAddress(sys, address, this.#family);
    const items = encodeAncillary(sys, ancillary, this.#family);
    const i = this.#length; // after user code, such as a getter of the address
    if (i === this.#capacity) {
      throw invalidValue(`the batch is full: it has ${this.#capacity} messages; send it, then call clear()`);
    }
    const length = byteLengthOf(bytes, "data");
    if (length > this.#messageSize) {
      throw invalidValue(`data is ${length} bytes long; a message of this batch can have at most ${this.#messageSize}`);
    }
    const { addresses, control, state } = this.#batch;
    const controlSize = state[CONTROL_SIZE] as number;
    if (items.length > controlSize) {
      throw invalidValue(
        `ancillary takes ${items.length} bytes; the ancillarySize of this batch is ${this.#ancillarySize}`,
      );
    }
    this.#bytes.set(bytes, i * this.#messageSize);
    addresses.fill(0, i * ADDRESS_BYTES, (i + 1) * ADDRESS_BYTES);
    if (to !== undefined) addresses.set(to, i * ADDRESS_BYTES);
    control.set(items, i * controlSize);
    const at = FIRST + FIELDS * i;
    state[at + LENGTH] = length;
    state[at + MESSAGE_FLAGS] = 0;
    state[at + CONTROL_LENGTH] = items.length;
    state[at + SENDS_CONTROL] = 1;
    this.#length++;
    return i;
  }

  /**
   * Changes the size of message `i`, after its bytes have been changed in `bytes`.
   *
   * @throws {TypeError | RangeError} if there is no message `i`, or the size exceeds `messageSize`
   */
  resize(i: number, size: number): void {
    const at = FIRST + FIELDS * this.#check(i);
    this.#batch.state[at + LENGTH] = checkInteger("size", size, 0, this.#messageSize);
  }

  /** Removes all messages. */
  clear(): void {
    this.#length = 0;
  }

  #field(i: number, field: number): number {
    return this.#batch.state[FIRST + FIELDS * this.#check(i) + field] as number;
  }

  #check(i: number): number {
    if (typeof i === "number" && i >>> 0 === i && i < this.#length) return i;
    const expected = this.#length === 0 ? "omitted: the batch is empty" : `an integer from 0 to ${this.#length - 1}`;
    throw typeof i === "number" ? outOfRange("i", expected, i) : invalidType("i", expected, i);
  }

  #checkFamily(family: number): void {
    if (family !== this.#family) {
      throw invalidValue(`the batch is for sockets of family ${this.#family}; the family of this one is ${family}`);
    }
  }

  /** The view is public, so its ArrayBuffer may have been transferred. */
  #checkAttached(): void {
    byteLengthOf(this.#bytes, "the memory of the batch");
  }
}

/** Allocates the memory of a batch, apart from the messages themselves. */
function createBatch(capacity: number, controlSize: number): Batch {
  const state = new Int32Array(new ArrayBuffer(4 * (FIRST + FIELDS * capacity)));
  state[CONTROL_SIZE] = controlSize;
  return {
    headers: new Uint8Array(new ArrayBuffer(capacity * HEADER_BYTES)),
    iovecs: new Uint8Array(new ArrayBuffer(capacity * IOVEC_BYTES)),
    addresses: new Uint8Array(new ArrayBuffer(capacity * ADDRESS_BYTES)),
    control: new Uint8Array(new ArrayBuffer(Math.max(8, capacity * controlSize))),
    state,
  };
}

/**
 * Sends at most 1024 of the messages, from index `start` on, without copying them. Returns the number of messages sent,
 * or -errno.
 */
export function sendMessages(
  sys: Syscalls,
  open: () => number,
  family: number,
  messages: readonly OutgoingMessage[],
  start: number,
  flags: number,
): number {
  if (!Array.isArray(messages)) {
    throw invalidType("messages", "a MessageBatch or an array, such as [{ data, address }]", messages);
  }
  checkInteger("start", start, 0, messages.length);
  const parts = Array.from(messages.slice(start, start + MAX_MESSAGES), (message: OutgoingMessage) => {
    if (typeof message !== "object" || message === null) {
      throw invalidType("a message", "{ data, address, ancillary }", message);
    }
    const { data, address, ancillary = [] } = message;
    const to = address === undefined ? undefined : encodeAddress(sys, address, family);
    return { bytes: toBytes(data), to, items: encodeAncillary(sys, ancillary, family) };
  });
  const count = parts.length;
  const controlSize = Math.max(0, ...parts.map(({ items }) => items.length));
  const { headers, iovecs, addresses, control, state } = createBatch(Math.max(1, count), controlSize);
  for (const [i, { to, items }] of parts.entries()) {
    if (to !== undefined) addresses.set(to, i * ADDRESS_BYTES);
    control.set(items, i * controlSize);
    state[FIRST + FIELDS * i + CONTROL_LENGTH] = items.length;
    state[FIRST + FIELDS * i + SENDS_CONTROL] = 1;
  }
  state[FLAGS] = flags | MSG_NOSIGNAL;
  const buffers = parts.map(({ bytes }) => bytes);
  open();
  if (count === 0) return 0;
  return retryInterrupted(() => {
    const fd = open();
    for (const [i, bytes] of buffers.entries()) {
      const length = transferLength(bytes, "data");
      state[FIRST + FIELDS * i + LENGTH] = length;
      sys.set_iovec(iovecs, i, bytes, 0, length);
    }
    return sys.sendmmsg(fd, headers, iovecs, addresses, control, state, count, buffers);
  });
}

/** Copies the messages out of a batch. */
export function messagesOf(batch: MessageBatch): Message[] {
  return Array.from({ length: batch.length }, (_, i) => ({
    data: batch.data(i).slice(),
    address: batch.address(i),
    flags: batch.flags(i),
    ancillary: batch.ancillary(i),
  }));
}
