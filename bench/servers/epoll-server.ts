// EpollServer, as `epoll-server.ts run|start|traced KIND`. With `traced`, a listener counts the events and does nothing else.

import { EpollServer } from "epoll-hello";
import { bodyOf, handlerOf, type Kind } from "./handler.ts";

const [mode, kind] = process.argv.slice(2) as [string, Kind];
const response = bodyOf(kind);
let events = 0;
const server = new EpollServer({
  hostname: "127.0.0.1",
  idleTimeoutMs: 3_600_000, // idle connections stay open
  ...(response === undefined ? { fetch: await handlerOf(kind) } : { response }),
  ...(mode === "traced" ? { trace: () => void events++ } : {}),
});
if (mode !== "start") {
  server.run(() => console.log(server.port));
} else {
  await server.start();
  console.log(server.port);
}
