// The package as users have it: packed, and unpacked into node_modules of an empty project, next to the benchmark's servers.

import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");

/** Creates the project, which is removed at exit. Returns its directory. */
export function installPackage(): string {
  const directory = mkdtempSync(join(tmpdir(), "epoll-hello-bench-"));
  process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
  const copy = join(directory, "copy"); // packing builds dist/, which must not happen in the working tree
  for (const name of readdirSync(root)) {
    if (!/^(\.git|dist|node_modules)$/.test(name)) cpSync(join(root, name), join(copy, name), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  execute([process.execPath, "pm", "pack", "--destination", directory], copy);
  const project = join(directory, "project");
  const modules = join(project, "node_modules");
  mkdirSync(join(modules, "epoll-hello"), { recursive: true });
  const tarball = readdirSync(directory).find((name) => name.endsWith(".tgz")) ?? "none was packed";
  execute(["tar", "--strip-components=1", "-xzf", join(directory, tarball), "-C", join(modules, "epoll-hello")], root);
  mkdirSync(join(modules, ".bin"));
  symlinkSync("../epoll-hello/bin/epoll-hello.mjs", join(modules, ".bin", "epoll-hello"));
  for (const name of ["citty", "consola", "undici", "ws"])
    symlinkSync(join(root, "node_modules", name), join(modules, name));
  cpSync(join(root, "bench", "servers"), join(project, "servers"), { recursive: true });
  return project;
}

/** Runs a command. @throws {Error} if it fails */
export function execute(command: string[], cwd: string): void {
  const { success, stderr } = Bun.spawnSync(command, { cwd, stdout: "ignore", stderr: "pipe" });
  if (!success) throw new Error(`${command.join(" ")}: ${stderr.toString()}`);
}
