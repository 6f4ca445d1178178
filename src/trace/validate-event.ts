// The shape of each type of event. Trace files may contain anything, so every event is checked before it is used.

import { type Address, formatAddress } from "../kernel/address.ts";
import { escapeControls } from "../kernel/escape-controls.ts";
import type { TraceEvent } from "./events.ts";

/** The maximum length of a value in a message. */
const MAX_VALUE_LENGTH = 60;

interface Check {
  /** Completes "must be". */
  expects: string;
  holds(value: unknown): boolean;
}

const INTEGER: Check = { expects: "an integer", holds: Number.isSafeInteger };
const COUNT: Check = { expects: "an integer above 0", holds: (value) => INTEGER.holds(value) && (value as number) > 0 };
const NUMBER: Check = { expects: "a number", holds: Number.isFinite };
const STRING: Check = { expects: "a string", holds: (value) => typeof value === "string" };
const BOOLEAN: Check = { expects: "true or false", holds: (value) => typeof value === "boolean" };
const ADDRESS: Check = { expects: "an address", holds: isAddress };
const PAIRS: Check = {
  expects: "a list of pairs of numbers",
  holds: (value) =>
    Array.isArray(value) &&
    value.every((pair) => Array.isArray(pair) && pair.length === 2 && pair.every((part) => Number.isFinite(part))),
};

function orNull({ expects, holds }: Check): Check {
  return { expects: `${expects} or null`, holds: (value) => value === null || holds(value) };
}

function optional({ expects, holds }: Check): Check {
  return { expects, holds: (value) => value === undefined || holds(value) };
}

function oneOf(...values: string[]): Check {
  return {
    expects: values.map((value) => JSON.stringify(value)).join(" or "),
    holds: (value) => values.includes(value as string),
  };
}

/** The checks of an event's fields. */
type Shape = Readonly<Record<string, Check>>;

const MOMENT: Shape = {
  seq: INTEGER,
  us: NUMBER,
  iteration: INTEGER,
  at: optional(STRING),
  pid: optional(COUNT),
  tid: optional(COUNT),
  tookUs: optional(NUMBER),
};

const TRANSFER: Shape = {
  fd: INTEGER,
  wanted: INTEGER,
  result: INTEGER,
  call: optional(STRING),
  line: optional(STRING),
  bytes: optional(STRING),
};

const SHAPES: Readonly<Record<TraceEvent["type"], Shape>> = {
  begin: { version: INTEGER, pid: INTEGER, date: STRING, program: optional(STRING) },
  listen: { fd: INTEGER, address: ADDRESS, backlog: optional(INTEGER), result: optional(INTEGER) },
  create: { result: INTEGER, call: optional(STRING) },
  wait: {
    call: optional(STRING),
    epfd: INTEGER,
    timeoutMs: NUMBER,
    maxEvents: INTEGER,
    result: INTEGER,
    events: PAIRS,
    watched: optional(PAIRS),
    blockedUs: NUMBER,
    awayUs: optional(NUMBER),
  },
  ctl: {
    epfd: INTEGER,
    op: oneOf("ADD", "MOD", "DEL"),
    fd: INTEGER,
    oldMask: orNull(INTEGER),
    mask: orNull(INTEGER),
    result: INTEGER,
  },
  accept: { call: optional(STRING), fd: INTEGER, result: INTEGER, peer: orNull(ADDRESS) },
  connect: { fd: INTEGER, address: ADDRESS, result: INTEGER },
  recv: TRANSFER,
  send: TRANSFER,
  shutdown: { fd: INTEGER, how: oneOf("RD", "WR", "RDWR"), result: INTEGER },
  reset: { fd: INTEGER, result: INTEGER },
  close: { fd: INTEGER, result: INTEGER },
  state: { fd: INTEGER, from: orNull(STRING), to: orNull(STRING) },
  frame: {
    fd: INTEGER,
    direction: oneOf("in", "out"),
    opcode: INTEGER,
    fin: BOOLEAN,
    length: INTEGER,
    compressed: BOOLEAN,
  },
  warning: {
    code: STRING,
    fd: orNull(INTEGER),
    message: STRING,
    epfd: optional(INTEGER),
    count: optional(COUNT),
    cause: optional(INTEGER),
    updates: optional(INTEGER),
    fds: optional(COUNT),
  },
  iteration: { workedUs: NUMBER, dispatches: PAIRS },
  open: {
    call: STRING,
    result: INTEGER,
    kind: optional(oneOf("epoll", "listener", "connection", "datagram", "other")),
    file: optional(STRING),
    from: optional(INTEGER),
    address: optional(ADDRESS),
    interest: optional(PAIRS),
  },
  bind: { fd: INTEGER, address: ADDRESS, result: INTEGER },
  option: { call: STRING, fd: INTEGER, name: STRING, value: optional(NUMBER), result: INTEGER },
  call: { call: STRING, fd: optional(INTEGER), result: INTEGER, note: optional(STRING) },
  process: {
    what: oneOf("start", "attach", "fork", "thread", "exec", "exit", "thread-exit", "detach"),
    child: optional(COUNT),
    command: optional(STRING),
    exitCode: optional(INTEGER),
    signal: optional(STRING),
  },
  dropped: { events: COUNT },
};

/**
 * Checks the fields of an event. Types and fields that are not known are accepted: a later release may have written them.
 *
 * @returns what is wrong, such as `"fd" must be an integer; received "7"`; undefined if the value is an event
 */
export function findProblem(event: unknown): string | undefined {
  if (typeof event !== "object" || event === null || Array.isArray(event)) return "it is not an object";
  const record = event as Readonly<Record<string, unknown>>;
  const { type } = record;
  if (typeof type !== "string") return problemOf("type", STRING, type);
  const shape = Object.hasOwn(SHAPES, type) ? SHAPES[type as TraceEvent["type"]] : {};
  return findWrongField(record, MOMENT) ?? findWrongField(record, shape);
}

function findWrongField(record: Readonly<Record<string, unknown>>, shape: Shape): string | undefined {
  for (const name in shape) {
    const check = shape[name] as Check;
    if (!check.holds(record[name])) return problemOf(name, check, record[name]);
  }
  return undefined;
}

function problemOf(name: string, { expects }: Check, value: unknown): string {
  const text = escapeControls(JSON.stringify(value) ?? "nothing");
  const received = text.length > MAX_VALUE_LENGTH ? `${text.slice(0, MAX_VALUE_LENGTH)}...` : text;
  return `"${name}" must be ${expects}; received ${received}`;
}

/** The fields of an address depend on its family, so an address is what can be formatted. */
function isAddress(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  try {
    return typeof formatAddress(value as Address) === "string";
  } catch {
    return false;
  }
}
