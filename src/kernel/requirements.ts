// What the package needs to run: Linux on x86-64 or arm64, and a recent Bun.

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
