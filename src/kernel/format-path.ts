// Display form of unix socket paths, which may contain NUL and bytes that are not UTF-8.

/**
 * Formats a path for display: `@` for the NUL of an abstract name, and `\xff` for a byte that is not UTF-8, which
 * `decodePath` has decoded to a lone surrogate.
 */
export function formatPath(path: string): string {
  return path
    .replaceAll("\0", "@")
    .replace(/[\u{dc80}-\u{dcff}]/gu, (escaped) => `\\x${(escaped.charCodeAt(0) - 0xdc00).toString(16)}`);
}
