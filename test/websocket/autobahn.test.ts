// The cases of the Autobahn test suite (crossbario/autobahn-testsuite), by its numbers, against an echo server.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import { EpollServer } from "../../src/index.ts";
import { closePayload, frame, type FrameOptions, RawWebSocket } from "../support/raw-websocket.ts";
import { isFullRun } from "../support/scale.ts";

setDefaultTimeout(60_000);

/** The suite sends 1000 messages in each of its cases of compression and of round trips, which would take half an hour here. */
const MESSAGES = isFullRun ? 50 : 5;

const CONTINUATION = 0;
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

let server: EpollServer;
let port = 0;

beforeAll(async () => {
  server = new EpollServer({
    hostname: "127.0.0.1",
    fetch: (request, { upgrade }) => void upgrade.call(server, request),
    websocket: { perMessageDeflate: true, message: (ws, message) => void ws.send(message, true) },
  });
  await server.start();
  port = server.port as number;
});
afterAll(() => server.stop());

interface Step extends FrameOptions {
  opcode: number;
  payload?: string | Uint8Array;
  /** Sends the frame in pieces of this size. */
  chop?: number;
}

interface Case {
  steps: Step[];
  /** The frames that the server sends before the Close frame. */
  expected?: [opcode: number, payload: string | Uint8Array][];
  /** The codes with which the server may fail the connection. Without it, the client closes with 1000, and the server echoes that. */
  fails?: number[];
  /** The client's Close frame is among the steps; the server echoes this code. */
  echoes?: string;
}

async function sendStep(
  client: RawWebSocket,
  { opcode, payload = "", chop = Infinity, ...options }: Step,
): Promise<void> {
  const bytes = frame(opcode, payload, options);
  if (chop === Infinity) return client.send(bytes);
  for (let at = 0; at < bytes.length && client.fate === "open"; at += chop) {
    client.send(bytes.subarray(at, at + chop));
    if ((at / chop) % 64 === 63) await client.written();
  }
}

async function run({ steps, expected = [], fails, echoes }: Case): Promise<void> {
  using client = await RawWebSocket.open(port);
  for (const step of steps) await sendStep(client, step);
  if (fails === undefined && echoes === undefined) {
    await client.until(({ frames }) => frames.length >= expected.length);
    client.frame(CLOSE, closePayload(1000));
  }
  await client.until(({ closeFrame, fate }) => closeFrame !== undefined || fate !== "open");
  const received = client.frames.filter(({ opcode }) => opcode !== CLOSE);
  expect(received.map(({ opcode, payload }) => `${opcode} ${shown(payload)}`)).toEqual(
    expected.map(([opcode, payload]) => `${opcode} ${shown(Buffer.from(payload as string))}`),
  );
  if (fails === undefined) expect(client.closeFrame).toBe(echoes ?? "1000");
  else expect(fails.map(String)).toContain(client.closeFrame?.split(" ")[0] as string);
  await client.until(({ fate }) => fate !== "open");
}

/** A short payload as text, a long one as its hash. */
function shown(payload: Buffer): string {
  if (payload.length <= 1000) return payload.toString("latin1");
  return `${payload.length} bytes, ${new Bun.CryptoHasher("sha1").update(payload).digest("hex")}`;
}

function cases(title: string, all: Record<string, Case>): void {
  describe(title, () => {
    for (const [number, one] of Object.entries(all)) test(number, () => run(one));
  });
}

const bytes = (text: string): Buffer => Buffer.from(text, "latin1");
const echo = (opcode: number, payload: string | Uint8Array, options: Partial<Step> = {}): Case => ({
  steps: [{ opcode, payload, ...options }],
  expected: [[opcode, payload]],
});
const fail = (steps: Step[], ...fails: number[]): Case => ({ steps, fails: fails.length === 0 ? [1002] : fails });
const hello = "Hello, world!";

