// Runs shell commands as a reader of the documentation would, and interrupts those that listen.

const RUN_LIMIT_MS = 30_000;

let running: Bun.Subprocess[] = [];

/** Kills every command that is still running. */
export function killShells(): void {
  for (const { pid } of running) signalGroup(pid, "SIGKILL");
}

/** What a command printed, and how it ended. */
export interface Outcome {
  stdout: string;
  stderr: string;
  code: number;
  /** The port that the program listens on. */
  port: number | undefined;
}

export interface RunOptions {
  /** A directory that comes first in PATH. */
  bin: string;
  /** Written to standard input. */
  input?: string;
  /** Commands for another shell while the program listens. `declaredPort` in them is replaced by the real port. */
  attempts?: string[];
  declaredPort?: number;
  /** SIGINT is sent once this many lines are printed. */
  minLines?: number;
}

/** Returns the first port in what a program printed: the one that it listens on. */
function portIn(text: string): number | undefined {
  const [, afterAddress, named] =
    /(?:localhost|127\.0\.0\.1|\[::1?\]|0\.0\.0\.0):(\d+)|\bport:? (\d+)/.exec(text) ?? [];
  const port = afterAddress ?? named;
  return port === undefined ? undefined : Number(port);
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // it has exited
  }
}

/** Runs a shell command to its end. Once it prints that it is listening, runs `attempts` and sends it SIGINT. */
export async function runShell(command: string, cwd: string, options: RunOptions): Promise<Outcome> {
  const child = Bun.spawn(["sh", "-c", command], {
    cwd,
    detached: true, // a process group of its own, which SIGINT goes to as from a terminal
    env: { ...process.env, PATH: `${options.bin}:${process.env["PATH"]}:/usr/sbin:/sbin`, NO_COLOR: "1" },
    stdin: options.input === undefined ? "ignore" : new TextEncoder().encode(options.input),
    stdout: "pipe",
    stderr: "pipe",
  });
  running.push(child);
  const limit = setTimeout(() => signalGroup(child.pid, "SIGKILL"), RUN_LIMIT_MS);
  const outcome: Outcome = { stdout: "", stderr: "", code: 0, port: undefined };
  let isListening = false;
  let onOutput = Promise.withResolvers<void>();
  const listens = async (): Promise<void> => {
    isListening = true;
    outcome.port = portIn(outcome.stdout);
    for (const attempt of options.attempts ?? []) {
      const text = attempt.replaceAll(`:${options.declaredPort}`, `:${outcome.port}`);
      await runShell(text, cwd, { bin: options.bin });
    }
    while (outcome.stdout.split("\n").length <= (options.minLines ?? 0)) await onOutput.promise;
    signalGroup(child.pid, "SIGINT");
  };
  const gather = async (stream: ReadableStream<Uint8Array>, to: "stdout" | "stderr"): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      outcome[to] += decoder.decode(bytes, { stream: true });
      onOutput.resolve();
      onOutput = Promise.withResolvers();
      if (
        to === "stdout" &&
        options.input === undefined &&
        !isListening &&
        /^(listening|watching) .*\n/m.test(outcome.stdout)
      ) {
        void listens();
      }
    }
  };
  await Promise.all([gather(child.stdout, "stdout"), gather(child.stderr, "stderr")]);
  outcome.code = await child.exited;
  outcome.port ??= portIn(outcome.stdout);
  clearTimeout(limit);
  running = running.filter((one) => one !== child);
  return outcome;
}
