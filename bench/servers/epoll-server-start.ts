// EpollServer with the handler, under start().

import { EpollServer } from "epoll-hello";
import { handle } from "./handler.ts";

const server = new EpollServer({ hostname: "127.0.0.1", fetch: handle });
await server.start();
console.log(server.port);
