// Handlers that act on other sockets: what they do holds immediately, in the same iteration.

import { expect, setDefaultTimeout, test } from "bun:test";
import { type ServerSocket, SHUT_WR, type Socket, type SocketHandlers } from "../../src/index.ts";
import { leavesNoFd } from "../support/fds.ts";
import { ServerHarness } from "../support/server.ts";

setDefaultTimeout(60_000);

type Handler = "open" | "data" | "drain" | "end" | "close";
type Action = (other: ServerSocket) => unknown;

/** What a handler does to the other sockets, and what their clients then see. */
const actions: Record<string, { act: Action; received?: string; fate: "end" | "reset" | "open"; hears: boolean }> = {
  pause: { act: (other) => other.pause(), received: "", fate: "open", hears: false },
  "pause and resume": { act: (other) => (other.pause(), other.resume()), received: "", fate: "open", hears: true },
  write: { act: (other) => other.write("hi"), received: "hi", fate: "open", hears: true },
  "write and pause": { act: (other) => (other.write("hi"), other.pause()), received: "hi", fate: "open", hears: false },
  end: { act: (other) => other.end("bye"), received: "bye", fate: "end", hears: false },
  "end twice": { act: (other) => (other.end("bye"), other.end("again")), received: "bye", fate: "end", hears: false },
  terminate: { act: (other) => other.terminate(), fate: "reset", hears: false },
  "write and terminate": {
    act: (other) => (other.write("hi"), other.terminate()),
    received: "",
    fate: "reset",
    hears: false,
  },
  "terminate and write": {
    act: (other) => (other.terminate(), other.write("hi")),
    received: "",
    fate: "reset",
    hears: false,
  },
};

/** Makes the server call a handler of the socket of one client. */
const causes: Record<Handler, (client: Socket, harness: ServerHarness) => unknown> = {
  open: (_, harness) => harness.client(),
  data: (client) => client.send("x"),
  drain: (client) => client.send("drain"),
  end: (client) => client.shutdown(SHUT_WR),
  close: (client) => client.close(),
};

for (const eager of [true, false]) {
  for (const within of Object.keys(causes) as Handler[]) {
    for (const [name, { act, received, fate, hears }] of Object.entries(actions)) {
      test(`${name} of other sockets within ${within}; eager: ${eager}`, () =>
        leavesNoFd(() => {
          let actor: ServerSocket | undefined;
          const others: ServerSocket[] = [];
          let isArmed = false;
          const called: string[] = [];
          const run = (handler: Handler, socket: ServerSocket): void => {
            if (others.includes(socket)) return void called.push(handler);
            if (!isArmed || handler !== within) return;
            isArmed = false;
            for (const other of others) act(other);
          };
          const handlers: SocketHandlers = {
            open(socket) {
              if (actor === undefined) actor = socket;
              else if (others.length < 3 && !isArmed) others.push(socket);
              else run("open", socket);
            },
            data(socket, bytes) {
              if (String(bytes) === "drain") socket.write(Buffer.alloc(300_000)); // more than is buffered
              run("data", socket);
            },
            drain: (socket) => run("drain", socket),
            end(socket) {
              run("end", socket);
              socket.end();
            },
            close: (socket) => run("close", socket),
          };
          using harness = new ServerHarness({ socket: handlers, eager });
          const client = harness.client();
          harness.settle();
          const otherClients = [harness.client(), harness.client(), harness.client()];
          harness.settle();
          expect(others).toHaveLength(3);
          isArmed = true;
          causes[within](client, harness);
          for (let i = 0; isArmed; i++) {
            if (i > 10_000) throw new Error(`${within} was not called`);
            harness.server.tick(0);
            if (within === "drain") client.recv(1_000_000);
          }
          called.length = 0; // the calls of `close` within terminate
          const reset = new Set<Socket>();
          for (const other of otherClients) {
            try {
              other.send("to another");
            } catch {
              reset.add(other);
            }
          }
          for (let i = 0; i < 20; i++) harness.server.tick(0);
          expect(called.filter((handler) => handler === "data")).toHaveLength(hears ? 3 : 0);
          for (const other of otherClients) {
            let text = "";
            let seen = reset.has(other) ? "reset" : "open";
            try {
              for (let bytes; seen === "open" && (bytes = other.recv(1000)) !== null;) {
                if (bytes.length === 0) seen = "end";
                text += Buffer.from(bytes).toString();
              }
            } catch {
              seen = "reset";
            }
            expect(seen).toBe(fate);
            if (received !== undefined) expect(text).toBe(received); // a reset may or may not leave what was received before
          }
        }));
    }
  }

  test(`what a handler does to a socket that is ready in the same iteration holds for that event; eager: ${eager}`, () =>
    leavesNoFd(() => {
      for (const [name, { act, hears }] of Object.entries(actions)) {
        const sockets: ServerSocket[] = [];
        let isArmed = false;
        let heard = 0;
        using harness = new ServerHarness({
          eager,
          socket: {
            open: (socket) => void sockets.push(socket),
            data(socket) {
              heard++;
              if (!isArmed) return;
              isArmed = false;
              for (const other of sockets) if (other !== socket) act(other);
            },
          },
        });
        const clients = Array.from({ length: 5 }, () => harness.client());
        harness.settle();
        isArmed = true;
        for (const client of clients) client.send("x");
        harness.settle();
        expect([name, heard]).toEqual([name, hears ? 5 : 1]);
      }
    }));
}

