// A directory for generated files, removed at exit.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const scratch: string = mkdtempSync(join(tmpdir(), "epoll-hello-bench-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));
