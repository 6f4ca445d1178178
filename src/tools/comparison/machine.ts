// The machine that figures are from, as far as it matters for them, and without its name.

import { availableParallelism, cpus, release } from "node:os";

export interface Machine {
  /** The processor's model. */
  readonly cpu: string;
  /** How many of its cores this process may use. */
  readonly cores: number;
  /** The kernel's release: `6.12.0`. */
  readonly kernel: string;
  /** `x64` or `arm64`. */
  readonly arch: string;
  /** Bun's version. */
  readonly bun: string;
}

export function thisMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.replace(/\s+/g, " ").trim() || "unknown processor", // many an arm64 kernel does not say
    cores: availableParallelism(),
    kernel: release(),
    arch: process.arch,
    bun: process.versions.bun ?? "none",
  };
}

/** `AMD EPYC 9354, 2 cores, x64; Linux 6.12.0; Bun 1.4.0` */
export function describeMachine({ cpu, cores, kernel, arch, bun }: Machine): string {
  return `${cpu}, ${cores} core${cores === 1 ? "" : "s"}, ${arch}; Linux ${kernel}; Bun ${bun}`;
}
