// Bun.serve with the handler.

import { handle } from "./handler.ts";

const { port } = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: handle });
console.log(port);
