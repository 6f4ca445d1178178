// The program of handler-errors.test.ts: serves one client with `socket` handlers of which one fails, and prints what happened.

import { EpollServer, SHUT_WR, Socket, type SocketHandlers } from "../../src/index.ts";
import { eventually } from "./eventually.ts";
import { killWithParent } from "./kill-with-parent.ts";

export type Handler = "open" | "data" | "drain" | "end" | "close";
/** `throws`; `rejects` before the handler returns; `rejects later`, in a later microtask. */
export type Failure = "throws" | "rejects" | "rejects later";

export interface Scenario {
  mode: "run" | "tick" | "start";
  failing: Handler;
  failure: Failure;
  /** What the `error` handler does. */
  errorHandler: "missing" | "returns" | Failure;
}

export interface Outcome {
  /** The handlers called, in order, and the errors that were not handled: `uncaught: …`. */
  calls: string[];
  open: number;
  /** Whether the server still accepts a connection. */
  serves: boolean;
}

if (import.meta.main) {
  killWithParent();
  let report: ((call: string) => void) | undefined;
  process.on("uncaughtException", (error) => report?.(`uncaught: ${error.message}`));
  process.on("unhandledRejection", (error) => report?.(`unhandled rejection: ${(error as Error).message}`));
  const outcomes: Outcome[] = [];
  for (const scenario of JSON.parse(process.argv[2] ?? "[]") as Scenario[]) {
    const calls: string[] = [];
    report = (call) => calls.push(call);
    outcomes.push(await play(scenario, calls));
  }
  console.log(JSON.stringify(outcomes));
  process.exit(0);
}

function fail(how: Failure, message: string): unknown {
  if (how === "throws") throw new Error(message);
  if (how === "rejects") return Promise.reject(new Error(message));
  return (async () => {
    for (let i = 0; i < 5; i++) await Promise.resolve();
    throw new Error(message);
  })();
}

async function play({ mode, failing, failure, errorHandler }: Scenario, calls: string[]): Promise<Outcome> {
  let isDone = false;
  const record = (call: string): void => {
    if (isDone) return;
    calls.push(call);
    const isDelivered = calls.some((one) => one.startsWith(errorHandler === "returns" ? "error" : "uncaught"));
    if (mode === "run" && isDelivered && calls.includes("close")) void server.stop({ graceMs: 0 });
  };
  const onCall = (name: Handler): void => {
    if (isDone) return;
    record(name);
    if (name === failing) return fail(failure, `from ${name}`) as void;
  };
  const socket: SocketHandlers = {
    open: () => onCall("open"),
    data(one) {
      one.write(Buffer.alloc(300_000)); // more than is buffered, so `drain` is called
      return onCall("data");
    },
    drain: () => onCall("drain"),
    end(one) {
      one.end();
      return onCall("end");
    },
    close: () => onCall("close"),
  };
  if (errorHandler !== "missing") {
    socket.error = (_, error) => {
      record(`error: ${(error as Error).message}`);
      if (errorHandler !== "returns") return fail(errorHandler, "from error") as void;
    };
  }
  const server = new EpollServer({ hostname: "127.0.0.1", socket });
  const connect = (): Socket => {
    const client = new Socket();
    client.connect({ address: "127.0.0.1", port: server.port as number });
    client.send("x");
    client.shutdown(SHUT_WR);
    return client;
  };
  const run = (call: () => void): void => {
    try {
      call();
    } catch (error) {
      record(`uncaught: ${(error as Error).message}`);
    }
  };
  using _ = connect();
  if (mode === "run") {
    run(() => server.run());
    return { calls, open: server.stats.open, serves: false };
  }
  if (mode === "start") await server.start();
  const next = (): void => {
    if (mode === "tick") run(() => server.tick(0));
  };
  const delivered = errorHandler === "returns" ? "error" : "uncaught";
  await eventually(
    () => (next(), [...calls]),
    (now) => now.includes("close") && now.some((call) => call.startsWith(delivered)),
  );
  await Bun.sleep(0); // whatever else is reported
  isDone = true;
  const { open, accepted } = server.stats;
  using __ = connect();
  await eventually(
    () => (next(), server.stats.accepted),
    (count) => count > accepted,
  );
  await server.stop({ graceMs: 0 });
  return { calls, open, serves: true };
}
