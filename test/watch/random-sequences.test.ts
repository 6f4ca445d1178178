// Property test: random sequences of open, close, ref, unref, modify and events, for watches and a server.

import { expect, setDefaultTimeout, spyOn, test } from "bun:test";
import fc from "fast-check";
import { EPOLLIN, EpollServer, type Socket, socketpair, watch, type Watch } from "../../src/index.ts";
import { leavesNothing, expectBridgeThreads } from "../support/threads.ts";
import { runIterations, settled } from "../support/event-loop.ts";

setDefaultTimeout(60_000);

/** For more runs, run RUNS=100000 bun test test/watch/random-sequences.test.ts */
const RUNS = Number(process.env["RUNS"] ?? 150);
const SLOTS = 4;

interface Slot {
  ours: Socket;
  peer: Socket;
  watcher: Watch | undefined;
  /** The mask of the watch. */
  mask: number;
  hasRef: boolean;
  sent: number;
  received: number;
}

/** The sockets of the bridges that are open, and whether each keeps the process alive. */
const bridges = new Map<BunSocket, boolean>();

type Command = [name: keyof typeof commands, slot: number];

const commands = {
  open(slot: Slot) {
    if (slot.watcher !== undefined) return;
    const watcher = watch(slot.ours, (slot.mask = EPOLLIN), () => {
      expect(slot.watcher).toBe(watcher); // a closed watch is not called
      slot.received += slot.ours.recv(100)?.length ?? 0;
    });
    slot.watcher = watcher;
    slot.hasRef = true;
  },
  close(slot: Slot) {
    slot.watcher?.close();
    slot.watcher = undefined;
  },
  closeInCallback(slot: Slot, slots: Slot[]) {
    // The next event of another watch closes this one.
    const other = slots.find(({ watcher }) => watcher !== undefined && watcher !== slot.watcher);
    if (other === undefined) return;
    const { watcher } = other;
    watcher?.close();
    const replacement = watch(other.ours, other.mask, () => {
      expect(other.watcher).toBe(replacement);
      other.received += other.ours.recv(100)?.length ?? 0;
      commands.close(slot);
    });
    other.watcher = replacement;
    other.hasRef = true;
  },
  ref(slot: Slot) {
    slot.watcher?.ref();
    slot.hasRef = true;
  },
  unref(slot: Slot) {
    slot.watcher?.unref();
    slot.hasRef = false;
  },
  pause(slot: Slot) {
    slot.watcher?.modify((slot.mask = 0));
  },
  resume(slot: Slot) {
    slot.watcher?.modify((slot.mask = EPOLLIN));
  },
  send(slot: Slot) {
    slot.peer.send("a");
    slot.sent++;
  },
  iterate: () => runIterations(1),
  settle: () => settled(),
};

test("refs, delivered events and open resources match the calls", async () => {
  const connect = Bun.connect;
  const spied = spyOn(Bun, "connect").mockImplementation(((options: { socket: { open: (socket: object) => void } }) => {
    const { open } = options.socket;
    options.socket.open = (socket) => open(trackRefs(socket as BunSocket));
    return connect(options as never);
  }) as never);
  try {
    const command = fc.tuple(
      fc.constantFrom(...(Object.keys(commands) as (keyof typeof commands)[])),
      fc.nat(SLOTS - 1),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(command, { maxLength: 60 }),
        fc.boolean(),
        fc.boolean(),
        async (list, hasServer, isServerRefd) => {
          await leavesNothing(() => execute(list, hasServer, isServerRefd));
          expect(bridges.size).toBe(0);
        },
      ),
      { numRuns: RUNS, endOnFailure: true },
    );
  } finally {
    spied.mockRestore();
  }
});

async function execute(list: Command[], hasServer: boolean, isServerRefd: boolean): Promise<void> {
  const slots: Slot[] = Array.from({ length: SLOTS }, () => {
    const [ours, peer] = socketpair();
    return { ours, peer, watcher: undefined, mask: EPOLLIN, hasRef: false, sent: 0, received: 0 };
  });
  const server = hasServer ? new EpollServer({ hostname: "127.0.0.1" }) : undefined;
  await server?.start();
  if (!isServerRefd) server?.unref();
  try {
    for (const [name, i] of list) {
      const slot = slots[i] as Slot;
      await commands[name](slot, slots);
      const open = slots.filter(({ watcher }) => watcher !== undefined);
      const isAlive = open.some(({ hasRef }) => hasRef) || (hasServer && isServerRefd);
      expect([...bridges.values()].some((hasRef) => hasRef)).toBe(isAlive);
      expect(bridges.size).toBe((open.length > 0 ? 1 : 0) + (hasServer ? 1 : 0));
      await expectBridgeThreads(bridges.size);
    }
    await settled();
    for (const { watcher, mask, sent, received } of slots) {
      if (watcher !== undefined && mask === EPOLLIN) expect(received).toBe(sent);
    }
  } finally {
    await server?.stop();
    for (const { ours, peer, watcher } of slots) {
      watcher?.close();
      ours.close();
      peer.close();
    }
  }
}

interface BunSocket {
  ref(): void;
  unref(): void;
  terminate(): void;
}

/** Returns a wrapper that records calls of ref, unref and terminate. */
function trackRefs(socket: BunSocket): BunSocket {
  bridges.set(socket, true);
  return {
    ref: () => void (bridges.set(socket, true), socket.ref()),
    unref: () => void (bridges.set(socket, false), socket.unref()),
    terminate: () => void (bridges.delete(socket), socket.terminate()),
  };
}
