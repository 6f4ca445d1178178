// Why a request is refused: each reason with the status that RFC 9110 gives it, and a sentence for who reads the reply.

/** What was wrong with a request, or with the moment it came at. */
export type RejectionReason =
  | "bad-request"
  | "method-not-allowed"
  | "header-timeout"
  | "body-timeout"
  | "length-required"
  | "body-too-large"
  | "target-too-long"
  | "expectation-failed"
  | "header-too-large"
  | "not-implemented"
  | "too-many-connections"
  | "version-not-supported";

/** Of each reason: the status, and the sentence that the reply has for its body. */
export const rejections: Readonly<Record<RejectionReason, { status: number; message: string }>> = {
  "bad-request": { status: 400, message: "The request is malformed." },
  "method-not-allowed": { status: 405, message: "This method is not allowed here." },
  "header-timeout": { status: 408, message: "The request's head did not become complete in time." },
  "body-timeout": { status: 408, message: "The request's body came too slowly." },
  "length-required": { status: 411, message: "The request needs a Content-Length." },
  "body-too-large": { status: 413, message: "The request's body is too large." },
  "target-too-long": { status: 414, message: "The request's target is too long." },
  "expectation-failed": { status: 417, message: "The only expectation that is met here is 100-continue." },
  "header-too-large": { status: 431, message: "The request's head is too large." },
  "not-implemented": { status: 501, message: "This method or transfer coding is not implemented." },
  "too-many-connections": { status: 503, message: "There are too many connections from this address." },
  "version-not-supported": { status: 505, message: "Only HTTP/1.0 and HTTP/1.1 are spoken here." },
};

/** How many requests were refused, by reason. */
export type RejectionCounts = Record<RejectionReason, number>;

export function noRejections(): RejectionCounts {
  return Object.fromEntries(Object.keys(rejections).map((reason) => [reason, 0])) as RejectionCounts;
}

/** What may be done with a resource, for Allow. */
export const ALLOWED_METHODS: string = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
