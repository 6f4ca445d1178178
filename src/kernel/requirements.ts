// What the package needs to run: Linux on x86-64 or arm64, and a recent Bun.

import { EMFILE, ENFILE } from "./errno.ts";

const MIN_BUN = { major: 1, minor: 4 };

/**
 * Checks the platform. Importing the package succeeds everywhere; its first use calls this function.
 *
 * @throws {Error} with one sentence that says what is missing
 */
export function checkRequirements(): void {
  const { platform, arch, versions } = process;
  const runtime = versions.bun === undefined ? `Node.js ${versions.node}` : `Bun ${versions.bun}`;
  const here = `this is ${runtime} on ${platform} ${arch}`;
  if (platform !== "linux") throw new Error(`epoll-hello needs Linux, because epoll exists only there; ${here}.`);
  const [major = 0, minor = 0] = (versions.bun ?? "0.0").split(".").map(Number);
  if (major < MIN_BUN.major || (major === MIN_BUN.major && minor < MIN_BUN.minor)) {
    throw new Error(`epoll-hello needs Bun ${MIN_BUN.major}.${MIN_BUN.minor} or newer; ${here}.`);
  }
  if (arch !== "x64" && arch !== "arm64") throw new Error(`epoll-hello needs x86-64 or arm64; ${here}.`);
}

/** Returns one sentence that says why bun:ffi cannot load or compile code, and what to change. */
export function explainFfiError(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (!/\bJIT\b/.test(message)) return `epoll-hello's C code cannot be compiled: ${message}`;
  const { BUN_JSC_useJIT } = process.env;
  const remedy =
    BUN_JSC_useJIT === undefined
      ? "remove MemoryDenyWriteExecute=yes from the systemd unit, or another setting that forbids executable memory, " +
        "such as PR_SET_MDWE or a limit of virtual memory (ulimit -v)"
      : `unset the environment variable BUN_JSC_useJIT (it is ${JSON.stringify(BUN_JSC_useJIT)})`;
  return `epoll-hello needs Bun's JIT, which cannot run in this process: ${remedy}.`;
}

/** Returns a hint for an error of memfd_create or write, without which the C code cannot be passed to the compiler. */
export function explainMemfdError(errno: number): string {
  const remedy =
    errno === EMFILE || errno === ENFILE
      ? "close some files, or raise the limit (ulimit -n, LimitNOFILE=)"
      : "allow memfd_create(2), which a seccomp filter may forbid (SystemCallFilter= in a systemd unit)";
  return `epoll-hello's C code cannot be compiled; ${remedy}`;
}
