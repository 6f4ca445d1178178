// EpollServer, as users start it: `epoll-server.ts run|start|traced KIND`. Traced: by a listener that counts, and does nothing else.

import { EpollServer } from "epoll-hello";
import { bodyOf, handlerOf, type Kind } from "./handler.ts";

const [way, kind] = process.argv.slice(2) as [string, Kind];
const response = bodyOf(kind);
let events = 0;
const server = new EpollServer({
  hostname: "127.0.0.1",
  ...(response === undefined ? { fetch: handlerOf(kind) } : { response }),
  ...(way === "traced" ? { trace: () => void events++ } : {}),
});
if (way !== "start") {
  server.run(() => console.log(server.port));
} else {
  await server.start();
  console.log(server.port);
}
