// EpollServer with the handler, under run().

import { EpollServer } from "epoll-hello";
import { handle } from "./handler.ts";

const server = new EpollServer({ hostname: "127.0.0.1", fetch: handle });
server.run(() => console.log(server.port));
