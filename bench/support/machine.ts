// The hardware and the versions of the programs that a benchmark ran with, as one line.

import { readFileSync } from "node:fs";
import { cpus, release } from "node:os";

export function machine(): string {
  const model = cpus()[0]?.model.trim() ?? "unknown processor";
  return `${model}, ${cpus().length} cores, Linux ${release().split("-")[0]}; ${versions().join(", ")}`;
}

function versions(): string[] {
  const versionOf = (tool: string, ...command: string[]): string[] => {
    if (Bun.which(tool) === null) return [];
    const { stdout, stderr } = Bun.spawnSync([tool, ...command]);
    const number = /\d+\.\d+(\.\d+)?/.exec(`${stdout}${stderr}`)?.[0];
    return number === undefined ? [] : [`${tool} ${number}`];
  };
  const own = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };
  return [
    `epoll-hello ${own.version}`,
    `Bun ${Bun.version}`,
    ...versionOf("node", "--version"),
    ...versionOf("python3", "--version"),
    ...versionOf("nginx", "-v"),
    ...versionOf("cc", "--version"),
    ...versionOf("wrk", "--version"),
  ];
}
