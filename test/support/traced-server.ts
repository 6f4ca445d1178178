// The trace of a real server, as the inspector opens it from a file.

import { EpollServer, type InternetAddress, type TraceEvent } from "../../src/index.ts";
import { InspectorServer } from "../../src/tools/inspector/inspector-server.ts";
import { Client } from "./client.ts";
import { cli } from "./programs.ts";

/**
 * Traces a server that responds to one client after another, and waits `idleWaits` times without an event after each of them.
 *
 * @param request sent by each client
 */
export async function traceServer(clients: number, idleWaits: number, request: string): Promise<TraceEvent[]> {
  const events: TraceEvent[] = [];
  const server = new EpollServer({
    hostname: "127.0.0.1",
    keepAlive: false,
    eager: false,
    deferAccept: false,
    trace: { listener: (event) => void events.push(event), bytes: true, secrets: true, lines: true },
  });
  for (let i = 1; i <= clients; i++) {
    using client = new Client(server.address as InternetAddress, request);
    while (server.stats.requests < i || server.stats.open > 0) server.tick(100);
    client.socket.recv(1_000);
    for (let waits = 0; waits < idleWaits; waits++) server.tick(1);
  }
  const traced = [...events]; // without the end: the listening socket is still open
  await server.stop({ graceMs: 0 });
  return traced;
}

/** Opens the page of a saved trace. */
export function openTrace(name: string, events: readonly TraceEvent[]): Promise<InspectorServer> {
  const trace = events.map((event) => `${JSON.stringify(event)}\n`).join("");
  return InspectorServer.open({ port: 0, source: { name, trace }, command: [process.execPath, cli] });
}
