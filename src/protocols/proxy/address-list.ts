// A list of addresses and networks, to which the peers of connections are compared.

import { BlockList, isIP } from "node:net";
import type { Address } from "../../kernel/address.ts";
import { invalidValue } from "../../kernel/errors.ts";

/** The entry that stands for all peers on unix sockets. */
const UNIX = "unix";

export class AddressList {
  // One for each family: "::/0" is every IPv6 address, and no IPv4 address.
  readonly #ipv4 = new BlockList();
  readonly #ipv6 = new BlockList();
  readonly #hasUnix: boolean;

  /**
   * @param entries addresses (`"10.0.0.1"`), networks (`"10.0.0.0/8"`, `"fd00::/8"`), and `"unix"` for all unix sockets
   * @param name the name of the option, for errors
   * @throws {TypeError} if an entry is none of these
   */
  constructor(entries: readonly string[], name: string) {
    this.#hasUnix = entries.includes(UNIX);
    for (const entry of entries) {
      if (entry === UNIX) continue;
      const [, address = "", prefix] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(entry) ?? [];
      const version = isIP(address);
      const maxPrefix = version === 4 ? 32 : 128;
      if (version === 0 || address.includes("%") || Number(prefix ?? 0) > maxPrefix) {
        throw invalidValue(
          `${name} has the entry ${JSON.stringify(entry)}: it takes addresses ("10.0.0.1"), networks ("10.0.0.0/8") and "unix"`,
        );
      }
      if (version === 4) this.#ipv4.addSubnet(address, Number(prefix ?? maxPrefix), "ipv4");
      else this.#ipv6.addSubnet(address, Number(prefix ?? maxPrefix), "ipv6");
    }
  }

  has(peer: Address): boolean {
    if ("path" in peer) return this.#hasUnix;
    if (!("address" in peer)) return false;
    // A socket that listens on "::" has IPv4 peers, too.
    const ipv4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(peer.address)?.[1];
    if (ipv4 !== undefined) return this.#ipv4.check(ipv4, "ipv4");
    return peer.family === "IPv4" ? this.#ipv4.check(peer.address, "ipv4") : this.#ipv6.check(peer.address, "ipv6");
  }
}
