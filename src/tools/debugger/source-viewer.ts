// class SourceViewer: the source lines that the prompt prints, of the files that belong to the program.

import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { packageRoot } from "../../kernel/package-root.ts";
import { findSourceFile, parsePosition, readSourceLines } from "../source-lines.ts";

/** The number of lines that `list` prints. */
const LISTED_LINES = 11;

export class SourceViewer {
  readonly #program: string | undefined;
  readonly #isLive: boolean;
  /** The position that was listed last, and the line to continue with. */
  #position = "";
  #next = 0;

  /**
   * @param program the file of the program or application, if there is one
   * @param isLive whether the positions come from a program that runs here. Those of a saved trace are not trusted: they open source
   *   files of this package, and source files in the directory of the program
   */
  constructor(program: string | undefined, isLive: boolean) {
    this.#program = program;
    this.#isLive = isLive;
  }

  /** Returns the text of a line, without its indentation; undefined if it cannot be read. */
  lineAt(position: string): string | undefined {
    try {
      const { file, line } = this.#parse(position);
      return readSourceLines(file, line, 0).lines[0]?.trim();
    } catch {
      return undefined;
    }
  }

  /** Lists the lines around a position, and continues after them if it is called again for the same position. */
  list(position: string): string {
    const { file, line } = this.#parse(position);
    const first = position === this.#position ? this.#next : Math.max(1, line - (LISTED_LINES >> 1));
    const text = this.#format(file, first, first + LISTED_LINES - 1, line);
    if (text === "") throw new Error(`end of ${file}: l . lists the current line again`);
    this.#position = position;
    this.#next = first + LISTED_LINES;
    return text;
  }

  /** Makes `list` start again at the current line. */
  reset(): void {
    this.#position = "";
  }

  /** Lists a range of lines of the file of a position. */
  listRange(position: string, first: number, last: number): string {
    const { file, line } = this.#parse(position);
    const text = this.#format(file, first, last, line);
    if (text === "") throw new Error(`${file} has no line ${first}`);
    this.#position = position;
    this.#next = last + 1;
    return text;
  }

  /**
   * Finds the file of a breakpoint location, and checks that it has this line.
   *
   * @param current the position where the program is paused
   * @returns `FILE:LINE`
   * @throws {Error} if the file does not have this line
   */
  locate(file: string | undefined, line: number, current: string | undefined): string {
    const currentFile = current === undefined ? undefined : parsePosition(current)?.file;
    const known = [currentFile, this.#program].filter((path) => path !== undefined);
    const wanted = file ?? known[0];
    if (wanted === undefined) throw new Error("there is no current file: use b FILE:LINE");
    const found = this.#find(wanted, known);
    if (found === undefined) return `${wanted}:${line}`; // the program may load it later
    const count = linesOf(found).length;
    if (line < 1 || line > count) throw new Error(`${wanted} has ${count} lines`);
    return `${found}:${line}`;
  }

  #find(file: string, known: readonly string[]): string | undefined {
    const exact = known.find((path) => path === file || path.endsWith(`/${file}`));
    if (exact !== undefined) return exact;
    const directories = known.map((path) => dirname(resolve(packageRoot, path)));
    const path = [process.cwd(), ...directories]
      .map((directory) => resolve(directory, file))
      .find((one) => existsSync(one));
    return path?.startsWith(`${packageRoot}/src/`) ? path.slice(packageRoot.length + 1) : path;
  }

  /** @throws {Error} if the position is not one of the program */
  #parse(position: string): { file: string; line: number } {
    const parsed = parsePosition(position);
    if (parsed === undefined) throw new Error("the source line of this event is not known");
    if (!this.#isLive && findSourceFile(parsed.file, this.#program) === undefined) {
      throw new Error(`${JSON.stringify(parsed.file)} is not opened: it does not belong to the program of the trace`);
    }
    return parsed;
  }

  #format(file: string, first: number, last: number, current: number): string {
    return linesOf(file)
      .slice(first - 1, last)
      .map((text, i) => `${String(first + i).padStart(4)} ${first + i === current ? "->" : "  "} ${text}`.trimEnd())
      .join("\n");
  }
}

function linesOf(file: string): string[] {
  const { lines } = readSourceLines(file, 1, Infinity);
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
}
