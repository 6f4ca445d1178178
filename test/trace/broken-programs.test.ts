// examples/broken: each broken program gets the warning that it is named for, once, with its fd and line; the correct ones get none.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { Socket, SHUT_WR, type TraceEvent, type WarningCode } from "../../src/index.ts";
import { cli, endPrograms, type Program, root, start } from "../support/programs.ts";
import { eventually } from "../support/eventually.ts";

setDefaultTimeout(60_000);

const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.close();
  await endPrograms();
});

const folder = join(root, "examples", "broken");
const GET = "GET /other HTTP/1.1\r\nHost: a\r\n\r\n";

interface TracedProgram {
  program: Program;
  connect(text?: string): Socket;
  events(): TraceEvent[];
  /** Waits until the client has received something. */
  received(client: Socket): Promise<void>;
}

async function startTraced(file: string, maxFds?: number): Promise<TracedProgram> {
  const command = ["bun", cli, file, "--trace=json", "--", "0"];
  const limit = maxFds === undefined ? "" : `ulimit -n ${maxFds}; `;
  const program = start(["sh", "-c", `${limit}exec "$0" "$@"`, process.execPath, ...command.slice(1)]);
  const [, port] = await program.output(/^(?:listening on|.*port:) (\d+)/m);
  return {
    program,
    connect(text = "") {
      const socket = new Socket();
      sockets.push(socket);
      socket.connect({ address: "127.0.0.1", port: Number(port) });
      if (text !== "") socket.send(text);
      return socket;
    },
    events: () =>
      program.stdout
        .split("\n")
        .slice(0, -1)
        .filter((line) => line.startsWith("{"))
        .map((line) => JSON.parse(line) as TraceEvent),
    async received(client) {
      await eventually(
        () => client.recv(1000),
        (bytes) => bytes !== null,
      );
    },
  };
}

/** Waits until the client has received what it has sent. */
async function echoed({ received }: TracedProgram, client: Socket): Promise<void> {
  client.send("hello");
  await received(client);
}

interface Case {
  /** Default: the name of the file. */
  code?: WarningCode;
  /** Default: the accepted connection. */
  isAboutListener?: boolean;
  /** The mistake is repeated in a busy loop, so that its count grows. */
  repeats?: boolean;
  maxFds?: number;
  clients(traced: TracedProgram): void | Promise<void>;
}

const cases: Record<string, Case> = {
  "busy-loop": { repeats: true, clients: ({ connect }) => void connect("hello") },
  undrained: { clients: ({ connect }) => void connect("more than sixteen bytes") },
  "eof-ignored": {
    repeats: true,
    clients: async (traced) => {
      const client = traced.connect();
      await echoed(traced, client);
      client.shutdown(SHUT_WR);
    },
  },
  "accept-failed": {
    repeats: true,
    isAboutListener: true,
    maxFds: 40,
    clients: ({ connect }) => {
      for (let i = 0; i < 40; i++) connect();
    },
  },
  "listener-unwatched": {
    isAboutListener: true,
    clients: async (traced) => {
      const [first, second] = [traced.connect(), traced.connect()];
      await echoed(traced, first);
      await echoed(traced, second);
      traced.connect("is anybody there?");
      first.close();
    },
  },
  "backlog-full": {
    isAboutListener: true,
    clients: async (traced) => {
      await echoed(traced, traced.connect());
      for (let i = 0; i < 12; i++) traced.connect();
    },
  },
  "hangup-ignored": {
    repeats: true,
    clients: async (traced) => {
      const client = traced.connect("hello");
      await traced.received(client);
      client.close();
    },
  },
  "never-registered": { clients: ({ connect }) => void connect("hello") },
  "closed-while-registered": {
    clients: async (traced) => {
      const client = traced.connect();
      await echoed(traced, client);
      client.shutdown(SHUT_WR);
    },
  },
  "closed-before-unregister": {
    code: "closed-while-registered",
    clients: async (traced) => {
      const client = traced.connect();
      await echoed(traced, client);
      client.shutdown(SHUT_WR);
    },
  },
  "idle-epollout": { repeats: true, clients: ({ connect }) => void connect() },
  "slow-handler": {
    // On a busy machine, a thread that has blocked once may have waited for another one.
    clients: async (traced) => {
      const client = traced.connect();
      for (let i = 0; i < 4; i++) await echoed(traced, client);
    },
  },
  "fd-leak": {
    clients: async (traced) => {
      const client = traced.connect();
      await echoed(traced, client);
      client.shutdown(SHUT_WR);
    },
  },
  "no-reply": { clients: ({ connect }) => void connect(GET) },
};

