// A WebSocket server, as `websocket.ts bunServe|start|run`: publishes what begins with "!", and echoes everything else.

import { EpollServer } from "epoll-hello";

const TOPIC = "all";

const options = {
  hostname: "127.0.0.1",
  port: 0,
  websocket: {
    idleTimeout: 0,
    open: (ws: Bun.ServerWebSocket) => void ws.subscribe(TOPIC),
    message(ws: Bun.ServerWebSocket, message: string | Buffer) {
      if (typeof message === "string" && message.startsWith("!")) server.publish(TOPIC, message, false);
      else ws.send(message);
    },
  },
  fetch: (request: Request, { upgrade }: { upgrade(request: Request): boolean }) =>
    upgrade.call(server, request) ? undefined : new Response("Hello from Epoll server!"),
};

const [, , kind] = process.argv;
let server: { port?: number | undefined; publish(topic: string, data: string, compress: boolean): number };
if (kind === "bunServe") {
  const bun = Bun.serve(options as unknown as Bun.Serve.Options<undefined>);
  server = bun as unknown as typeof server;
  console.log(bun.port);
} else {
  const ours = new EpollServer(options as unknown as ConstructorParameters<typeof EpollServer>[0]);
  server = ours;
  if (kind === "start") await ours.start();
  console.log(ours.port);
  if (kind === "run") ours.run();
}
