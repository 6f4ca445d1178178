// A server under valgrind's callgrind, which counts the instructions of the program in user mode. These hardly depend on the machine,
// and not at all on what else it does, unlike processor time.

import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { Epoll, EPOLLIN, Socket, WOULD_BLOCK } from "epoll-hello";
import type { Kind } from "../servers/handler.ts";
import type { Recipe } from "./contender.ts";
import { scratch } from "./scratch.ts";
import { traffic, type TrafficName, UNIQUE } from "./traffic.ts";

export const canCount: boolean = Bun.which("valgrind") !== null && Bun.which("callgrind_control") !== null;

/** With these options of JavaScriptCore, what is compiled and collected when doesn't depend on time. */
const DETERMINISTIC = { BUN_JSC_useConcurrentJIT: "0", BUN_JSC_useConcurrentGC: "0", BUN_JSC_numberOfGCMarkers: "1" };

/** Long, because a server may be compiling while the machine is busy. */
const RESPONSE_TIMEOUT_MS = 300_000;

export class CountedServer implements Disposable {
  readonly name: string;
  readonly #child: Bun.Subprocess;
  readonly #prefix: string;
  readonly #port: number;
  readonly #stack: DisposableStack = new DisposableStack();
  readonly #socket: Socket = this.#stack.use(new Socket());
  readonly #epoll: Epoll = this.#stack.use(new Epoll());
  readonly #buffer: Buffer = Buffer.from(new ArrayBuffer(65_536));
  #isConnected = false;

  private constructor(name: string, child: Bun.Subprocess, prefix: string, port: number) {
    this.name = name;
    this.#child = child;
    this.#prefix = prefix;
    this.#port = port;
  }

  /** Starts a server, and waits until it serves. */
  static async start(
    name: string,
    command: readonly string[],
    environment: Record<string, string> = {},
  ): Promise<CountedServer> {
    const folder = mkdtempSync(join(scratch, "callgrind-"));
    const prefix = `--vgdb-prefix=${folder}/vgdb`;
    const options = [prefix, "--instr-atstart=no", "--smc-check=all-non-file", `--callgrind-out-file=${folder}/out`];
    const child = Bun.spawn(["valgrind", "--quiet", "--tool=callgrind", ...options, ...command], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: Bun.file(join(folder, "errors")), // valgrind doesn't know some of Bun's system calls
      env: { ...process.env, ...DETERMINISTIC, ...environment },
    });
    let printed = "";
    for await (const bytes of child.stdout) {
      printed += new TextDecoder().decode(bytes);
      if (printed.includes("\n")) {
        return new CountedServer(name, child, prefix, Number(printed));
      }
    }
    throw new Error(`${name} exited before it was ready: ${await Bun.file(join(folder, "errors")).text()}`);
  }

  /** Sends a request, always on the same connection. */
  send(request: string): void {
    if (!this.#isConnected) this.#connect(); // not earlier: the server would close it while others start
    const bytes = Buffer.from(request, "latin1");
    if (this.#socket.send(bytes) !== bytes.length) throw new Error("the send buffer is full");
  }

  #connect(): void {
    this.#socket.connect({ address: "127.0.0.1", port: this.#port });
    this.#epoll.register(this.#socket, EPOLLIN);
    this.#isConnected = true;
  }

  /** Waits for the response. */
  receive(): void {
    const buffer = this.#buffer;
    for (let size = 0, whole = Infinity; size < whole;) {
      if (this.#epoll.poll(RESPONSE_TIMEOUT_MS).length === 0) throw new Error(`${this.name} doesn't respond`);
      const received = this.#socket.recvInto(buffer.subarray(size));
      if (received === WOULD_BLOCK) continue;
      if (received === 0) throw new Error(`${this.name} has closed the connection`);
      size += received;
      const end = buffer.subarray(0, size).indexOf("\r\n\r\n");
      if (end < 0) continue;
      const [, status, length = "0"] =
        /^HTTP\/1\.1 (\d+).*^content-length: (\d+)/ims.exec(buffer.toString("latin1", 0, end + 2)) ?? [];
      if (Number(status) >= 300) throw new Error(`${this.name} responds with ${status}`);
      whole = end + 4 + Number(length);
    }
  }

  /** Starts to count. Until then, the server is several times faster. */
  startCounting(): void {
    this.#control("--instr=on");
  }

  /** The instructions of all threads since `startCounting()`. */
  get instructions(): number {
    const totals = this.#control("-e").matchAll(/^ +Th \d+ +([\d,]+)/gm);
    return [...totals].reduce((sum, [, count = ""]) => sum + Number(count.replaceAll(",", "")), 0);
  }

  #control(option: string): string {
    const { stdout, stderr, success } = Bun.spawnSync([
      "callgrind_control",
      this.#prefix,
      option,
      `${this.#child.pid}`,
    ]);
    if (!success) throw new Error(`callgrind_control ${option}: ${stderr}`);
    return stdout.toString();
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
    this.#child.kill("SIGKILL");
  }
}

/** How many requests are sent before instructions are counted, and in how many windows of which size they are then counted. */
export interface Amount {
  warmUp: number;
  windows: number;
  requests: number;
}

/**
 * Sends the same requests to all servers, one after the other on one connection, and returns the instructions per request of each.
 * A window in which functions are compiled or a full garbage collection runs has more, so the least of all windows is what counts.
 */
export function instructionsPerRequest(
  servers: readonly CountedServer[],
  name: TrafficName,
  { warmUp, windows, requests }: Amount,
): number[] {
  const templates = traffic(name);
  let sent = 0;
  const exchange = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const number = (sent++).toString(16).padStart(UNIQUE.length, "0");
      const request = (templates[i % templates.length] as string).replace(UNIQUE, number);
      for (const server of servers) server.send(request);
      for (const server of servers) server.receive();
    }
  };
  exchange(warmUp);
  for (const server of servers) server.startCounting();
  const least = servers.map(() => Infinity);
  for (let window = 0; window < windows; window++) {
    const before = servers.map(({ instructions }) => instructions);
    exchange(requests);
    for (const [i, { instructions }] of servers.entries())
      least[i] = Math.min(least[i] as number, (instructions - (before[i] as number)) / requests);
  }
  return least;
}

/** Starts a recipe's server. */
export function startCounted({ name, command }: Recipe, kind: Kind): Promise<CountedServer> {
  return CountedServer.start(name, command(kind));
}
