// The server under fault injection: bun test/injection/server.ts MODE [ADDON]. It is created when a line arrives on standard input.

import { EPOLLIN, EpollServer, type EpollServerOptions, EventFd, watch } from "../../src/index.ts";

const [mode = "", addonPath = ""] = process.argv.slice(2);
const { promise: input, resolve: onInput } = Promise.withResolvers<void>();
process.stdin.once("data", () => {
  process.stdin.pause();
  onInput();
});
console.log("waiting");
await input;

let ticks = 0;
if (mode === "addons") {
  await import("../../src/libuv/index.ts");
  const addon = require(addonPath) as { timer(callback: () => void, ms: number, repeatMs: number): unknown };
  addon.timer(() => void ticks++, 1, 1);
}
if (mode === "watch") {
  const event = new EventFd();
  watch(event, EPOLLIN, () => {
    event.read();
    ticks++;
    setTimeout(() => event.write(1), 1).unref();
  }).unref();
  event.write(1);
}

const options: EpollServerOptions = {
  hostname: "127.0.0.1",
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/file") return new Response(Bun.file(import.meta.path));
    if (pathname === "/ticks") return new Response(String(ticks));
    return new Response(request.method === "POST" ? await request.text() : "hello");
  },
  onError: (error) => new Response(String(error), { status: 500 }),
  onWarning: ({ message }) => console.error(`warning: ${message}`),
  ...(mode === "trace" ? { trace: { listener: () => {}, bytes: true, lines: true } } : {}),
};
const server = new EpollServer(options);
if (mode === "run") {
  server.run(() => console.log(`port ${server.port}`));
} else {
  await server.start();
  process.once("SIGTERM", () => void server.stop().then(() => process.exit()));
  console.log(`port ${server.port}`);
}
