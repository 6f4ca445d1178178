// A shared worker: one stream from the server for all tabs of a browser, which opens at most 6 connections to a server.

import { readEvents } from "./event-subscription.ts";
import { MessageReplay } from "./message-replay.ts";

declare const self: {
  /** The token: tabs with different tokens have different workers. */
  readonly name: string;
  addEventListener(type: "connect", listener: (event: MessageEvent) => void): void;
};

const ports = new Set<MessagePort>();
const replay = new MessageReplay();

self.addEventListener("connect", ({ ports: [port] }) => {
  if (port === undefined) return;
  for (const message of replay.messages) port.postMessage(message);
  ports.add(port);
  port.addEventListener("message", () => ports.delete(port)); // the tab says that it is closed
  port.start();
});

void readEvents(self.name, (message) => {
  replay.add(message);
  for (const port of ports) port.postMessage(message);
});
