// One request and its reply, in the queue of its connection.

import type { RequestBody } from "./request-body.ts";
import type { RequestHead } from "./request-head.ts";
import type { BodyWriter } from "./body-writer.ts";
import type { SerializedResponse } from "./static-response.ts";
import type { ServerRequest } from "./server-request.ts";
import type { PreparedResponse } from "./response.ts";

export class Exchange {
  /** undefined: what came was refused before it was understood. */
  readonly head: RequestHead | undefined;
  readonly body: RequestBody | undefined;
  /** What a handler has of it. */
  request: ServerRequest | undefined;
  /** The reply, once there is one: a static one, or a handler's. */
  reply: SerializedResponse | PreparedResponse | undefined;
  /** Its reply is on its way, piece by piece. */
  pump: BodyWriter | undefined;
  /** The reply is the connection's last. */
  closes: boolean = false;
  /** `100 Continue`: the client waits for it, it shall have it, it has it. */
  continues: "no" | "awaited" | "due" | "sent";
  /** Nothing is done for it any more: it is over, or the connection has gone. */
  isDead: boolean = false;
  /** Its line as it came, if it has no head. */
  line: string = "";

  constructor(head: RequestHead | undefined, body: RequestBody | undefined) {
    this.head = head;
    this.body = body;
    this.continues = head?.expectsContinue === true ? "awaited" : "no";
  }

  /** Whether the client waits for an application, which does nothing that the loop could tell of. */
  get isStuck(): boolean {
    if (this.pump !== undefined) return !this.pump.isAwaitingRoom && !this.#isInputAwaited;
    return this.reply === undefined && !this.#isInputAwaited;
  }

  get #isInputAwaited(): boolean {
    return this.body !== undefined && this.body.isTouched && !this.body.isComplete && this.body.error === undefined;
  }
}