const sizes = [0, 125, 126, 127, 128, 65_535, 65_536];
cases("1 framing", {
  ...Object.fromEntries(sizes.map((size, i) => [`1.1.${i + 1}`, echo(TEXT, "*".repeat(size))])),
  "1.1.8": echo(TEXT, "*".repeat(65_536), { chop: 997 }),
  ...Object.fromEntries(sizes.map((size, i) => [`1.2.${i + 1}`, echo(BINARY, Buffer.alloc(size, 0xfe))])),
  "1.2.8": echo(BINARY, Buffer.alloc(65_536, 0xfe), { chop: 997 }),
});

const binary = bytes("\x00\xff\xfe\xfd\xfc\xfb\x00\xff");
const tenPings = (chop: number): Case => ({
  steps: Array.from({ length: 10 }, (_, i) => ({ opcode: PING, payload: `payload-${i}`, chop })),
  expected: Array.from({ length: 10 }, (_, i) => [PONG, `payload-${i}`]),
});
const pong = (payload: string | Uint8Array, chop?: number): Case => ({
  steps: [{ opcode: PING, payload, ...(chop === undefined ? {} : { chop }) }],
  expected: [[PONG, payload]],
});
cases("2 pings and pongs", {
  "2.1": pong(""),
  "2.2": pong(hello),
  "2.3": pong(binary),
  "2.4": pong(Buffer.alloc(125, 0xfe)),
  "2.5": fail([{ opcode: PING, payload: Buffer.alloc(126, 0xfe) }]),
  "2.6": pong(Buffer.alloc(125, 0xfe), 1),
  "2.7": { steps: [{ opcode: PONG }] },
  "2.8": { steps: [{ opcode: PONG, payload: "unsolicited pong payload" }] },
  "2.9": {
    steps: [
      { opcode: PONG, payload: "unsolicited pong payload" },
      { opcode: PING, payload: "ping payload" },
    ],
    expected: [[PONG, "ping payload"]],
  },
  "2.10": tenPings(Infinity),
  "2.11": tenPings(1),
});

const rsv = (bits: number, chop = Infinity): Case => ({
  steps: [
    { opcode: TEXT, payload: hello, chop },
    { opcode: TEXT, payload: hello, rsv: bits, chop },
    { opcode: PING, chop },
  ],
  expected: [[TEXT, hello]],
  fails: [1002],
});
cases("3 reserved bits", {
  "3.1": fail([{ opcode: TEXT, payload: hello, rsv: 1 }]),
  "3.2": rsv(2),
  "3.3": rsv(3),
  "3.4": rsv(4, 1),
  "3.5": fail([{ opcode: BINARY, payload: binary, rsv: 5 }]),
  "3.6": fail([{ opcode: BINARY, payload: hello, rsv: 6 }]),
  "3.7": fail([{ opcode: CLOSE, rsv: 7 }]),
});

const reserved = (opcode: number, payload = "", chop = Infinity): Case => ({
  steps: [
    { opcode: TEXT, payload: hello, chop },
    { opcode, payload, chop },
    { opcode: PING, chop },
  ],
  expected: [[TEXT, hello]],
  fails: [1002],
});
cases("4 opcodes", {
  "4.1.1": fail([{ opcode: 3 }]),
  "4.1.2": fail([{ opcode: 4, payload: "reserved opcode payload" }]),
  "4.1.3": reserved(5),
  "4.1.4": reserved(6, hello),
  "4.1.5": reserved(7, hello, 1),
  "4.2.1": fail([{ opcode: 11 }]),
  "4.2.2": fail([{ opcode: 12, payload: "reserved opcode payload" }]),
  "4.2.3": reserved(13),
  "4.2.4": reserved(14, hello),
  "4.2.5": reserved(15, hello, 1),
});

