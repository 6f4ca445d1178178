// Prints the lines of native-addons.cjs as a table, and exits with 1 if a check failed or the program ended early.
import { readFileSync } from "node:fs";

let isComplete = false;
let failures = 0;
for (const line of readFileSync(0, "utf8").split("\n")) {
  if (!line.startsWith('{"check"')) {
    if (line !== "") console.log(`  ${line}`);
    continue;
  }
  const { check, result, detail } = JSON.parse(line);
  console.log(`  ${check.padEnd(28)} ${result.padEnd(7)} ${detail}`);
  if (result === "FAILED") failures++;
  if (check === "functions used") isComplete = true;
}
if (!isComplete) console.log("  the program ended early");
process.exitCode = isComplete && failures === 0 ? 0 : 1;
