#!/usr/bin/env sh
":" //; if command -v bun >/dev/null; then file=$(readlink -f "$0"); root=${file%/*}/..
":" //; for main in "$root/dist/tools/cli/main.js" "$root/src/tools/cli/main.ts"; do [ -e "$main" ] && exec bun "$main" "$@"; done; fi
":" //; echo "cannot find bun in PATH; epoll-hello needs Bun 1.4 or newer: https://bun.sh" >&2; exit 127

// The launcher of the command, both a shell script and a JavaScript module. A shell runs the lines above, which replace it with Bun
// or report that Bun is missing. For JavaScript, each of these lines is a string and a comment, and the code below does the same.
// In a clone of the repository that has not been built, the command runs from its sources.

if (process.versions.bun === undefined) {
  console.error("epoll-hello needs Bun 1.4 or newer: https://bun.sh");
  process.exit(127);
}
const built = new URL("../dist/tools/cli/main.js", import.meta.url);
await import((await Bun.file(built).exists()) ? built.href : "../src/tools/cli/main.ts");