const fragments = (chop?: number, ping?: string): Case => {
  const options = chop === undefined ? {} : { chop };
  return {
    steps: [
      { opcode: TEXT, fin: false, payload: "fragment1", ...options },
      ...(ping === undefined ? [] : [{ opcode: PING, payload: ping, ...options }]),
      { opcode: CONTINUATION, payload: "fragment2", ...options },
    ],
    expected: [...(ping === undefined ? [] : [[PONG, ping] as [number, string]]), [TEXT, "fragment1fragment2"]],
  };
};
const nothingToContinue = (fin: boolean, chop = Infinity): Case =>
  fail([
    { opcode: CONTINUATION, fin, payload: "non-continuation payload", chop },
    { opcode: TEXT, payload: hello, chop },
  ]);
const afterMessage = (chop = Infinity): Case => ({
  steps: [
    { opcode: TEXT, fin: false, payload: "fragment1", chop },
    { opcode: CONTINUATION, payload: "fragment2", chop },
    { opcode: CONTINUATION, fin: false, payload: "fragment3", chop },
    { opcode: TEXT, payload: "fragment4", chop },
  ],
  expected: [[TEXT, "fragment1fragment2"]],
  fails: [1002],
});
const repeated = (fin: boolean): Case =>
  fail(
    [1, 2].flatMap(() => [
      { opcode: CONTINUATION, fin, payload: "fragment1" },
      { opcode: TEXT, fin: false, payload: "fragment2" },
      { opcode: CONTINUATION, payload: "fragment3" },
    ]),
  );
const withPings = (chop = Infinity): Case => ({
  steps: [
    { opcode: TEXT, fin: false, payload: "fragment1", chop },
    { opcode: CONTINUATION, fin: false, payload: "fragment2", chop },
    { opcode: PING, payload: "pongme 1!", chop },
    { opcode: CONTINUATION, fin: false, payload: "fragment3", chop },
    { opcode: CONTINUATION, fin: false, payload: "fragment4", chop },
    { opcode: PING, payload: "pongme 2!", chop },
    { opcode: CONTINUATION, payload: "fragment5", chop },
  ],
  expected: [
    [PONG, "pongme 1!"],
    [PONG, "pongme 2!"],
    [TEXT, "fragment1fragment2fragment3fragment4fragment5"],
  ],
});
cases("5 fragmentation", {
  "5.1": fail([
    { opcode: PING, fin: false, payload: "fragment1" },
    { opcode: CONTINUATION, payload: "fragment2" },
  ]),
  "5.2": fail([
    { opcode: PONG, fin: false, payload: "fragment1" },
    { opcode: CONTINUATION, payload: "fragment2" },
  ]),
  "5.3": fragments(),
  "5.4": fragments(100),
  "5.5": fragments(1),
  "5.6": fragments(undefined, "ping payload"),
  "5.7": fragments(100, "ping payload"),
  "5.8": fragments(1, "ping payload"),
  "5.9": nothingToContinue(true),
  "5.10": nothingToContinue(true, 100),
  "5.11": nothingToContinue(true, 1),
  "5.12": nothingToContinue(false),
  "5.13": nothingToContinue(false, 100),
  "5.14": nothingToContinue(false, 1),
  "5.15": afterMessage(),
  "5.16": repeated(false),
  "5.17": repeated(true),
  "5.18": fail([
    { opcode: TEXT, fin: false, payload: "fragment1" },
    { opcode: TEXT, payload: "fragment2" },
  ]),
  "5.19": withPings(),
  "5.20": withPings(1),
});

const octets = (payload: Buffer): Step[] =>
  Array.from(payload, (byte, i) => ({
    opcode: i === 0 ? TEXT : CONTINUATION,
    fin: i === payload.length - 1,
    payload: Buffer.from([byte]),
  }));
