// class CallRecord: one record of the tracer's ring; see `struct record` in native/ptrace.c.

/** The kinds of records. */
export const RECORD_CALL = 1;
export const RECORD_ENTRY = 2;
export const RECORD_HELD = 3;
export const RECORD_NEW = 4;
export const RECORD_EXEC = 5;
export const RECORD_EXIT = 6;
export const RECORD_SIGNAL = 7;
export const RECORD_ATTACHED = 8;
export const RECORD_FAILED = 9;
export const RECORD_END = 10;

const FLAG_HELD = 1;
const FLAG_BLANK_LINE = 2;

const ARGUMENTS = 32;
const START = 80;
const END = 88;
const REGISTERS = 96;
const EXTRA = 128;
const PARTS = 136;
const PART_HEADER = 8;
const NS_PER_MS = 1e6;
const TWO_32 = 2 ** 32;

/** Memory that belongs to a call. */
export interface Part {
  /** The index of its piece in the table of calls; 16 more if it was copied at the entry. */
  readonly index: number;
  readonly bytes: Uint8Array;
}

/** Registers of a held thread. */
export interface Registers {
  pc: bigint;
  sp: bigint;
  fp: bigint;
  /** The return address on arm64; 0n elsewhere. */
  link: bigint;
}

/** A cursor over the records that were taken. Its fields are those of the current record. */
export class CallRecord {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #length = 0;
  #at = 0;

  /** @param bytes the memory to which records are copied */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Goes to the beginning of `length` bytes of records. `next` goes to the first one. */
  rewind(length: number): void {
    this.#length = length;
    this.#at = -1;
  }

  /** Goes to the next record. Returns whether there is one. */
  next(): boolean {
    this.#at = this.#at < 0 ? 0 : this.#at + this.#view.getUint32(this.#at, true);
    return this.#at < this.#length;
  }

  get kind(): number {
    return this.#int(4);
  }

  get pid(): number {
    return this.#int(8);
  }

  get tid(): number {
    return this.#int(12);
  }

  /** The number of the system call, or of the signal. */
  get number(): number {
    return this.#int(16);
  }

  get isHeld(): boolean {
    return (this.#int(20) & FLAG_HELD) !== 0;
  }

  get endsWithBlankLine(): boolean {
    return (this.#int(20) & FLAG_BLANK_LINE) !== 0;
  }

  /** The result: numbers that do not fit into 53 bits are rounded. */
  get result(): number {
    return this.#view.getInt32(this.#at + 28, true) * TWO_32 + this.#view.getUint32(this.#at + 24, true);
  }

  /** An argument that is an int. */
  int(index: number): number {
    return this.#int(ARGUMENTS + 8 * index);
  }

  /** An argument that is a size. */
  size(index: number): number {
    return this.#unsigned(ARGUMENTS + 8 * index);
  }

  /** When the call began and returned: CLOCK_MONOTONIC in milliseconds. */
  get startMs(): number {
    return this.#unsigned(START) / NS_PER_MS;
  }

  get endMs(): number {
    return this.#unsigned(END) / NS_PER_MS;
  }

  get extra(): number {
    return this.#unsigned(EXTRA);
  }

  /** The registers of a held thread. */
  registers(): Registers {
    const at = (index: number): bigint => this.#view.getBigUint64(this.#at + REGISTERS + 8 * index, true);
    return { pc: at(0), sp: at(1), fp: at(2), link: at(3) };
  }

  /** The memory that belongs to the call. It is valid until the next records are taken. */
  parts(): Part[] {
    const parts: Part[] = [];
    const end = Math.min(this.#at + this.#view.getUint32(this.#at, true), this.#length);
    for (let at = this.#at + PARTS; at + PART_HEADER <= end;) {
      const length = this.#view.getUint32(at + 4, true);
      const start = at + PART_HEADER;
      if (start + length > end) break;
      parts.push({ index: this.#view.getUint32(at, true), bytes: this.#bytes.subarray(start, start + length) });
      at = start + ((length + 7) & ~7);
    }
    return parts;
  }

  #int(offset: number): number {
    return this.#view.getInt32(this.#at + offset, true);
  }

  #unsigned(offset: number): number {
    return this.#view.getUint32(this.#at + offset + 4, true) * TWO_32 + this.#view.getUint32(this.#at + offset, true);
  }
}
