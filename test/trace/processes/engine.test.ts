// ProcessEngine: starts programs, attaches to running ones, and reports their system calls.

import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { kernelOf } from "../../../src/trace/processes/kernel-of.ts";
import { TraceeError } from "../../../src/trace/processes/tracee-error.ts";
import { Traced } from "./support.ts";

setDefaultTimeout(60_000);

const SERVER = `${import.meta.dir}/epoll-server.py`;
/** Debian's, not a wrapper of a version manager. */
const PYTHON = Bun.which("python3", { PATH: "/usr/bin:/bin" }) ?? Bun.which("python3");
const python = PYTHON ?? "python3";
const hasPython = PYTHON !== null;

const children: ReturnType<typeof Bun.spawn>[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill("SIGKILL");
    await child.exited;
  }
});

/** Starts the original server, untraced, and returns it with its port. */
async function startServer() {
  const child = Bun.spawn([python, SERVER, "--port", "0"], { stdout: "pipe", stdin: "ignore" });
  children.push(child);
  const reader = child.stdout.getReader();
  let text = "";
  while (!text.includes("\n")) text += new TextDecoder().decode((await reader.read()).value);
  void (async () => {
    while (!(await reader.read()).done); // it prints each request
  })();
  return { child, port: Number(/Server (\d+)/.exec(text)?.[1]) };
}

/** Sends a request, and returns the bytes of the response. */
function request(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = connect(port, "127.0.0.1", () => socket.write("GET / HTTP/1.1\r\n\r\n"));
    socket.on("data", (data) => (text += data));
    socket.on("error", reject);
    socket.on("close", () => resolve(text));
  });
}

