// Names and indices of network interfaces, if_nametoindex(3).

import { interfaceIndex } from "../kernel/address.ts";
import { check, checkInteger } from "../kernel/errors.ts";
import { syscalls } from "../kernel/ffi.ts";

const IFNAMSIZ = 16;

/**
 * Returns the index of a network interface, which addresses and packet information contain.
 *
 * @param name the name of the interface: `"lo"`, `"eth0"`
 * @throws {TypeError} if the name is not a string
 * @throws {RangeError} if no interface has the name
 * @see if_nametoindex(3)
 */
export function ifNameToIndex(name: string): number {
  return interfaceIndex(syscalls(), name);
}

/**
 * Returns the name of a network interface.
 *
 * @param index the index of the interface
 * @throws {ErrnoError} ENXIO if no interface has the index
 * @throws {TypeError | RangeError} if the index is not an integer from 0 to 2147483647
 * @see if_indextoname(3)
 */
export function ifIndexToName(index: number): string {
  const name = new Uint8Array(new ArrayBuffer(IFNAMSIZ));
  check(syscalls().if_indextoname(checkInteger("index", index, 0, 0x7fffffff), name), "if_indextoname");
  return new TextDecoder().decode(name.subarray(0, name.indexOf(0)));
}
