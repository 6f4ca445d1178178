// Reasons for rejecting a request, each with the status and the message of its response.

/**
 * Why a request was rejected.
 *
 * - `bad-request` (400): the request is malformed or ambiguous
 * - `bad-proxy-header` (400): the connection does not begin with a header of the PROXY protocol, as `proxyProtocol` requires
 * - `unexpected-http` (400): a plain HTTP request was sent to a server with `tls`
 * - `unexpected-tls` (400): a TLS handshake was sent to a server without `tls`
 * - `method-not-allowed` (405): CONNECT or TRACE
 * - `header-timeout` (408): the head was not complete within `headerTimeoutMs`
 * - `body-timeout` (408): the body arrived more slowly than `bodyTimeoutMs` and `minBodyRate` allow
 * - `length-required` (411): an HTTP/1.0 request with a body has no Content-Length
 * - `body-too-large` (413): the body exceeds `maxBodyBytes`
 * - `target-too-long` (414): the target exceeds `maxTargetBytes`
 * - `expectation-failed` (417): Expect has another value than `100-continue`
 * - `header-too-large` (431): the head exceeds `maxHeaderBytes` or `maxHeaderCount`, or a chunked body has too much framing
 * - `not-implemented` (501): the method is unknown, or the body has another transfer coding than chunked
 * - `handler-timeout` (503): the handler did not respond within `handlerTimeoutMs`
 * - `overloaded` (503): more than `maxBufferedBytes` were buffered when the request arrived, or no fd was free to load the HTTP
 *   parser
 * - `too-many-connections` (503): the address has more than `maxConnectionsPerAddress` connections
 * - `version-not-supported` (505): the major version is not 1
 *
 * @see RFC 9110, 15
 */
export type RejectionReason =
  | "bad-request"
  | "bad-proxy-header"
  | "unexpected-http"
  | "unexpected-tls"
  | "method-not-allowed"
  | "header-timeout"
  | "body-timeout"
  | "length-required"
  | "body-too-large"
  | "target-too-long"
  | "expectation-failed"
  | "header-too-large"
  | "not-implemented"
  | "handler-timeout"
  | "overloaded"
  | "too-many-connections"
  | "version-not-supported";

/** Status and message of each rejection. The message is the body of the response. */
export const rejections: Readonly<Record<RejectionReason, { status: number; message: string }>> = {
  "bad-request": { status: 400, message: "The request is malformed." },
  "bad-proxy-header": { status: 400, message: "The connection does not begin with a PROXY protocol header." },
  "unexpected-http": {
    status: 400,
    message: "A plain HTTP request was sent to an HTTPS port. Use https:// in the URL.",
  },
  "unexpected-tls": { status: 400, message: "A TLS handshake was sent to an HTTP port. Use http:// in the URL." },
  "method-not-allowed": { status: 405, message: "This method is not allowed." },
  "header-timeout": { status: 408, message: "The request's header was not received in time." },
  "body-timeout": { status: 408, message: "The request's body was received too slowly." },
  "length-required": { status: 411, message: "The request needs a Content-Length." },
  "body-too-large": { status: 413, message: "The request's body is too large." },
  "target-too-long": { status: 414, message: "The request's target is too long." },
  "expectation-failed": { status: 417, message: "The only supported expectation is 100-continue." },
  "header-too-large": { status: 431, message: "The request's header is too large." },
  "not-implemented": { status: 501, message: "This method or transfer coding is not implemented." },
  "handler-timeout": { status: 503, message: "The request was not answered in time." },
  overloaded: { status: 503, message: "The server is overloaded. Try again later." },
  "too-many-connections": { status: 503, message: "There are too many connections from this address." },
  "version-not-supported": { status: 505, message: "Only HTTP/1.0 and HTTP/1.1 are supported." },
};

/**
 * The number of requests rejected for each reason. For `too-many-connections`, `bad-proxy-header`, `unexpected-http` and
 * `unexpected-tls`, the number of connections.
 */
export type RejectionCounts = Record<RejectionReason, number>;

/** Returns counts that are all zero. */
export function noRejections(): RejectionCounts {
  return Object.fromEntries(Object.keys(rejections).map((reason) => [reason, 0])) as RejectionCounts;
}

/** The value of Allow. */
export const ALLOWED_METHODS: string = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
