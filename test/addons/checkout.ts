// The folder in which an addon's own tests run: a copy of the installed package, with the tests of its repository laid over it.

import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import type { Suite } from "./suites.ts";

/** The folder of the addons, with their package.json. */
export const here: string = import.meta.dirname;
/** Inside node_modules, so that the tests resolve their dependencies there, and no other tool looks into it. */
export const suitesFolder: string = join(here, "node_modules", ".suites");

/** Returns the installed version of a package. */
export function installedVersion(name: string): string {
  return (JSON.parse(readFileSync(join(here, "node_modules", name, "package.json"), "utf8")) as { version: string })
    .version;
}

/** Runs a program to its end and returns whether it succeeded, and what it printed. */
async function succeeds(command: readonly string[], timeout: number): Promise<{ ok: boolean; output: string }> {
  const program = Bun.spawn([...command], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout,
    env: { ...process.env, GIT_TERMINAL_PROMPT: "0" },
  });
  const [out, error] = await Promise.all([program.stdout.text(), program.stderr.text(), program.exited]);
  return { ok: program.exitCode === 0, output: out + error };
}

/** Returns the Git directory of a repository: one of the existing checkouts, or else a shallow fetch of `ref` from GitHub. */
async function repositoryAt(repository: string, ref: string, checkouts: string | undefined): Promise<string | Error> {
  const [owner, name] = repository.split("/") as [string, string];
  if (checkouts !== undefined) {
    const candidates = [`${owner}/${name}`, `${owner}+${name}/repo`, `${owner}+${name}`, name];
    const found = candidates.map((candidate) => join(checkouts, candidate)).find((path) => existsSync(path));
    if (found !== undefined) {
      if ((await succeeds(["git", "-C", found, "rev-parse", "--verify", `${ref}^{commit}`], 30_000)).ok) return found;
      return new Error(`the checkout ${found} has no ${ref}`);
    }
  }
  const folder = join(suitesFolder, "repositories", owner, name);
  if ((await succeeds(["git", "-C", folder, "rev-parse", "--verify", "fetched"], 30_000)).ok) return folder;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const url = `https://github.com/${repository}.git`;
  await succeeds(["git", "init", "--quiet", folder], 30_000);
  const fetched = await succeeds(["git", "-C", folder, "fetch", "--quiet", "--depth", "1", url, ref], 120_000);
  if (!fetched.ok) return new Error(`${url} can't be fetched, and --checkouts names no folder with it`);
  await succeeds(["git", "-C", folder, "tag", "fetched", "FETCH_HEAD"], 30_000);
  return folder;
}

/**
 * Prepares the folder of a suite and returns its path.
 * Returns an Error, with the reason, if the tests can't be had.
 */
export async function prepareSuite(suite: Suite, checkouts: string | undefined): Promise<string | Error> {
  if (suite.source === "here") return here;
  const packageName = suite.packageName ?? suite.addon;
  const folder = join(suitesFolder, suite.addon);
  rmSync(folder, { recursive: true, force: true });
  cpSync(join(here, "node_modules", packageName), folder, { recursive: true });
  if (suite.source === "package") return folder;
  const { repository, ref } = suite.source;
  const git = await repositoryAt(repository, ref, checkouts);
  if (git instanceof Error) return git;
  const commit = git.startsWith(suitesFolder) ? "fetched" : ref;
  const archive = join(suitesFolder, "tests.tar");
  const pathspecs = [...(suite.take ?? [])];
  for (;;) {
    const archived = await succeeds(["git", "-C", git, "archive", "--output", archive, commit, ...pathspecs], 60_000);
    if (archived.ok) break;
    // A checkout may lack its largest files. A test that needs one fails on both runtimes.
    const lacking = /invalid object .* for '(.*)'/.exec(archived.output)?.[1];
    if (lacking === undefined || pathspecs.includes(`:(exclude)${lacking}`))
      return new Error(`${repository} at ${ref}: ${archived.output.trim()}`);
    pathspecs.push(`:(exclude)${lacking}`);
  }
  const unpacked = await succeeds(["tar", "-xf", archive, "-C", folder], 60_000);
  rmSync(archive, { force: true });
  if (!unpacked.ok) return new Error(`tar failed: ${unpacked.output.trim()}`);
  for (const [path, target] of Object.entries(suite.links ?? {})) {
    rmSync(join(folder, path), { recursive: true, force: true });
    symlinkSync(target, join(folder, path));
  }
  return folder;
}
