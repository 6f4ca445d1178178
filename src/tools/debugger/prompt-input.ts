// The input of the debugger's prompt: a terminal with history and completion, or a pipe.

import { createInterface, type Interface } from "node:readline";

/** What a session reads its commands from. */
export interface PromptInput {
  /** Whether a user can answer questions, and interrupt. */
  readonly isTerminal: boolean;
  readonly lines: AsyncIterable<string>;
  /** Shows the prompt, with what has been typed so far. */
  prompt(text: string): void;
  /** Clears the prompt's line, so that something can be printed there. Call `prompt` afterwards. */
  clear(): void;
  /** Runs a function that blocks this thread, so that Ctrl-C sends SIGINT meanwhile. */
  blocking<T>(run: () => T): T;
  close(): void;
}

export interface PromptInputOptions {
  /** Earlier lines, the newest first. */
  history: readonly string[];
  /** Called with all lines, the newest first, when a line has been added. */
  onHistory(lines: readonly string[]): void;
  onInterrupt(): void;
  /** Returns the words that can replace the end of the line, and that end. */
  complete(line: string): Promise<[words: string[], end: string]>;
}

/** The maximum number of lines in the history. */
export const MAX_HISTORY_LINES = 1_000;

/** Reads standard input. */
export class StandardInput implements PromptInput {
  readonly isTerminal: boolean;
  readonly lines: AsyncIterable<string>;
  readonly #interface: Interface;

  constructor({ history, onHistory, onInterrupt, complete }: PromptInputOptions) {
    this.isTerminal = process.stdin.isTTY === true && process.stdout.isTTY === true;
    const completeLine = (line: string): Promise<[string[], string]> =>
      complete(line).catch((): [string[], string] => [[], line]);
    this.#interface = createInterface({
      input: process.stdin,
      terminal: this.isTerminal,
      ...(this.isTerminal
        ? {
            output: process.stdout,
            history: [...history],
            historySize: MAX_HISTORY_LINES,
            removeHistoryDuplicates: true,
            completer: (line: string, done: (error: null, result: [string[], string]) => void): void => {
              void completeLine(line).then(done.bind(undefined, null));
            },
          }
        : {}),
    });
    const iterator = this.#interface[Symbol.asyncIterator](); // created now: the lines of a pipe are emitted once, immediately
    this.lines = { [Symbol.asyncIterator]: () => iterator };
    this.#interface.on("history", (lines: string[]) => onHistory(lines));
    this.#interface.on("SIGINT", onInterrupt);
  }

  prompt(text: string): void {
    if (!this.isTerminal) return;
    this.#interface.setPrompt(text);
    this.#interface.prompt(true);
  }

  clear(): void {
    if (this.isTerminal) process.stdout.write("\r\x1b[K");
  }

  blocking<T>(run: () => T): T {
    if (!this.isTerminal) return run();
    process.stdin.setRawMode(false);
    try {
      return run();
    } finally {
      process.stdin.setRawMode(true);
    }
  }

  close(): void {
    this.#interface.close();
  }
}
