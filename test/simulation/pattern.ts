// The content of simulated messages: a pure function of their number, so that any byte that is lost, doubled or moved is noticed.

const PERIOD = 251;
const LONGEST = 1 << 20;
const bytes = new Uint8Array(LONGEST + PERIOD);
for (let i = 0; i < bytes.length; i++) bytes[i] = 32 + ((((i % PERIOD) * 97) % PERIOD) % 90); // printable

/** Returns `length` bytes of the content of message `id`, from `start` on. */
export function pattern(id: number, start: number, length: number): Uint8Array<ArrayBuffer> {
  const from = (((id * 7 + start) % PERIOD) + PERIOD) % PERIOD;
  return bytes.subarray(from, from + length);
}
