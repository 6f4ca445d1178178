// A subscription to the server's messages, which reconnects by itself unless the server rejects the token.

import type { Message } from "../messages.ts";

/** A message from the server, or news about the connection to it. */
export type StreamMessage =
  | Message
  | { kind: "connected" }
  | { kind: "disconnected" }
  /** The server rejects the stream, and says why. It is tried again only if `isFinal` is false. */
  | { kind: "rejected"; reason: string; isFinal: boolean };

const RETRY_MS = 1_000;

/** Reads the stream for as long as the page or worker exists. An EventSource could neither send a token nor report why it was rejected. */
export async function readEvents(token: string, onMessage: (message: StreamMessage) => void): Promise<void> {
  for (;;) {
    const response = await fetch("/events", { headers: { Authorization: `Bearer ${token}` } }).catch(() => undefined);
    if (response?.ok === true) {
      onMessage({ kind: "connected" });
      await readStream(response, onMessage).catch(() => {});
    }
    if (response === undefined || response.ok) {
      onMessage({ kind: "disconnected" });
    } else {
      const isFinal = response.status === 401 || response.status === 403;
      onMessage({ kind: "rejected", reason: (await response.text().catch(() => "")).trim(), isFinal });
      if (isFinal) return;
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/** @see https://html.spec.whatwg.org/multipage/server-sent-events.html */
async function readStream(response: Response, onMessage: (message: StreamMessage) => void): Promise<void> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const result = await reader?.read();
    if (result === undefined || result.done) return;
    text += result.value;
    for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
      if (text.startsWith("data: ")) onMessage(JSON.parse(text.slice("data: ".length, end)) as Message);
    }
  }
}
