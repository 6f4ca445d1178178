// Creates a tracer. Its modules are loaded only now, because most programs are not traced.

import type { TraceListener, TraceOptions } from "./events.ts";
import type { Tracer } from "./tracer.ts";

/** Returns a tracer for the `trace` option of a server, an Epoll or `watch`. */
export function createTracer(trace: TraceListener | TraceOptions): Tracer {
  const { Tracer } = require("./tracer.ts") as typeof import("./tracer.ts");
  return new Tracer(trace);
}
