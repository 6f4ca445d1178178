// Names of socket options, as in the headers.

import * as constants from "../../kernel/constants.ts";

const { IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, IPPROTO_UDP, SOL_SOCKET } = constants;

/** The prefixes of the names of a level's options. */
const PREFIXES: Readonly<Record<number, string>> = {
  [SOL_SOCKET]: "SO_",
  [IPPROTO_TCP]: "TCP_",
  [IPPROTO_IP]: "IP_",
  [IPPROTO_IPV6]: "IPV6_",
  [IPPROTO_UDP]: "UDP_",
};

let names: Map<string, string> | undefined;

/** Returns the name of a socket option, such as `TCP_NODELAY`, or `level 6 option 99`. */
export function optionName(level: number, option: number): string {
  names ??= createNames();
  return names.get(`${level} ${option}`) ?? `level ${level} option ${option}`;
}

function createNames(): Map<string, string> {
  const found = new Map<string, string>();
  for (const [level, prefix] of Object.entries(PREFIXES)) {
    for (const [name, number] of Object.entries(constants)) {
      const isValue = /^(?:SO_EE_|SO_MEMINFO_|IP_PMTUDISC_|IPV6_PMTUDISC_|TCP_(?:ESTABLISHED|LISTEN))/.test(name);
      if (!name.startsWith(prefix) || typeof number !== "number" || isValue) continue;
      const key = `${level} ${number}`;
      if (!found.has(key)) found.set(key, name);
    }
  }
  return found;
}