test("every program has a case, and says in its first line what is wrong or that it is correct", () => {
  const names = readdirSync(folder).filter((name) => name.endsWith(".ts"));
  expect(names.filter((name) => !name.startsWith("correct-")).sort()).toEqual(
    Object.keys(cases)
      .map((name) => `${name}.ts`)
      .sort(),
  );
  for (const name of names) {
    const [first] = readFileSync(join(folder, name), "utf8").split("\n");
    expect(first).toMatch(name.startsWith("correct-") ? /^\/\/ (?:The|A) correct / : /^\/\/ Bug: /);
  }
});

for (const [name, { code = name as WarningCode, isAboutListener, repeats, maxFds, clients }] of Object.entries(cases)) {
  test(`${name}.ts: warns with ${code}, once, with the fd and the line`, async () => {
    const file = join(folder, `${name}.ts`);
    const traced = await startTraced(file, maxFds);
    await clients(traced);
    await traced.program.output(new RegExp(`"type":"warning","code":"${code}".*${repeats ? '"updates"' : ""}.*\n`));
    traced.program.kill("SIGKILL");
    await traced.program.exited;
    const events = traced.events();
    const warnings = events.filter((event) => event.type === "warning");
    const [first, ...rest] = warnings;
    const listener = events.find((event) => event.type === "listen")?.fd;
    const accepted = events.flatMap((event) => (event.type === "accept" && event.result >= 0 ? [event.result] : []));
    const lines = readFileSync(file, "utf8").split("\n");
    const reported = lines.findIndex((line) => line.endsWith("// reported")) + 1;
    expect(reported).toBeGreaterThan(0);
    expect(first).toMatchObject({ code, at: `${file}:${reported}`, cause: expect.any(Number) });
    expect(isAboutListener ? [listener] : accepted).toContain(first?.fd as number);
    expect(rest.filter(({ updates }) => updates === undefined)).toEqual([]);
    for (const [i, { updates, count = 0, code: other }] of rest.entries()) {
      expect([updates, other]).toEqual([first?.seq, code]);
      expect(count).toBeGreaterThanOrEqual(10 * (warnings[i]?.count ?? Infinity));
    }
  });
}

/** Long enough for every warning that depends on time, except no-reply. */
const MIN_TRACED_US = 6_000_000;

const correct = [...readdirSync(folder).filter((name) => name.startsWith("correct-")), "../2-echo.ts"].map((name) =>
  join(folder, name),
);

for (const file of correct) {
  test(`${basename(file)}: gets no warning, with clients that come and go, send in parts, and stay`, async () => {
    const traced = await startTraced(file);
    const stays = traced.connect();
    await echoed(traced, stays);
    const half: Socket = traced.connect();
    await echoed(traced, half);
    half.shutdown(SHUT_WR);
    await eventually(
      () => half.recv(1000)?.length,
      (length) => length === 0,
    );
    for (let us = 0; us < MIN_TRACED_US; us = traced.events().at(-1)?.us ?? 0) {
      const client = traced.connect("x".repeat(100));
      await traced.received(client);
      await echoed(traced, client);
      client.close();
      await Bun.sleep(20); // between two clients: an idle loop
    }
    await echoed(traced, stays);
    expect(traced.events().filter(({ type }) => type === "warning")).toEqual([]);
  });
}
