// A Worker that opens fds in several ways, and is terminated without having closed them.

import {
  EPOLLIN,
  Epoll,
  EpollServer,
  EventFd,
  Inotify,
  MemFd,
  pipe,
  Socket,
  socketpair,
  TimerFd,
  watch,
} from "../../src/index.ts";

export type Work = "run" | "start" | "tick" | "poll" | "watch" | "open" | "close" | "exit" | "throw";

/** Sent when the Worker has opened everything. */
export interface Opened {
  /** The port of the server, if there is one. */
  port: number | undefined;
  /** Fds that were closed again, and then one with a higher number that is open. */
  fds?: number[];
}

declare const self: Worker;

const works: Record<Work, () => Promise<void> | void> = {
  run() {
    const server = listening();
    server.run(() => opened(server));
  },
  async start() {
    const server = listening();
    await server.start();
    opened(server);
  },
  tick() {
    const server = listening();
    opened(server);
    for (;;) server.tick();
  },
  poll() {
    const epoll = new Epoll();
    epoll.register(pipe()[0], EPOLLIN);
    opened();
    for (;;) epoll.poll();
  },
  watch() {
    const [ours] = socketpair();
    watch(ours, EPOLLIN, () => {});
    opened();
  },
  open: () => {
    open();
    opened();
    setInterval(() => {}, 1_000);
  },
  close() {
    const all = [new EventFd(), new TimerFd(), ...pipe()];
    const fds = all.map((each) => each.fileno());
    const kept = new EventFd().fileno();
    for (const each of all) each.close();
    postMessage({ port: undefined, fds: [...fds, kept] } satisfies Opened);
    setInterval(() => {}, 1_000);
  },
  exit: () => (open(), process.exit()),
  throw() {
    open();
    throw new Error("thrown");
  },
};

self.addEventListener("message", ({ data }: MessageEvent<Work>) => works[data]());

function listening(): EpollServer {
  return new EpollServer({ hostname: "127.0.0.1" });
}

function open(): void {
  void [
    new Socket(),
    new Epoll(),
    new EventFd(),
    new TimerFd(),
    new Inotify(),
    new MemFd("a"),
    ...pipe(),
    ...socketpair(),
  ];
}

function opened(server?: EpollServer): void {
  postMessage({ port: server?.port } satisfies Opened);
}
