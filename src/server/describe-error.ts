// Describes errors that an application has thrown, without the stack frames of this package.

import { packageRoot } from "../kernel/package-root.ts";

/** Part of this package's stack frames, which do not help the author of an application. */
const OWN_FRAME = `(${packageRoot}/src/`;

const MAX_TARGET_LENGTH = 200;

/** Returns the text of an error that `onError` received: where it came from, and the error with its stack. */
export function describeHandlerError(error: unknown, request: Request | undefined): string {
  if (request === undefined) return `error in fetch: ${describeThrown(error)}`;
  const { method, url } = request;
  const target = url.replace(/^\w+:\/\/[^/?]*/, "");
  const shown = target.length > MAX_TARGET_LENGTH ? `${target.slice(0, MAX_TARGET_LENGTH)}...` : target;
  return `error in fetch, ${method} ${shown}: ${describeThrown(error)}`;
}

/** Returns the text of an error that an application threw, with its stack up to the application's own frames. */
export function describeThrown(error: unknown): string {
  if (!(error instanceof Error) || error.stack === undefined) return Bun.inspect(error);
  return error.stack
    .split("\n")
    .filter((line) => !line.includes(OWN_FRAME))
    .join("\n");
}
