// The filter of the table of file descriptors: words, and terms such as `fd:33`, `-type:listener`, `received>0` and `is:stuck`.

import { type FdRow, isStuck, needsKernel } from "./fd-row.ts";

export interface FdFilter {
  matches(row: FdRow): boolean;
  /** The filter needs the kernel's figures of every fd. */
  needsKernel: boolean;
}

type TextOf = (row: FdRow) => string;
type NumberOf = (row: FdRow) => number | undefined;
type Predicate = (row: FdRow) => boolean;

/** Text that a term `key:value` searches. */
const TEXTS: ReadonlyMap<string, TextOf> = new Map<string, TextOf>(
  Object.entries({
    peer: ({ address }) => address,
    type: ({ kind }) => kind,
    state: ({ state }) => state ?? "none",
    errno: ({ lastError }) => lastError ?? "",
    text: ({ line }) => line ?? "",
    warning: ({ warning }) => (warning === undefined ? "" : `${warning.code} ${warning.message}`),
  } satisfies Record<string, TextOf>),
);

/** NumberOf that a term `key:value`, `key>value` or `key<value` compares. */
const NUMBERS: ReadonlyMap<string, NumberOf> = new Map<string, NumberOf>(
  Object.entries({
    fd: ({ fd }) => fd,
    pid: ({ pid }) => pid,
    epoll: ({ epfd }) => epfd,
    recvq: ({ receiveQueue }) => receiveQueue,
    sendq: ({ sendQueue }) => sendQueue,
    received: ({ bytesIn }) => bytesIn,
    sent: ({ bytesOut }) => bytesOut,
    age: ({ ageUs }) => ageUs,
    instate: ({ stateUs }) => stateUs,
    idle: ({ idleUs }) => idleUs,
  } satisfies Record<string, NumberOf>),
);

/** The values of `is:`. */
const PROPERTIES: ReadonlyMap<string, Predicate> = new Map<string, Predicate>(
  Object.entries({
    stuck: isStuck,
    registered: ({ mask }) => mask !== undefined,
    unregistered: ({ mask }) => mask === undefined,
    failed: ({ lastError }) => lastError !== undefined,
    warned: ({ warning }) => warning !== undefined,
  } satisfies Record<string, Predicate>),
);

/** Durations are in microseconds. */
const UNITS: Readonly<Record<string, number>> = { "": 1, k: 1e3, M: 1e6, us: 1, ms: 1e3, s: 1e6, min: 60e6 };

/**
 * Parses a filter. All terms must match.
 *
 * @throws {Error} if a key, number or property is unknown; the message lists the known ones
 */
export function parseFdFilter(text: string): FdFilter {
  const terms = [...text.matchAll(/(-?)((?:[a-z]+[:<>])?(?:"[^"]*"|\S+))/g)].map(([, minus, term = ""]) => ({
    isNegated: minus === "-",
    term: term.replaceAll('"', ""),
  }));
  const predicates = terms.map(({ isNegated, term }): Predicate => {
    const predicate = parseTerm(term);
    return isNegated ? (row) => !predicate(row) : predicate;
  });
  return {
    matches: (row) => predicates.every((predicate) => predicate(row)),
    needsKernel: terms.some(({ term }) => term === "is:stuck" || needsKernel(/^[a-z]+/.exec(term)?.[0] ?? "")),
  };
}

function parseTerm(term: string): Predicate {
  const [, key = "", operator = "", value = ""] = /^([a-z]+)([:<>])(.*)$/s.exec(term) ?? [];
  if (key === "") return matchesWord(term);
  if (key === "is") {
    const property = PROPERTIES.get(value);
    if (property !== undefined) return property;
    throw new Error(`"is:${value}" is unknown: use is:${[...PROPERTIES.keys()].join(", is:")}`);
  }
  const text = TEXTS.get(key);
  if (text !== undefined && operator === ":") {
    const wanted = value.toLowerCase();
    return (row) => text(row).toLowerCase().includes(wanted);
  }
  const number = NUMBERS.get(key);
  if (number !== undefined) return comparesNumber(number, operator, value, key);
  const keys = [...[...TEXTS.keys()].map((name) => `${name}:`), ...NUMBERS.keys(), "is:"];
  throw new Error(`"${key}${operator}" is unknown: use ${keys.join(", ")}`);
}

function comparesNumber(
  number: (row: FdRow) => number | undefined,
  operator: string,
  text: string,
  key: string,
): Predicate {
  const [, digits, unit = ""] = /^(\d+(?:\.\d+)?)(k|M|us|ms|s|min)?$/.exec(text) ?? [];
  if (digits === undefined) throw new Error(`"${text}" is not a number: write ${key}>10, ${key}>5k or ${key}>2s`);
  const wanted = Number(digits) * (UNITS[unit] ?? 1);
  return (row) => {
    const value = number(row);
    if (value === undefined) return false;
    return operator === ">" ? value > wanted : operator === "<" ? value < wanted : value === wanted;
  };
}

/** A number is an fd or a port; any other word may be part of every text. */
function matchesWord(word: string): Predicate {
  if (/^\d+$/.test(word)) return ({ fd, address }) => fd === Number(word) || address.endsWith(`:${word}`);
  const wanted = word.toLowerCase();
  return (row) => [...TEXTS.values()].some((text) => text(row).toLowerCase().includes(wanted));
}
