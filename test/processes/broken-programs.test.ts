// Broken programs in Python and C: each gets the warning that it is named for, at full speed and without a change.

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SHUT_WR, Socket, type TraceEvent, type WarningEvent } from "../../src/index.ts";
import { eventually } from "../support/eventually.ts";
import { cli, endPrograms, root, start } from "../support/programs.ts";
import { python } from "../support/python.ts";

setDefaultTimeout(60_000);

const directory = mkdtempSync(join(tmpdir(), "epoll-hello-broken-"));
const broken = join(root, "examples", "broken");
const compiled = join(directory, "broken");
const cc = Bun.which("cc");
const sockets: Socket[] = [];

beforeAll(() => {
  if (cc !== null) Bun.spawnSync([cc, "-w", "-o", compiled, join(broken, "c", "broken.c")]);
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.close();
  await endPrograms();
});
afterAll(() => rmSync(directory, { recursive: true }));

function connect(port: number): Socket {
  const socket = new Socket();
  sockets.push(socket);
  socket.connect({ address: "127.0.0.1", port });
  return socket;
}

async function echoed(client: Socket, text: string): Promise<void> {
  client.send(text);
  await eventually(
    () => client.recv(1000),
    (bytes) => bytes !== null,
  );
}

const clients: Record<string, (client: Socket) => void | Promise<void>> = {
  "busy-loop": (client) => void client.send("hello"),
  "eof-ignored": async (client) => {
    await echoed(client, "hello");
    client.shutdown(SHUT_WR);
  },
  "hangup-ignored": (client) => echoed(client, "hello"),
  "idle-epollout": (client) => echoed(client, "hello"),
  undrained: (client) => echoed(client, "more than sixteen bytes"),
};

for (const [code, act] of Object.entries(clients)) {
  const programs: [name: string, command: string[], isMissing: boolean][] = [
    ["Python", [python ?? "", join(broken, "python", `${code.replaceAll("-", "_")}.py`)], python === undefined],
    ["C", [compiled, code], cc === null],
  ];
  for (const [language, command, isMissing] of programs) {
    test.skipIf(isMissing)(`names ${code} in ${language}`, async () => {
      const file = join(directory, `${code}-${language}.jsonl`);
      const program = start(["bun", cli, "--trace-file", file, "--trace-max", "0", "--", ...command]);
      const [, port] = await program.output(/listening on (\d+)/);
      const client = connect(Number(port));
      await act(client);
      const warnings = (): (TraceEvent & WarningEvent)[] =>
        readFileSync(file, "utf8")
          .split("\n")
          .slice(0, -1)
          .map((line) => JSON.parse(line) as TraceEvent)
          .filter((event): event is TraceEvent & WarningEvent => event.type === "warning");
      const [warning] = await eventually(warnings, (found) => found.length > 0);
      expect(warning).toMatchObject({ code, pid: expect.any(Number) });
      expect(warning?.fd).toBeGreaterThan(3); // the connection, not the listener
      program.kill("SIGTERM");
      await program.exited;
      expect([...new Set<string>(warnings().map((one) => one.code))]).toEqual([code]);
    });
  }
}
