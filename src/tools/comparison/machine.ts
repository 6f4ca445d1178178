// The machine that a measurement was made on: processor, kernel and Bun version, without the host name.

import { availableParallelism, cpus, release } from "node:os";

export interface Machine {
  /** The processor model. */
  readonly cpu: string;
  /** The number of cores that this process may use. */
  readonly cores: number;
  /** The kernel release: `6.12.0`. */
  readonly kernel: string;
  /** `x64` or `arm64`. */
  readonly arch: string;
  /** The version of Bun. */
  readonly bun: string;
}

export function thisMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.replace(/\s+/g, " ").trim() || "unknown processor", // arm64 kernels often report no model
    cores: availableParallelism(),
    kernel: release(),
    arch: process.arch,
    bun: process.versions.bun ?? "none",
  };
}

/** Returns `AMD EPYC 9354, 2 cores, x64; Linux 6.12.0; Bun 1.4.0`. */
export function formatMachine({ cpu, cores, kernel, arch, bun }: Machine): string {
  return `${cpu}, ${cores} core${cores === 1 ? "" : "s"}, ${arch}; Linux ${kernel}; Bun ${bun}`;
}
