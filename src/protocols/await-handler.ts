// The results of handlers that may be async.

/** Throws the error of an async handler if its promise has already rejected; if it rejects later, calls `onRejected`. */
export function awaitHandler(result: unknown, onRejected: (error: unknown) => void): void {
  if (typeof (result as PromiseLike<unknown> | undefined | null)?.then !== "function") return;
  if (result instanceof Promise && Bun.peek.status(result) === "rejected") {
    result.catch(() => {}); // otherwise Bun reports it as unhandled
    throw Bun.peek(result);
  }
  void (result as PromiseLike<unknown>).then(undefined, onRejected);
}
