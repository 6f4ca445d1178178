// Whether strace(1) works here. It needs ptrace(2), which a container may forbid.

export const canTrace: boolean =
  Bun.which("strace") !== null && Bun.spawnSync(["strace", "-qq", "true"]).exitCode === 0;
