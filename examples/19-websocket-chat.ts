// bun -e 'new WebSocket("ws://127.0.0.1:8819/?name=ann").onmessage = (event) => console.log(event.data)'
//
// A chat over WebSockets, with handlers as Bun.serve has them: replace `new EpollServer` by `Bun.serve`, and it still runs.

import { EpollServer, type FetchHandler, type ServerWebSocket } from "epoll-hello";

interface Member {
  name: string;
}

const fetch: FetchHandler = (request, server) => {
  const name = new URL(request.url).searchParams.get("name") ?? "guest";
  if (server.upgrade(request, { data: { name } })) return undefined;
  return new Response("Connect with a WebSocket.\n", { status: 426, headers: { Upgrade: "websocket" } });
};

const server = new EpollServer({
  hostname: "127.0.0.1",
  port: Number(process.argv[2] ?? 8819),
  fetch,
  websocket: {
    perMessageDeflate: true,
    maxPayloadLength: 4096,
    open(ws: ServerWebSocket<Member>) {
      ws.subscribe("room");
      announce(`* ${ws.data.name} joined, ${server.subscriberCount("room")} here`);
    },
    message(ws: ServerWebSocket<Member>, message: string | Buffer) {
      ws.publish("room", `${ws.data.name}: ${message}`, true);
    },
    close(ws: ServerWebSocket<Member>, code: number) {
      announce(`* ${ws.data.name} left (${code})`);
    },
  },
});
await server.start();
console.log(`listening on ${server.url}`);

function announce(line: string): void {
  console.log(line);
  server.publish("room", line);
}

process.on("SIGINT", () => server.stop()); // all members get a Close frame with the code 1001
