// Failures of the bridge to Bun's event loop: no event is lost, and the process never ends without an error.

import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { endPrograms, run } from "../support/programs.ts";
import { canTrace } from "../support/strace.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

/** Runs a program whose system calls fail as described; see strace(1), --inject. Each thread counts its own calls. */
async function runWith(faults: string[], program: string): Promise<{ code: number; stdout: string; stderr: string }> {
  const calls = faults.map((fault) => fault.split(":")[0]).join();
  const inject = faults.flatMap((fault) => ["-e", `inject=${fault}`]);
  const strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", `trace=${calls}`, ...inject];
  return run([...strace, process.execPath, "-e", program]);
}

/** Edge-triggered events, each of which is reported only once: if one is lost, the program hangs. */
const edges = `
  import { Epoll, EPOLLET, EPOLLIN, EpollServer, EventFd, watch } from "./src/index.ts";
  const event = new EventFd();
  const COUNT = 40;
  let count = 0;
  const watcher = watch(event, EPOLLIN | EPOLLET, () => {
    event.read();
    if (++count === COUNT) return (console.log("done"), watcher.close());
    setTimeout(() => event.write(1), 1);
  });
  event.write(1);
`;

/** The same with a started server, which watches an eventfd. */
const server = `
  import { EpollServer, EventFd } from "./src/index.ts";
  const event = new EventFd();
  const COUNT = 40;
  let count = 0;
  const server = new EpollServer({ hostname: "127.0.0.1" });
  server.onReadable(event, () => {
    if (event.read() === null) return;
    if (++count === COUNT) return (console.log("done"), void server.stop());
    setTimeout(() => event.write(1), 1);
  });
  await server.start();
  event.write(1);
`;

describe.skipIf(!canTrace)("with system calls that fail", () => {
  for (const fault of [
    // The thread cannot wake the event loop: send(2), unix(7).
    ...["EINTR", "EAGAIN", "ENOBUFS", "ENOMEM", "ECONNRESET", "EPIPE"].map((errno) => `sendto:error=${errno}:when=3+3`),
    // Bun cannot receive the wake-up, and closes its socket.
    ...["EINTR", "EAGAIN", "ENOBUFS", "ENOMEM", "ECONNRESET"].map((errno) => `recvfrom:error=${errno}:when=3+3`),
  ]) {
    test(`no event is lost: ${fault}`, async () => {
      for (const program of [edges, server]) {
        expect(await runWith([fault], program)).toEqual({ code: 0, stdout: "done\n", stderr: "" });
      }
    });
  }

  for (const errno of ["EINTR", "ENOMEM"]) {
    test(`the thread waits again after ${errno}`, async () => {
      // This thread makes its first calls before, so that only those of the bridge thread fail.
      const before = `
        const epoll = new Epoll();
        for (let i = 0; i < 3; i++) try { epoll.poll(0); } catch {}
        epoll.close();
      `;
      const program = edges.replace("const event", `${before} const event`);
      expect(await runWith([`epoll_wait:error=${errno}:when=1..3`], program)).toEqual({
        code: 0,
        stdout: "done\n",
        stderr: "",
      });
    });
  }

  // SIGSTOP with SIGCONT, a debugger and the cgroup freezer interrupt epoll_wait, even without signal handlers: signal(7).
  test("the thread waits again, however often it is interrupted", async () => {
    for (const program of [edges, server]) {
      expect(await runWith(["epoll_wait:error=EINTR:when=1..120"], program)).toEqual({
        code: 0,
        stdout: "done\n",
        stderr: "",
      });
    }
  });

  for (const [name, faults] of Object.entries({
    "its socket fails again and again": ["recvfrom:error=ECONNRESET"],
    "it can never wake the event loop": ["sendto:error=ENOBUFS"],
    "it cannot be rebuilt": ["recvfrom:error=ECONNRESET:when=1", "socketpair:error=EMFILE:when=2+"],
  })) {
    test(`an uncaught error ends the process if ${name}`, async () => {
      for (const program of [edges, server]) {
        // Events are delivered nevertheless, but slowly.
        const { code, stdout, stderr } = await runWith(faults, program.replace("COUNT = 40", "COUNT = Infinity"));
        expect(stderr).toContain("error: epoll-hello: the bridge to Bun's event loop failed 10 times in succession");
        expect([code, stdout]).toEqual([1, ""]);
      }
    });
  }
});