/** A generator of pseudorandom numbers in [0, 1). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

for (const eager of [true, false]) {
  for (const seed of [1, 2, 3]) {
    test(`random actions on random sockets in every handler; eager: ${eager}, seed ${seed}`, () =>
      leavesNoFd(() => {
        const next = random(seed);
        const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] as T;
        const open: ServerSocket[] = [];
        const closed = new Set<ServerSocket>();
        const finished = new Set<ServerSocket>();
        const wrong: string[] = [];
        const moves: Action[] = [
          (socket) => socket.write(Buffer.alloc(Math.floor(next() * 100_000))),
          (socket) => socket.write(Buffer.alloc(500_000)),
          (socket) => void (socket.end("bye"), finished.add(socket)),
          (socket) => void (finished.add(socket), socket.terminate()),
          (socket) => socket.pause(),
          (socket) => socket.resume(),
        ];
        let depth = 0;
        const act = (): void => {
          if (depth > 3) return; // terminate calls `close`, which acts again
          depth++;
          while (open.length > 0 && next() < 0.4) pick(moves)(pick(open));
          depth--;
        };
        const check = (name: string, socket: ServerSocket, isAllowed: boolean): void => {
          if (!isAllowed) wrong.push(`${name}: closed ${closed.has(socket)}, finished ${finished.has(socket)}`);
          act();
        };
        using harness = new ServerHarness({
          eager,
          socket: {
            open: (socket) => (open.push(socket), check("open", socket, !closed.has(socket))),
            data: (socket) => check("data", socket, !closed.has(socket) && !finished.has(socket) && !socket.isPaused),
            drain: (socket) => check("drain", socket, !closed.has(socket)),
            end: (socket) => (socket.end(), finished.add(socket), check("end", socket, !closed.has(socket))),
            close(socket) {
              const isFirst = !closed.has(socket);
              closed.add(socket);
              open.splice(open.indexOf(socket), 1);
              check("close", socket, isFirst && socket.closed);
            },
          },
        });
        let clients: Socket[] = [];
        for (let step = 0; step < 1500; step++) {
          if (clients.length < 10) clients.push(harness.client());
          const client = pick(clients);
          try {
            if (next() < 0.6) client.send("x");
            else if (next() < 0.8) client.recv(1_000_000);
            else if (next() < 0.5) client.shutdown(SHUT_WR);
            else client.close();
          } catch {
            client.close(); // the server has reset it
          }
          clients = clients.filter((one) => !one.closed);
          harness.server.tick(0);
        }
        for (const client of clients) client.close();
        for (const socket of open.slice()) socket.resume();
        for (const socket of open.slice()) socket.terminate();
        harness.settle();
        expect(wrong).toEqual([]);
        expect([harness.server.stats.open, open.length]).toEqual([0, 0]);
        expect(closed.size).toBe(harness.server.stats.accepted);
      }));
  }
}
