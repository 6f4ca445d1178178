// The states of an HTTP connection's input, and the transitions between them. docs/http-connection.md has the diagram.

/**
 * What the next bytes of the input are:
 *
 * - `head`: the head of the next request
 * - `body`: the body of the last request that was read; another request may follow
 * - `last-body`: the same, but no request follows
 * - `discarding`: input that is dropped; it is only received so that the end of stream is noticed
 * - `upgraded`: input of another protocol, which is kept for it
 */
export type InputState = "head" | "body" | "last-body" | "discarding" | "upgraded";

/**
 * - `body-started`: a head announced a body
 * - `body-ended`: the body was received completely
 * - `last-request`: the connection closes after a request that was read, so no other is read
 * - `stopped`: the input was rejected, the rest of a body is not received, or the connection closed
 * - `upgraded`: the last request that was read has changed the protocol
 */
export type InputEvent = "body-started" | "body-ended" | "last-request" | "stopped" | "upgraded";

const transitions: Readonly<Record<InputState, Readonly<Partial<Record<InputEvent, InputState>>>>> = {
  head: { "body-started": "body", "last-request": "discarding", stopped: "discarding", upgraded: "upgraded" },
  body: { "body-ended": "head", "last-request": "last-body", stopped: "discarding" },
  "last-body": { "body-ended": "discarding", stopped: "discarding" },
  discarding: {},
  upgraded: {},
};

/** Returns the state after an event. Events that a state does not list leave it unchanged. */
export function nextInputState(state: InputState, event: InputEvent): InputState {
  return transitions[state][event] ?? state;
}