const text = Buffer.from("Hello-\u00b5@\u00df\u00f6\u00e4\u00fc\u00e0\u00e1-UTF-8!!");
const greek = bytes("\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5");
const surrogate = Buffer.concat([greek, bytes("\xed\xa0\x80edited")]);
const outOfRange = Buffer.concat([greek, bytes("\xf4\x90\x80\x80edited")]);
const empty = { opcode: CONTINUATION, payload: "" };
cases("6 UTF-8", {
  "6.1.1": echo(TEXT, ""),
  "6.1.2": {
    steps: [{ opcode: TEXT, fin: false, payload: "" }, { ...empty, fin: false }, empty],
    expected: [[TEXT, ""]],
  },
  "6.1.3": {
    steps: [
      { opcode: TEXT, fin: false, payload: "" },
      { opcode: CONTINUATION, fin: false, payload: "middle frame payload" },
      empty,
    ],
    expected: [[TEXT, "middle frame payload"]],
  },
  "6.2.1": echo(TEXT, text),
  "6.2.2": {
    steps: [
      { opcode: TEXT, fin: false, payload: text.subarray(0, 14) },
      { opcode: CONTINUATION, payload: text.subarray(14) },
    ],
    expected: [[TEXT, text]],
  },
  "6.2.3": { steps: octets(text), expected: [[TEXT, text]] },
  "6.2.4": { steps: octets(greek), expected: [[TEXT, greek]] },
  "6.3.1": fail([{ opcode: TEXT, payload: surrogate }], 1007),
  "6.3.2": fail(octets(surrogate), 1007),
  // The suite accepts (as non-strict) that the connection fails only when the message is complete.
  "6.4.1": fail(
    [
      { opcode: TEXT, fin: false, payload: greek },
      { opcode: CONTINUATION, fin: false, payload: outOfRange.subarray(11, 15) },
      { opcode: CONTINUATION, payload: outOfRange.subarray(15) },
    ],
    1007,
  ),
  "6.4.2": fail(
    [
      { opcode: TEXT, fin: false, payload: outOfRange.subarray(0, 12) },
      { opcode: CONTINUATION, fin: false, payload: outOfRange.subarray(12, 13) },
      { opcode: CONTINUATION, payload: outOfRange.subarray(13) },
    ],
    1007,
  ),
  "6.4.3": fail([{ opcode: TEXT, payload: outOfRange, chop: 11 }], 1007),
  "6.4.4": fail([{ opcode: TEXT, payload: outOfRange, chop: 12 }], 1007),
});

const range = (from: number, to: number, separator = ""): string =>
  Array.from({ length: to - from }, (_, i) => String.fromCharCode(from + i) + separator).join("");
const incomplete =
  "\xc0|\xe0\x80|\xf0\x80\x80|\xf8\x80\x80\x80|\xfc\x80\x80\x80\x80|\xdf|\xef\xbf|\xf7\xbf\xbf|\xfb\xbf\xbf\xbf|\xfd\xbf\xbf\xbf\xbf".split(
    "|",
  );
