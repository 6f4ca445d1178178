// A server run by the debugger, and the inspector that shows it, both in this process.

import type { EpollServerOptions } from "../../src/index.ts";
import { Target } from "../../src/tools/debugger/target.ts";
import { InspectorServer } from "../../src/tools/inspector/inspector-server.ts";
import { LiveView, type LiveViewOptions } from "../../src/tools/inspector/live-view.ts";
import type { LoopState, Message, PageCommand } from "../../src/tools/inspector/messages.ts";
import { cli } from "./programs.ts";
import { eventually } from "./eventually.ts";

export interface Inspected extends AsyncDisposable {
  view: LiveView;
  page: InspectorServer;
  /** The URL of the server that the debugger runs. */
  url: string;
  token: string;
  /** Requests a path with the token for viewing. */
  get(path: string): Promise<Response>;
  /** Posts a command with the token for control. */
  send(command: PageCommand | object, headers?: Record<string, string>): Promise<Response>;
  /** Waits until the loop is in this state. */
  waitFor(run: LoopState["run"]): Promise<void>;
}

/** @param pollMs the maximum time that epoll_wait blocks, and thus the maximum time until a pause takes effect */
export async function inspected(
  server: EpollServerOptions = {},
  pollMs: number = 50,
  options: LiveViewOptions = { releaseGraceMs: Infinity }, // most tests send commands without opening a page
): Promise<Inspected> {
  const view = await LiveView.open(
    ({ onSample, onState }) =>
      Target.start({
        server: { hostname: "127.0.0.1", deferAccept: false, ...server },
        pollMs,
        onSample,
        onState,
      }),
    options,
  );
  const page = await InspectorServer.open({ port: 0, source: { view }, command: [process.execPath, cli] });
  const token = page.controlUrl.slice(page.url.length + 1);
  return {
    view,
    page,
    url: view.target.location.url,
    token,
    get: (path) => getWithToken(page.viewUrl, path),
    send: (command, headers = {}) =>
      fetch(`${page.url}commands`, {
        method: "POST",
        headers: { Authorization: `Bearer ${token}`, ...headers },
        body: JSON.stringify(command),
      }),
    async waitFor(run) {
      await eventually(
        () => view.state.run,
        (current) => current === run,
      );
    },
    async [Symbol.asyncDispose]() {
      await page[Symbol.asyncDispose]();
      view[Symbol.dispose]();
      await view.target.end();
    },
  };
}

/** Requests a path with the token in the URL of a page. */
export async function getWithToken(pageUrl: string, path: string, init: RequestInit = {}): Promise<Response> {
  const { origin, hash } = new URL(pageUrl);
  return await fetch(`${origin}/${path}`, { ...init, headers: { Authorization: `Bearer ${hash.slice(1)}` } });
}

/** Yields the messages that a page receives. */
export async function* messages(pageUrl: string, signal?: AbortSignal): AsyncGenerator<Message> {
  const response = await getWithToken(pageUrl, "events", signal === undefined ? {} : { signal });
  let text = "";
  const decoder = new TextDecoder();
  for await (const bytes of response.body ?? []) {
    text += decoder.decode(bytes, { stream: true });
    for (let end; (end = text.indexOf("\n\n")) >= 0;) {
      const line = text.slice(0, end);
      text = text.slice(end + 2);
      if (line.startsWith("data: ")) yield JSON.parse(line.slice("data: ".length)) as Message;
    }
  }
}

/** Waits until the loop is in this state, as a page sees it. */
export async function untilRun(pageUrl: string, run: LoopState["run"]): Promise<void> {
  for await (const message of messages(pageUrl)) {
    const state = message.kind === "hello" ? message.state : message;
    if (state.kind === "state" && state.run === run) return;
  }
}
