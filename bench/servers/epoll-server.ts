// EpollServer, as users start it: `epoll-server.ts run|start KIND`.

import { EpollServer } from "epoll-hello";
import { bodyOf, handlerOf, type Kind } from "./handler.ts";

const [way, kind] = process.argv.slice(2) as [string, Kind];
const response = bodyOf(kind);
const server = new EpollServer({
  hostname: "127.0.0.1",
  ...(response === undefined ? { fetch: handlerOf(kind) } : { response }),
});
if (way === "run") {
  server.run(() => console.log(server.port));
} else {
  await server.start();
  console.log(server.port);
}
