// The source file of a command, such as server.py in `python3 server.py 8800`.

import { nodeFs } from "../../kernel/node-fs.ts";
import type { ProcessSelection } from "./thread-messages.ts";

/** Interpreters whose first argument that is a file is the program. */
const SOURCE_FILE = /\.(?:py|[cm]?[jt]sx?|rb|pl|php|lua|sh)$/;

/** Returns the absolute path of the first argument that is a source file; otherwise that of the executable, if it is known. */
export function scriptOf({ target }: ProcessSelection): string | undefined {
  const { realpathSync, readFileSync, readlinkSync, statSync } = nodeFs();
  try {
    const words =
      "command" in target
        ? target.command
        : readFileSync(`/proc/${target.pid}/cmdline`, "utf8")
            .split("\0")
            .filter((word) => word !== "");
    const directory = "command" in target ? process.cwd() : readlinkSync(`/proc/${target.pid}/cwd`);
    const { resolve } = process.getBuiltinModule("node:path");
    for (const word of words.slice(1)) {
      const path = resolve(directory, word);
      if (SOURCE_FILE.test(word) && statSync(path, { throwIfNoEntry: false })?.isFile()) return realpathSync(path);
    }
    return "pid" in target ? readlinkSync(`/proc/${target.pid}/exe`) : undefined;
  } catch {
    return undefined;
  }
}
