// Holds an exclusive lock on the file that the argument names, until standard input ends.

import { openSync } from "node:fs";
import fsx from "fs-native-extensions";

if (!fsx.tryLock(openSync(process.argv[2], "r+"))) process.exit(2);
process.stdout.write("locked");
process.stdin.resume().on("end", () => process.exit(0));
