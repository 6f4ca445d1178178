// class ElfError: a file that is not an ELF file, or not one that Bun can load as a native addon.

/**
 * - `ERR_NOT_ELF`: another kind of file, such as one for Windows or macOS, a text file, or an empty one
 * - `ERR_ELF_FOREIGN`: an ELF file for another machine
 * - `ERR_ELF_TRUNCATED`: the file is shorter than its header says
 * - `ERR_ELF_DAMAGED`: its tables contradict each other
 * - `ERR_ELF_NOT_ADDON`: a valid ELF file that is not a shared object with dynamic symbols
 */
export type ElfErrorCode =
  | "ERR_NOT_ELF"
  | "ERR_ELF_FOREIGN"
  | "ERR_ELF_TRUNCATED"
  | "ERR_ELF_DAMAGED"
  | "ERR_ELF_NOT_ADDON";

/** Thrown when a file is not a native addon for this machine. The message names the file and says what to do. */
export class ElfError extends Error {
  override readonly name: string = "ElfError";
  readonly code: ElfErrorCode;
  /** The file. */
  readonly path: string;
  /** What is wrong, without the file's name: `"is truncated: …"`. */
  readonly reason: string;

  /**
   * @param reason completes a sentence that begins with the file's name: `"is empty"`
   * @param remedy what to do, as a sentence without a period
   */
  constructor(code: ElfErrorCode, path: string, reason: string, remedy: string = REINSTALL) {
    super(`${path} ${reason}: ${remedy}`);
    this.code = code;
    this.path = path;
    this.reason = reason;
  }
}

export const REINSTALL = "reinstall its package on this machine";
