#!/usr/bin/env sh
":" //; if command -v bun >/dev/null; then file=$(readlink -f "$0"); exec bun "${file%/*}/../src/tools/cli/main.ts" "$@"; fi
":" //; echo "epoll-hello needs Bun 1.4 or newer: https://bun.sh" >&2; exit 127

// The launcher of the command. As a shell script (the lines above, which JavaScript reads as an expression and a comment) it
// becomes Bun, or says that Bun is missing. As a module it does the same for `node` and `bun`, which ignore the first line.

if (process.versions.bun === undefined) {
  console.error("epoll-hello needs Bun 1.4 or newer: https://bun.sh");
  process.exit(127);
}
await import("../src/tools/cli/main.ts");
