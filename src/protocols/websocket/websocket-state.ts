// The states of a WebSocket and the transitions between them, in one table. docs/websockets.md has the diagram.

/**
 * - `open`: both sides may send messages
 * - `pinged`: the same; the peer has been quiet, and was sent a ping
 * - `closing`: a Close frame was sent, or the peer has left: nothing more is sent or delivered
 * - `closed`: the connection is closed
 */
export type WebSocketState = "open" | "pinged" | "closing" | "closed";

/**
 * - `received`: bytes arrived
 * - `quiet`: the peer has sent nothing for the length of a timeout
 * - `ended`: a Close frame was sent or received, the connection is to be closed, or the peer has closed its side
 * - `closed`: the connection is closed
 */
export type WebSocketEvent = "received" | "quiet" | "ended" | "closed";

const transitions: Readonly<Record<WebSocketState, Readonly<Partial<Record<WebSocketEvent, WebSocketState>>>>> = {
  open: { quiet: "pinged", ended: "closing", closed: "closed" },
  pinged: { received: "open", ended: "closing", closed: "closed" },
  closing: { closed: "closed" },
  closed: {},
};

/** Returns the state after an event. Events that a state does not list leave it unchanged. */
export function nextWebSocketState(state: WebSocketState, event: WebSocketEvent): WebSocketState {
  return transitions[state][event] ?? state;
}
