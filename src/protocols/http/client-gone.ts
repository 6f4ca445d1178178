// The error that is reported when a client disconnects.

/** Returns the reason for aborting a request's signal and body, and for canceling its response's stream. */
export const clientGoneError = (): Error => new DOMException("The client closed the connection.", "AbortError");
