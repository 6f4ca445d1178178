// The page's connection to the inspector server: the event stream, queries, and commands, all with the token.

import type { PageCommand } from "../messages.ts";
import { readEvents, type StreamMessage } from "./event-subscription.ts";

const TOKEN_KEY = "epoll-hello-token";
/** A token, and the event that a link names. */
const TOKEN_HASH = /^#([\da-f]{32})(?:&(e=\d+))?$/;
const QUERY_TIMEOUT_MS = 10_000;
const COMMAND_TIMEOUT_MS = 5_000;

export class ServerConnection {
  readonly #token: string = takeToken();
  readonly #onMessage: (message: StreamMessage) => void;

  constructor(onMessage: (message: StreamMessage) => void) {
    this.#onMessage = onMessage;
  }

  /** Subscribes to the server's messages, through a worker that all tabs share, if the browser has shared workers. */
  open(): void {
    // The URL with a new token differs from the open one only in its fragment, so it does not load the page again.
    addEventListener("hashchange", () => TOKEN_HASH.test(location.hash) && location.reload());
    addEventListener("pageshow", (event) => (event as PageTransitionEvent).persisted && location.reload());
    if (typeof SharedWorker === "undefined") void readEvents(this.#token, this.#onMessage);
    else this.#openShared();
  }

  #openShared(): void {
    const worker = new SharedWorker("/stream-worker.js", { name: this.#token, type: "module" });
    worker.addEventListener("error", () => void readEvents(this.#token, this.#onMessage), { once: true });
    worker.port.addEventListener("message", ({ data }) => this.#onMessage(data as StreamMessage));
    worker.port.start();
    addEventListener("pagehide", () => worker.port.postMessage("closed"));
  }

  /** Sends a command. Returns the reason why it was not executed; undefined if it was. */
  async send(command: PageCommand): Promise<string | undefined> {
    const response = await this.post("/commands", command);
    if (response === undefined) {
      return `The server did not respond to the command within ${COMMAND_TIMEOUT_MS / 1_000} s. It may have stopped.`;
    }
    return response.ok ? undefined : await response.text();
  }

  /** Returns undefined if the server does not respond in time. */
  async post(path: string, body: object, timeoutMs: number = COMMAND_TIMEOUT_MS): Promise<Response | undefined> {
    return await fetch(path, {
      method: "POST",
      headers: { ...this.#authorization, "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(timeoutMs),
    }).catch(() => undefined);
  }

  /** Returns undefined if the server does not respond in time. */
  async get(path: string): Promise<Response | undefined> {
    const signal = AbortSignal.timeout(QUERY_TIMEOUT_MS);
    return await fetch(path, { headers: this.#authorization, signal }).catch(() => undefined);
  }

  /** Returns undefined if the request fails. */
  async getJson<T>(path: string): Promise<T | undefined> {
    const response = await this.get(path);
    return response?.ok ? ((await response.json().catch(() => undefined)) as T | undefined) : undefined;
  }

  get #authorization(): Record<string, string> {
    return { Authorization: `Bearer ${this.#token}` };
  }
}

/** Moves the token from the URL, where it could leak, to session storage, where a reload of this tab finds it. */
function takeToken(): string {
  const [, token = "", event] = TOKEN_HASH.exec(location.hash) ?? [];
  try {
    if (token !== "") {
      sessionStorage.setItem(TOKEN_KEY, token);
      history.replaceState(undefined, "", location.pathname + (event === undefined ? "" : `#${event}`));
    }
    return sessionStorage.getItem(TOKEN_KEY) ?? "";
  } catch {
    return token; // storage is disabled
  }
}
