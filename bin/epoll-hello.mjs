#!/usr/bin/env sh
":" //; if command -v bun >/dev/null; then file=$(readlink -f "$0"); exec bun "${file%/*}/../src/tools/cli/main.ts" "$@"; fi
":" //; echo "cannot find bun in PATH; epoll-hello needs Bun 1.4 or newer: https://bun.sh" >&2; exit 127

// The launcher of the command, both a shell script and a JavaScript module. A shell runs the lines above, which replace it with Bun
// or report that Bun is missing. For JavaScript, each of these lines is a string and a comment, and the code below does the same.

if (process.versions.bun === undefined) {
  console.error("epoll-hello needs Bun 1.4 or newer: https://bun.sh");
  process.exit(127);
}
await import("../src/tools/cli/main.ts");
