// Servers that start on the path of a unix socket at the same time: exactly one listens there, and it can be reached.

import { afterAll, afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AF_UNIX, EpollServer, Socket } from "../../src/index.ts";
import { ask } from "../support/client.ts";
import { leavesNoFd } from "../support/fds.ts";
import type { RaceCommand, RaceReply } from "../support/unix-race.ts";

setDefaultTimeout(60_000);

const folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
afterAll(() => rmSync(folder, { recursive: true }));

class Racer {
  readonly #child: Bun.Subprocess;
  #reply = Promise.withResolvers<RaceReply>();

  constructor() {
    this.#child = Bun.spawn([process.execPath, join(import.meta.dir, "../support/unix-race.ts")], {
      ipc: (reply: RaceReply) => this.#reply.resolve(reply),
      stderr: "inherit",
    });
  }

  async send(command: RaceCommand): Promise<RaceReply> {
    this.#reply = Promise.withResolvers();
    this.#child.send(command);
    return this.#reply.promise;
  }

  async end(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }
}

let racers: Racer[] = [];
afterEach(async () => {
  await Promise.all(racers.map((racer) => racer.end()));
  racers = [];
});

/** Leaves the file of a server that was killed. */
function leaveStale(path: string): void {
  using socket = new Socket(AF_UNIX);
  socket.bind({ path });
}

const ROUNDS = 20;
const MAX_DELAY_MS = 20;

for (const isStale of [false, true]) {
  test(`${isStale ? "a stale file" : "no file"}: one of two servers listens, ${ROUNDS} times`, async () => {
    racers = [new Racer(), new Racer()];
    for (let round = 0; round < ROUNDS; round++) {
      const path = join(folder, `${isStale}-${round}.sock`);
      if (isStale) leaveStale(path);
      const delay = (): number => Math.floor(Math.random() * MAX_DELAY_MS);
      const replies = await Promise.all(
        racers.map((racer) =>
          racer.send({ listen: path, delays: { bind: delay(), listen: delay() + MAX_DELAY_MS, connect: delay() } }),
        ),
      );
      expect(replies.map((reply) => (reply as { outcome: string }).outcome).sort()).toEqual([
        "EADDRINUSE",
        "listening",
      ]);
      expect(ask({ path }).status).toBe(200);
      for (const racer of racers) await racer.send("stop");
      expect(existsSync(path)).toBe(false);
    }
  });
}

test("while one server stops, another one that starts either fails or can be reached", async () => {
  racers = [new Racer(), new Racer()];
  const [one, two] = racers as [Racer, Racer];
  for (let round = 0; round < ROUNDS; round++) {
    const path = join(folder, `stop-${round}.sock`);
    expect(await one.send({ listen: path, delays: {} })).toEqual({ outcome: "listening" });
    const delays = { bind: 0, listen: 0, connect: Math.floor(Math.random() * 5) };
    const [, reply] = await Promise.all([one.send("stop"), two.send({ listen: path, delays })]);
    const { outcome } = reply as { outcome: string };
    if (outcome === "listening") expect(ask({ path }).status).toBe(200);
    else expect(outcome).toBe("EADDRINUSE");
    await two.send("stop");
    expect(existsSync(path)).toBe(false);
  }
});

test("the longest path of a unix socket, and one in the working directory", () =>
  leavesNoFd(async () => {
    const long = join(folder, "x".repeat(107 - folder.length - 1));
    for (const path of [long, `epoll-hello-${process.pid}.sock`]) {
      leaveStale(path);
      const server = new EpollServer({ unix: path });
      expect(server.address).toEqual({ path });
      await server.stop();
      expect(existsSync(path)).toBe(false);
    }
  }));
