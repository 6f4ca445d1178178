// EpollServer.stop(): requests that have arrived are answered, nothing new is accepted, and nothing is left open.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ClosedError, EpollServer, ErrnoError, EventFd } from "../../src/index.ts";
import { leavesNoFd } from "../support/fds.ts";
import { root, run, endPrograms } from "../support/programs.ts";
import { complete, GET, SENTENCE, ServerHarness } from "../support/server.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const modes = [{}, { eager: false }, { keepAlive: false }, { eager: false, keepAlive: false }];

for (const mode of modes) {
  const name = JSON.stringify(mode);

  test(`responds to requests that arrived before the stop ${name}`, () =>
    leavesNoFd(() => {
      using harness = new ServerHarness(mode);
      const clients = Array.from({ length: 150 }, () => harness.client(GET)); // not yet accepted
      void harness.server.stop();
      for (const client of clients) {
        expect(harness.receive(client, complete)).toContain("\r\nConnection: close\r\n");
        client.close();
      }
      harness.settle();
      expect(harness.server.closed).toBe(true);
    }));

  test(`waits for the rest of a request, and responds ${name}`, () =>
    leavesNoFd(() => {
      using harness = new ServerHarness(mode);
      const client = harness.client(GET.slice(0, 10));
      harness.settle();
      void harness.server.stop();
      harness.settle();
      expect(harness.server.closed).toBe(false);
      client.send(GET.slice(10));
      expect(harness.receive(client, complete)).toContain("\r\nConnection: close\r\n");
      client.close();
      harness.settle();
      expect(harness.server.closed).toBe(true);
    }));
}

test("closes an idle connection immediately", () =>
  leavesNoFd(() => {
    using harness = new ServerHarness();
    const client = harness.client(GET);
    harness.receive(client, complete);
    void harness.server.stop();
    harness.settle();
    expect(harness.server.closed).toBe(true);
    expect(harness.fate(client)).toBe("end");
  }));

test("refuses new connections", () =>
  leavesNoFd(() => {
    using harness = new ServerHarness();
    harness.client(GET.slice(0, 10));
    harness.settle();
    void harness.server.stop();
    harness.settle();
    expect(harness.server.closed).toBe(false);
    const client = harness.client();
    expect(() => client.send(GET)).toThrow(ErrnoError);
  }));

test("waits for unfinished requests for graceMs, then resets them", () =>
  leavesNoFd(() => {
    using harness = new ServerHarness({ headerTimeoutMs: Infinity });
    const client = harness.client(GET.slice(0, 10));
    harness.settle();
    void harness.server.stop({ graceMs: 500 });
    harness.clock.ms += 499;
    harness.settle();
    expect(harness.server.closed).toBe(false);
    harness.clock.ms += 1;
    harness.server.tick(0);
    expect(harness.server.closed).toBe(true);
    expect(harness.fate(client)).toBe("reset");
  }));

test("a second stop can only shorten the grace period", () =>
  leavesNoFd(() => {
    using harness = new ServerHarness({ headerTimeoutMs: Infinity });
    harness.client(GET.slice(0, 10));
    harness.settle();
    const first = harness.server.stop({ graceMs: 500 });
    expect(harness.server.stop({ graceMs: 0 })).toBe(first);
    harness.settle();
    expect(harness.server.closed).toBe(true);
  }));

test("a second stop with graceMs 0 closes everything in the next iteration, even if an fd is always ready", () =>
  leavesNoFd(() => {
    using harness = new ServerHarness();
    using event = new EventFd(1);
    harness.server.onReadable(event, () => {});
    void harness.server.stop();
    harness.server.tick(0);
    expect(harness.server.closed).toBe(false); // connections may still be in the backlog
    void harness.server.stop({ graceMs: 0 });
    harness.server.tick(0);
    expect(harness.server.closed).toBe(true);
  }));

test("completes without run or tick", () =>
  leavesNoFd(async () => {
    const server = new EpollServer();
    await server.stop();
    expect(server.closed).toBe(true);
    await server.stop();
  }));

test("await using stops it", () =>
  leavesNoFd(async () => {
    let server: EpollServer;
    {
      await using inner = new EpollServer();
      server = inner;
      expect(server.closed).toBe(false);
    }
    expect(server.closed).toBe(true);
  }));

test("run returns immediately after a stop", () =>
  leavesNoFd(async () => {
    const server = new EpollServer();
    const stopped = server.stop({ graceMs: Infinity });
    expect(server.run()).toBeUndefined();
    await stopped;
  }));