function field(pid: number, name: string): string {
  return new RegExp(`^${name}:\\s*(.*)$`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "";
}

describe("a program that is started", () => {
  test("reports its exit code", async () => {
    using traced = new Traced();
    traced.engine.start(["sh", "-c", "exit 7"]);
    expect(await traced.ended()).toEqual({ exitCode: 7, signal: undefined });
  });

  test("reports the signal that ended it", async () => {
    using traced = new Traced();
    traced.engine.start(["sh", "-c", "kill -TERM $$"]);
    expect(await traced.ended()).toEqual({ exitCode: undefined, signal: "SIGTERM" });
  });

  test("is not found", () => {
    using traced = new Traced();
    expect(() => traced.engine.start(["no-such-program"])).toThrow(
      new TraceeError("ENOENT", '"no-such-program" cannot be started: no such file; check the spelling and PATH'),
    );
  });

  test("is not executable", async () => {
    using traced = new Traced();
    traced.engine.start(["/etc/passwd"]);
    await expect(traced.ended()).rejects.toThrow("it is not an executable file; chmod +x makes it one");
  });

  test("is followed through forks and exec", async () => {
    using traced = new Traced();
    traced.engine.start(["sh", "-c", "/bin/true & /bin/false; wait"]);
    expect(await traced.ended()).toEqual({ exitCode: 0, signal: undefined });
    const what = traced.of("process").map((event) => event.what);
    expect(what.filter((each) => each === "fork")).toHaveLength(2);
    expect(what.filter((each) => each === "exec")).toHaveLength(2);
    expect(what.filter((each) => each === "exit")).toHaveLength(3);
    expect(what[0]).toBe("start");
  });

  test("runs children that are not followed without disturbing them", async () => {
    using traced = new Traced({ follow: false });
    traced.engine.start(["sh", "-c", "echo hello | cat >/dev/null; exit 3"]);
    expect(await traced.ended()).toEqual({ exitCode: 3, signal: undefined });
    expect(new Set(traced.calls.map(({ pid }) => pid)).size).toBe(1);
  });

  test("without a filter, reports the same calls", async () => {
    const lists: string[][] = [];
    for (const seccomp of [true, false]) {
      using traced = new Traced({ seccomp });
      traced.engine.start(["sh", "-c", "echo hello | cat >/dev/null"]);
      await traced.ended();
      lists.push(traced.calls.flatMap(({ detail }) => ("call" in detail ? [`${detail.call}`] : [detail.type])).sort());
    }
    expect(lists[0]).toEqual(lists[1] as string[]);
    expect((lists[0] as string[]).length).toBeGreaterThan(10);
  });
});

describe.skipIf(!hasPython)("the original server", () => {
  test("goes through the event lists of the tutorial", async () => {
    using traced = new Traced();
    traced.engine.start([python, SERVER, "--port", "0"]);
    await traced.until(() => traced.of("ctl").length > 0);
    const [{ address } = { address: undefined }] = traced.of("listen");
    const response = await request((address as { port: number }).port);
    expect(response).toEndWith("Hello from Epoll server!");
    await traced.until(() => traced.of("wait").filter((wait) => wait.result > 0).length >= 4);
    await traced.until(() => traced.of("ctl").length >= 5);
    const lists = traced.of("wait").flatMap((wait) => (wait.result > 0 ? [wait.events] : []));
    expect(lists).toEqual([[[3, 1]], [[5, 1]], [[5, 4]], [[5, 16]]]);
    expect(traced.of("ctl").map(({ op, fd, mask }) => [op, fd, mask])).toEqual([
      ["ADD", 3, 1],
      ["ADD", 5, 1],
      ["MOD", 5, 4],
      ["MOD", 5, 0],
      ["DEL", 5, null],
    ]);
    const transfer = traced.calls.find(({ detail }) => detail.type === "recv" && detail.fd === 5);
    expect(new TextDecoder().decode(transfer?.data)).toBe("GET / HTTP/1.1\r\n\r\n");
    expect(transfer?.endsWithBlankLine).toBe(true);
    expect(traced.entries.length).toBeGreaterThanOrEqual(4);
  });

  test("is attached to with its open fds, and goes on when it is detached", async () => {
    const { child, port } = await startServer();
    {
      using traced = new Traced();
      traced.engine.attach(child.pid);
      await traced.until(() => traced.entries.length > 0);
      const open = traced.of("open").filter(({ call }) => call === "inherited");
      const listener = open.find(({ kind }) => kind === "listener");
      expect(listener?.address).toEqual({ address: "127.0.0.1", port, family: "IPv4" });
      const epoll = open.find(({ kind }) => kind === "epoll");
      expect(epoll?.interest?.map(([fd, mask]) => [fd, mask & 7])).toEqual([[listener?.result as number, 1]]);
      expect(await request(port)).toEndWith("Hello from Epoll server!");
      await traced.until(() => traced.of("wait").filter((wait) => wait.result > 0).length >= 4);
      // The wait that was interrupted goes on: the program sees no EINTR.
      expect(traced.of("wait").filter((wait) => wait.result < 0)).toEqual([]);
      expect(kernelOf(child.pid).openFileName(epoll?.result as number)).toBe("anon_inode:[eventpoll]");
    }
    expect(field(child.pid, "TracerPid")).toBe("0");
    expect(await request(port)).toEndWith("Hello from Epoll server!");
    expect(child.exitCode).toBeNull();
  });

  test("loses no request while tracers come and go", async () => {
    const { child, port } = await startServer();
    const rounds = Number(process.env["ATTACHES"] ?? 25);
    let isDone = false;
    let responses = 0;
    const load = (async () => {
      while (!isDone) {
        expect(await request(port)).toEndWith("Hello from Epoll server!");
        responses++;
      }
    })();
    for (let round = 0; round < rounds; round++) {
      using traced = new Traced();
      traced.engine.attach(child.pid);
      await traced.until(() => traced.of("wait").length > 0);
    }
    isDone = true;
    await load;
    expect(responses).toBeGreaterThan(0);
    expect(field(child.pid, "TracerPid")).toBe("0");
    expect(field(child.pid, "State")).toMatch(/^[RS]/);
  });

  test("goes on if the tracer is killed", async () => {
    const { child, port } = await startServer();
    const tracer = Bun.spawn([process.execPath, `${import.meta.dir}/attach-process.ts`, String(child.pid)], {
      stdout: "pipe",
    });
    children.push(tracer);
    const reader = tracer.stdout.getReader();
    await reader.read(); // it has reported a wait
    expect(field(child.pid, "TracerPid")).not.toBe("0");
    tracer.kill("SIGKILL");
    await tracer.exited;
    while (field(child.pid, "TracerPid") !== "0") await Bun.sleep(1);
    expect(await request(port)).toEndWith("Hello from Epoll server!");
    expect(child.exitCode).toBeNull();
  });

  test("is held after each return of a wait, until it is resumed", async () => {
    let hold = true;
    using traced = new Traced({}, { onCall: (call) => (call.isHeld === true && hold ? "hold" : undefined) });
    traced.engine.holdAt = "waits";
    traced.engine.start([python, SERVER, "--port", "0"]);
    await traced.until(() => traced.calls.some(({ isHeld }) => isHeld));
    expect(traced.calls.find(({ isHeld }) => isHeld)?.locate?.()).toMatch(/^libc\.so\.6\+0x[\da-f]+$/);
    const { pid } = traced.engine;
    expect(field(pid, "State")).toStartWith("t");
    const count = traced.calls.length;
    traced.engine.resume();
    await traced.until(() => traced.calls.length > count);
    hold = false;
    traced.engine.holdAt = "nothing";
    traced.engine.resume();
  });

  test("is stopped in a wait, which goes on without an error", async () => {
    using traced = new Traced();
    traced.engine.start([python, SERVER, "--port", "0"]);
    await traced.until(() => traced.entries.some(({ detail }) => detail.type === "wait" && detail.epfd === 4));
    traced.engine.interrupt();
    await traced.until(() => traced.held.length > 0);
    const [held] = traced.held;
    expect(held?.in?.detail).toMatchObject({ type: "wait", epfd: 4, timeoutMs: 1000 });
    const waits = traced.of("wait").length;
    traced.engine.resume();
    await traced.until(() => traced.of("wait").length > waits);
    expect(traced.of("wait").filter((wait) => wait.result < 0)).toEqual([]);
  });
});
