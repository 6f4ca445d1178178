// A server that is watched, and its page, in this process.

import { Target } from "../../src/tools/debugger/target.ts";
import type { EpollServerOptions } from "../../src/index.ts";
import { LiveView } from "../../src/tools/inspector/live-view.ts";
import type { Message, PageCommand } from "../../src/tools/inspector/messages.ts";
import { InspectorServer } from "../../src/tools/inspector/inspector-server.ts";
import { cli } from "./programs.ts";

export interface Inspected extends AsyncDisposable {
  inspector: LiveView;
  page: InspectorServer;
  /** Of the server that is watched. */
  url: string;
  token: string;
  order(order: PageCommand | object, headers?: Record<string, string>): Promise<Response>;
  /** Until the state is that. */
  until(run: "running" | "stopped" | "ended"): Promise<void>;
}

export async function inspected(server: EpollServerOptions = {}): Promise<Inspected> {
  const inspector = await LiveView.open((tell) =>
    Target.start({
      server: { hostname: "127.0.0.1", deferAccept: false, ...server },
      pollMs: 50,
      onSample: tell.sample,
      onState: tell.state,
    }),
  );
  const page = await InspectorServer.open({ port: 0, shows: { inspector }, command: [process.execPath, cli] });
  const token = page.controlUrl.slice(page.url.length + 1);
  return {
    inspector,
    page,
    url: inspector.target.location.url,
    token,
    order: (order, headers = {}) =>
      fetch(`${page.url}orders`, {
        method: "POST",
        headers: { Authorization: `Bearer ${token}`, ...headers },
        body: JSON.stringify(order),
      }),
    async until(run) {
      while (inspector.state.run !== run) await Bun.sleep(1);
    },
    async [Symbol.asyncDispose]() {
      await page[Symbol.asyncDispose]();
      inspector[Symbol.dispose]();
      await inspector.target.end();
    },
  };
}

/** What a page hears, message by message. */
export async function* messages(url: string, signal?: AbortSignal): AsyncGenerator<Message> {
  const reply = await fetch(`${url}events`, signal === undefined ? {} : { signal });
  let text = "";
  const decoder = new TextDecoder();
  for await (const bytes of reply.body ?? []) {
    text += decoder.decode(bytes, { stream: true });
    for (let end; (end = text.indexOf("\n\n")) >= 0;) {
      const line = text.slice(0, end);
      text = text.slice(end + 2);
      if (line.startsWith("data: ")) yield JSON.parse(line.slice("data: ".length)) as Message;
    }
  }
}
