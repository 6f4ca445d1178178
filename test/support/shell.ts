// Runs shell commands as a reader of the documentation would, and interrupts commands that listen.

const RUN_LIMIT_MS = 55_000;

let running: Bun.Subprocess[] = [];

/** Kills every command that is still running. */
export function killShells(): void {
  for (const { pid } of running) signalGroup(pid, "SIGKILL");
}

/** The output and the exit code of a command. */
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
  /** Commands to run in another shell while the program listens. The real port replaces `declaredPort` in them. */
  attempts?: string[];
  declaredPort?: number;
  /** The number of lines that the program prints before it is sent SIGINT. */
  minLines?: number;
}

/** Returns the first port in a program's output, which is the port that it listens on. */
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

/** Runs a shell command until it exits. Once it prints that it is listening, runs `attempts` and sends it SIGINT. */
export async function runShell(command: string, cwd: string, options: RunOptions): Promise<Outcome> {
  const child = Bun.spawn(["sh", "-c", command], {
    cwd,
    detached: true, // in its own process group, which receives SIGINT as from a terminal
    env: { ...process.env, PATH: `${options.bin}:${process.env["PATH"]}:/usr/sbin:/sbin`, NO_COLOR: "1" },
    stdin: options.input === undefined ? "ignore" : new TextEncoder().encode(options.input),
    stdout: "pipe",
    stderr: "pipe",
  });
  running.push(child);
  const limit = setTimeout(() => signalGroup(child.pid, "SIGKILL"), RUN_LIMIT_MS);
  const outcome: Outcome = { stdout: "", stderr: "", code: 0, port: undefined };
  let isListening = false;
  let outputReceived = Promise.withResolvers<void>();
  const onListening = async (): Promise<void> => {
    isListening = true;
    outcome.port = portIn(outcome.stdout);
    for (const attempt of options.attempts ?? []) {
      const text = attempt.replaceAll(`:${options.declaredPort}`, `:${outcome.port}`);
      await runShell(text, cwd, { bin: options.bin });
    }
    while (outcome.stdout.split("\n").length <= (options.minLines ?? 0)) await outputReceived.promise;
    signalGroup(child.pid, "SIGINT");
  };
  const collect = async (stream: ReadableStream<Uint8Array>, to: "stdout" | "stderr"): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      outcome[to] += decoder.decode(bytes, { stream: true });
      outputReceived.resolve();
      outputReceived = Promise.withResolvers();
      if (
        to === "stdout" &&
        options.input === undefined &&
        !isListening &&
        /^(listening|watching) .*\n/m.test(outcome.stdout)
      ) {
        void onListening();
      }
    }
  };
  await Promise.all([collect(child.stdout, "stdout"), collect(child.stderr, "stderr")]);
  outcome.code = await child.exited;
  outcome.port ??= portIn(outcome.stdout);
  clearTimeout(limit);
  running = running.filter((one) => one !== child);
  return outcome;
}
