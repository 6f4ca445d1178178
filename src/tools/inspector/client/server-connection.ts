// The page's connection to the inspector server: the event stream, queries, and commands with the token.

import type { Message, PageCommand } from "../messages.ts";

const TOKEN_KEY = "epoll-hello-token";

export interface ConnectionListeners {
  onMessage(message: Message): void;
  onConnectedChange(isConnected: boolean): void;
}

export class ServerConnection {
  readonly #token: string = takeToken();
  readonly #listeners: ConnectionListeners;

  constructor(listeners: ConnectionListeners) {
    this.#listeners = listeners;
  }

  /** Subscribes to the server's messages. The browser reconnects by itself. */
  open(): void {
    const stream = new EventSource("/events");
    stream.addEventListener("message", ({ data }) => this.#listeners.onMessage(JSON.parse(data as string) as Message));
    stream.addEventListener("open", () => this.#listeners.onConnectedChange(true));
    stream.addEventListener("error", () => this.#listeners.onConnectedChange(false));
  }

  /** Returns whether the server accepts commands from this page. */
  async canControl(): Promise<boolean> {
    if (this.#token === "") return false;
    const response = await this.send({ kind: "check-token" });
    return response?.ok === true;
  }

  /** Sends a command. Returns undefined if the server does not respond. */
  send(command: PageCommand): Promise<Response | undefined> {
    return this.post("/commands", command);
  }

  async post(path: string, body: object): Promise<Response | undefined> {
    return await fetch(path, {
      method: "POST",
      headers: { Authorization: `Bearer ${this.#token}`, "Content-Type": "application/json" },
      body: JSON.stringify(body),
    }).catch(() => undefined);
  }

  async get(path: string): Promise<Response | undefined> {
    return await fetch(path).catch(() => undefined);
  }

  /** Returns undefined if the request fails. */
  async getJson<T>(path: string): Promise<T | undefined> {
    const response = await this.get(path);
    return response?.ok ? ((await response.json()) as T) : undefined;
  }
}

/** Moves the token from the URL, where it could leak, to session storage, where a reload of this tab finds it. */
function takeToken(): string {
  const token = location.hash.slice(1);
  try {
    if (/^[\da-f]{32}$/.test(token)) {
      sessionStorage.setItem(TOKEN_KEY, token);
      history.replaceState(undefined, "", location.pathname);
    }
    return sessionStorage.getItem(TOKEN_KEY) ?? "";
  } catch {
    return token; // storage is disabled
  }
}