const nonCharacters = ["\xef\xbf\xbe", "\xef\xbf\xbf"];
for (const first of ["\xf0", "\xf1", "\xf2", "\xf3", "\xf4"]) {
  for (const second of ["\x8f", "\x9f", "\xaf", "\xbf"]) {
    if ((first === "\xf4" && second !== "\x8f") || (first === "\xf0" && second === "\x8f")) continue;
    nonCharacters.push(`${first}${second}\xbf\xbe`, `${first}${second}\xbf\xbf`);
  }
}
const greekText = greek.toString("latin1");
/** The sequences of 6.5 to 6.23: whether they are valid, and their bytes. */
const sequences: [valid: string[], invalid: string[]][] = [
  [["hello\x24world", "hello\xc2\xa2world", "hello\xe2\x82\xacworld", "hello\xf0\xa4\xad\xa2world", greekText], []],
  [
    [2, 5, 7, 9, 11].map((length) => greekText.slice(0, length)),
    [1, 3, 4, 6, 8, 10].map((length) => greekText.slice(0, length)),
  ],
  [["\x00", "\xc2\x80", "\xe0\xa0\x80", "\xf0\x90\x80\x80"], []],
  [[], ["\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80"]],
  [["\x7f", "\xdf\xbf", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf"], []],
  [[], ["\xf7\xbf\xbf\xbf", "\xfb\xbf\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf\xbf"]],
  [["\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbd", "\xf4\x8f\xbf\xbf"], ["\xf4\x90\x80\x80"]],
  [
    [],
    [
      "\x80",
      "\xbf",
      "\x80\xbf",
      "\x80\xbf\x80",
      "\x80\xbf\x80\xbf",
      "\x80\xbf\x80\xbf\x80",
      "\x80\xbf\x80\xbf\x80\xbf",
    ],
  ],
  [[], [range(0x80, 0xbf)]],
  [[], [range(0xc0, 0xdf, " "), range(0xe0, 0xef, " "), range(0xf0, 0xf7, " "), range(0xf8, 0xfb, " "), "\xfc \xfd "]],
  [[], incomplete],
  [[], [incomplete.join("")]],
  [[], ["\xfe", "\xff", "\xfe\xfe\xff\xff"]],
  [[], ["\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xf8\x80\x80\x80\xaf", "\xfc\x80\x80\x80\x80\xaf"]],
  [[], ["\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xf8\x87\xbf\xbf\xbf", "\xfc\x83\xbf\xbf\xbf\xbf"]],
  [[], ["\xc0\x80", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xf8\x80\x80\x80\x80", "\xfc\x80\x80\x80\x80\x80"]],
  [
    [],
    ["\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xaf\xbf", "\xed\xb0\x80", "\xed\xbe\x80", "\xed\xbf\xbf"],
  ],
  [
    [],
    ["\xa0\x80", "\xad\xbf", "\xae\x80", "\xaf\xbf"].flatMap((high) => [
      `\xed${high}\xed\xb0\x80`,
      `\xed${high}\xed\xbf\xbf`,
    ]),
  ],
  [[...nonCharacters, "\xef\xbf\xb9", "\xef\xbf\xba", "\xef\xbf\xbb", "\xef\xbf\xbc", "\xef\xbf\xbd"], []],
];
describe("6 UTF-8 sequences", () => {
  for (const [i, [valid, invalid]] of sequences.entries()) {
    test(`6.${i + 5}`, async () => {
      const all = [
        ...valid.map((sequence) => echo(TEXT, bytes(sequence))),
        ...invalid.map((sequence) => fail([{ opcode: TEXT, payload: bytes(sequence) }], 1007)),
      ];
      for (const one of all) await run(one);
    });
  }
});

const close = (payload: string | Uint8Array = closePayload(1000)): Step => ({ opcode: CLOSE, payload });
cases("7 close handling", {
  "7.1.1": echo(TEXT, "Hello World!"),
  "7.1.2": { steps: [close(), { opcode: CLOSE }], echoes: "1000" },
  "7.1.3": { steps: [close(), { opcode: PING }], echoes: "1000" },
  "7.1.4": { steps: [close(), { opcode: TEXT, payload: "Hello World!" }], echoes: "1000" },
  "7.1.5": {
    steps: [
      { opcode: TEXT, fin: false, payload: "fragment1" },
      close(),
      { opcode: CONTINUATION, payload: "fragment2" },
    ],
    echoes: "1000",
  },
  "7.1.6": {
    steps: [
      { opcode: TEXT, payload: "BAsd7&jh23".repeat(26_215).slice(0, 262_144) },
      { opcode: TEXT, payload: "Hello World!" },
      close(),
      { opcode: PING },
    ],
    expected: [
      [TEXT, "BAsd7&jh23".repeat(26_215).slice(0, 262_144)],
      [TEXT, "Hello World!"],
    ],
    echoes: "1000",
  },
  "7.3.1": { steps: [close("")], echoes: "none" },
  "7.3.2": fail([close("a")]),
  "7.3.3": { steps: [close()], echoes: "1000" },
  "7.3.4": { steps: [close(closePayload(1000, "Hello World!"))], echoes: "1000 Hello World!" },
  "7.3.5": { steps: [close(closePayload(1000, "*".repeat(123)))], echoes: `1000 ${"*".repeat(123)}` },
  "7.3.6": fail([close(closePayload(1000, "*".repeat(124)))]),
  "7.5.1": fail([close(closePayload(1000, surrogate))], 1002, 1007),
  ...Object.fromEntries(
    [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999].map((code, i) => [
      `7.7.${i + 1}`,
      { steps: [close(closePayload(code))], echoes: `${code}` },
    ]),
  ),
  ...Object.fromEntries(
    [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999].map((code, i) => [
      `7.9.${i + 1}`,
      fail([close(closePayload(code))]),
    ]),
  ),
  "7.13.1": fail([close(closePayload(5000))]),
  "7.13.2": fail([close(closePayload(65_535))]),
});

const MiB = 1_048_576;
const large = (opcode: number, size: number, chop = Infinity): Case => {
  const payload = Buffer.alloc(size, "BAsd7&jh23");
  return { steps: [{ opcode, payload, chop }], expected: [[opcode, payload]] };
};
const inFragments = (opcode: number, size: number, fragmentSize: number): Case => {
  const payload = Buffer.alloc(size, "*");
  const steps: Step[] = [];
  for (let at = 0; at < size; at += fragmentSize) {
    const isLast = at + fragmentSize >= size;
    const part = payload.subarray(at, at + fragmentSize);
    steps.push({ opcode: at === 0 ? opcode : CONTINUATION, fin: isLast, payload: part });
  }
  return { steps, expected: [[opcode, payload]] };
};
const numbered = (prefix: string, all: (() => Case)[]): Record<string, () => Case> =>
  Object.fromEntries(all.map((one, i) => [`${prefix}.${i + 1}`, one]));
const largeSizes = [MiB / 16, MiB / 4, MiB, 4 * MiB, 8 * MiB, 16 * MiB];
const fragmentSizes = [64, 256, 1024, 4096, 16_384, 65_536, 262_144, MiB, 4 * MiB];
const chops = [64, 128, 256, 512, 1024, 2048];
for (const [part, all] of [
  ["9.1", () => largeSizes.map((size) => () => large(TEXT, size))],
  ["9.2", () => largeSizes.map((size) => () => large(BINARY, size))],
  ["9.3", () => fragmentSizes.map((size) => () => inFragments(TEXT, 4 * MiB, size))],
  ["9.4", () => fragmentSizes.map((size) => () => inFragments(BINARY, 4 * MiB, size))],
  ["9.5", () => chops.map((chop) => () => large(TEXT, MiB, chop))],
  ["9.6", () => chops.map((chop) => () => large(BINARY, MiB, chop))],
] as const) {
  for (const [number, one] of Object.entries(numbered(part, all()))) test(`9 limits: ${number}`, () => run(one()));
}

for (const [part, opcode] of [
  ["9.7", TEXT],
  ["9.8", BINARY],
] as const) {
  test(`9 round trips: ${part}`, async () => {
    for (const size of [0, 16, 64, 256, 1024, 4096]) {
      using client = await RawWebSocket.open(port);
      const payload = Buffer.alloc(size, "BAsd7&jh23");
      for (let i = 1; i <= MESSAGES; i++) {
        client.frame(opcode, payload);
        await client.until(({ frames }) => frames.length === i);
      }
      expect(client.frames.every((one) => one.opcode === opcode && one.payload.equals(payload))).toBe(true);
    }
  });
}

cases("10 auto-fragmentation", { "10.1.1": inFragments(TEXT, 65_536, 1300) });

/** Data like that of the suite: JSON, noise, text, HTML, and a mixture. */
const data: Record<string, Buffer> = {
  json: Buffer.from(
    JSON.stringify(Array.from({ length: 3000 }, (_, id) => ({ id, name: `name ${id * 7919}`, value: id / 3 }))),
  ),
  noise: Buffer.from(Uint8Array.from({ length: 262_144 }, (_, i) => Math.imul(i ^ 0x5bd1e995, 0x9e3779b1) >>> 13)),
  text: Buffer.from("Habe nun, ach! Philosophie, Juristerei und Medizin, und leider auch Theologie ".repeat(3000)),
  html: Buffer.from(
    Array.from({ length: 3000 }, (_, i) => `<tr class="c${i % 7}"><td>${i}</td><td>\u00e9</td></tr>`).join("\n"),
  ),
};
data["mixture"] = Buffer.concat(Object.values(data).map((one) => one.subarray(0, 60_000)));

const messageSizes: [size: number, fragmentSize: number][] = [
  ...[16, 64, 256, 1024, 4096, 8192, 16_384, 32_768, 65_536, 131_072].map((size): [number, number] => [size, Infinity]),
  ...[8192, 16_384, 32_768, 65_536, 131_072].map((size): [number, number] => [size, 256]),
  [131_072, 1024],
  [131_072, 4096],
  [131_072, 32_768],
];

/** Sends compressed messages, one after another, and compares the echoes, which must be compressed as well. */
async function runCompressed(offer: string, source: Buffer, size: number, fragmentSize: number): Promise<string> {
  using client = await RawWebSocket.open(port, { "Sec-WebSocket-Extensions": offer });
  const [, accepted = ""] = /^Sec-WebSocket-Extensions: (.*)$/m.exec(client.head) ?? [];
  for (let i = 0; i < MESSAGES; i++) {
    const at = (i * size) % (source.length - size + 1);
    const message = source.subarray(at, at + size);
    const compressed = deflateRawSync(message, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
    for (let from = 0; from < compressed.length; from += fragmentSize) {
      const isLast = from + fragmentSize >= compressed.length;
      const part = compressed.subarray(from, from + fragmentSize);
      client.frame(from === 0 ? BINARY : CONTINUATION, part, { fin: isLast, rsv: from === 0 ? 4 : 0 });
    }
    await client.until(({ frames }) => frames.length > i);
    const { opcode, rsv, payload } = client.frames[i] as RawWebSocket["frames"][0];
    expect({ opcode, rsv }).toEqual({ opcode: BINARY, rsv: 4 });
    const trailer = Buffer.from([0, 0, 0xff, 0xff]);
    const inflated = inflateRawSync(Buffer.concat([payload, trailer]), { finishFlush: constants.Z_SYNC_FLUSH });
    expect(inflated.equals(message)).toBe(true);
  }
  client.frame(CLOSE, closePayload(1000));
  await client.until(({ closeFrame }) => closeFrame === "1000");
  return accepted;
}

describe("12 compression", () => {
  for (const [i, [name, source]] of Object.entries(data).entries()) {
    test(`12.${i + 1} ${name}`, async () => {
      for (const [size, fragmentSize] of messageSizes) {
        await runCompressed("permessage-deflate; client_max_window_bits", source, size, fragmentSize);
      }
    });
  }
});

const offers: [offer: string, serverBits: number | undefined][] = [
  ["permessage-deflate; client_no_context_takeover; client_max_window_bits", undefined],
  ["permessage-deflate; server_no_context_takeover; client_max_window_bits", undefined],
  ["permessage-deflate; server_max_window_bits=9; client_max_window_bits", 9],
  ["permessage-deflate; server_max_window_bits=15; client_max_window_bits", 15],
  ["permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits", 9],
  ["permessage-deflate; server_no_context_takeover; server_max_window_bits=15; client_max_window_bits", 15],
  [
    "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits, " +
      "permessage-deflate; server_no_context_takeover; client_max_window_bits, permessage-deflate; client_max_window_bits",
    9,
  ],
];
describe("13 compression parameters", () => {
  for (const [i, [offer, serverBits]] of offers.entries()) {
    test(`13.${i + 1}`, async () => {
      for (const [size, fragmentSize] of messageSizes) {
        const accepted = await runCompressed(offer, data["json"] as Buffer, Math.min(size, 131_072), fragmentSize);
        expect(accepted).toContain("server_no_context_takeover");
        expect(/server_max_window_bits=(\d+)/.exec(accepted)?.[1]).toBe(serverBits?.toString());
      }
    });
  }
});