test("stop in a callback ends run after the response is sent", async () => {
  const path = JSON.stringify(join(root, "src", "index.ts"));
  const text = `
      import { EpollServer, Socket } from ${path};
      const server = new EpollServer({ hostname: "127.0.0.1", onRequest: () => void server.stop() });
      const client = new Socket();
      client.connect({ address: "127.0.0.1", port: server.port });
      client.send("GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n");
      console.log(server.run(), server.closed, Buffer.from(client.recv(1000)).toString().slice(0, 15));`;
  expect(await run(["bun", "-e", text])).toEqual({ code: 0, stdout: "undefined true HTTP/1.1 200 OK\n", stderr: "" });
});

test("after a stop, run and tick throw ClosedError, and the port is free", () =>
  leavesNoFd(async () => {
    const server = new EpollServer();
    const { port } = server;
    await server.stop();
    expect(() => server.run()).toThrow(new ClosedError("EpollServer.run"));
    expect(() => server.tick()).toThrow("EpollServer.tick: this EpollServer is closed");
    await new EpollServer({ port }).stop();
  }));

test("run and tick throw inside an iteration", () =>
  leavesNoFd(() => {
    const errors: string[] = [];
    const onRequest = (): void => {
      for (const again of [() => harness.server.tick(0), () => harness.server.run()]) {
        try {
          again();
        } catch (error) {
          errors.push(String(error));
        }
      }
    };
    const harness = new ServerHarness({ onRequest });
    using _ = harness;
    harness.receive(harness.client(GET), complete);
    expect(errors).toEqual([
      "Error: EpollServer.tick: the server is already running",
      "Error: EpollServer.run: the server is already running",
    ]);
  }));

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  for (const listener of ["", `process.on("${signal}", () => console.log("called"));`]) {
    test(`${signal} ends a blocked run every time ${listener && "even with a listener of process.on, which is called afterwards"}`, async () => {
      const directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
      try {
        const path = join(directory, "signal.ts");
        writeFileSync(
          path,
          `import { readFileSync } from "node:fs";
           import { EpollServer } from ${JSON.stringify(join(root, "src", "index.ts"))};
           ${listener}
           const caught = () => /SigCgt:.*/.exec(readFileSync("/proc/self/status", "utf8"))[0];
           await Bun.sleep(0);
           const before = caught();
           let woken = 0;
           for (let i = 0; i < 20; i++) {
             const server = new EpollServer();
             // Another process sends it while this one is blocked.
             const name = server.run(() => Bun.spawn(["sh", "-c", "kill -${signal.slice(3)} " + process.pid]));
             if (name === "${signal}" && server.closed) woken++;
           }
           console.log(woken, caught() === before);
           await Bun.sleep(0);
           process.exit(0);`,
        );
        const { code, stdout } = await run(["bun", path]);
        expect(stdout).toStartWith("20 true\n");
        expect(stdout.includes("called")).toBe(listener !== "");
        expect(code).toBe(0);
      } finally {
        rmSync(directory, { recursive: true });
      }
    });
  }
}

test("a second signal does not wait for unfinished requests", async () => {
  const text = `
    import { EpollServer, Socket } from ${JSON.stringify(join(root, "src", "index.ts"))};
    const server = new EpollServer({ hostname: "127.0.0.1", headerTimeoutMs: Infinity });
    const client = new Socket();
    client.connect({ address: "127.0.0.1", port: server.port });
    client.send("GET");
    server.tick();
    console.log(server.run(() => {
      process.kill(process.pid, "SIGTERM");
      process.kill(process.pid, "SIGINT");
    }));`;
  const { stdout } = await run(["bun", "-e", text]);
  expect(stdout).toMatch(/^SIG(INT|TERM)\n$/);
});

test("run in a Worker does not change the process's signal dispositions", async () => {
  const directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  try {
    const index = JSON.stringify(join(root, "src", "index.ts"));
    writeFileSync(
      join(directory, "worker.ts"),
      `import { EpollServer } from ${index};
       const server = new EpollServer();
       server.run(() => postMessage(server.port));`,
    );
    writeFileSync(
      join(directory, "main.ts"),
      `import { readFileSync } from "node:fs";
       const caught = () => /SigCgt:.*/.exec(readFileSync("/proc/self/status", "utf8"))[0];
       const worker = new Worker(${JSON.stringify(join(directory, "worker.ts"))});
       const before = caught();
       const port = await new Promise((resolve) => (worker.onmessage = ({ data }) => resolve(data)));
       console.log(caught() === before, await (await fetch("http://localhost:" + port)).text());
       worker.terminate();
       process.exit(0);`,
    );
    expect(await run(["bun", join(directory, "main.ts")])).toEqual({
      code: 0,
      stdout: `true ${SENTENCE}\n`,
      stderr: "",
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
});
