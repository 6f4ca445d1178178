// Names of signals, signal(7), with those of the real-time signals: SIGRTMIN+1, SIGRTMAX.

import { constants as os } from "node:os";
import { invalidType, invalidValue } from "./errors.ts";
import type { Syscalls } from "./ffi.ts";

/** The name of a signal, such as `"SIGHUP"` or `"SIGRTMIN+1"`; see signal(7). */
export type SignalName = `SIG${string}`;

const EXPECTED = 'the name of a signal, such as "SIGHUP" or "SIGRTMIN+1"';

/**
 * Returns the number of a signal.
 *
 * @param expected completes "signal must be", in the message
 * @throws {TypeError} if `name` is not the name of a signal
 * @throws {RangeError} if it is a real-time signal that does not exist
 */
export function signalNumber(sys: Syscalls, name: string, expected: string = EXPECTED): number {
  if (typeof name !== "string") throw invalidType("signal", expected, name);
  const numbers = os.signals as Record<string, number>;
  if (Object.hasOwn(numbers, name)) return numbers[name] as number;
  const [whole, base, , offset = "0"] = /^(SIGRTMIN|SIGRTMAX)(([+-]\d{1,2})?)$/.exec(name) ?? [];
  if (whole === undefined) throw invalidType("signal", expected, name);
  const [first, last] = [sys.signal_rtmin(), sys.signal_rtmax()];
  const number = (base === "SIGRTMIN" ? first : last) + Number(offset);
  if (number < first || number > last) {
    throw invalidValue(`${name} does not exist: the real-time signals are SIGRTMIN to SIGRTMIN+${last - first}`);
  }
  return number;
}

/** Returns the name of a signal: `"SIGHUP"`, `"SIGRTMIN+1"`; `"SIG32"` for one that libc uses itself. */
export function signalName(sys: Syscalls, number: number): SignalName {
  const name = Object.entries(os.signals).find(([, each]) => each === number)?.[0];
  if (name !== undefined) return name as SignalName;
  const first = sys.signal_rtmin();
  if (number < first || number > sys.signal_rtmax()) return `SIG${number}`;
  return number === first ? "SIGRTMIN" : `SIGRTMIN+${number - first}`;
}
