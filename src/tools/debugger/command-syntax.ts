// The syntax of a line at the prompt: several commands, and commands that look like JavaScript.

const CLOSING: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}" };
/** Commands whose argument may begin with an operator. */
const TAKES_EXPRESSION: ReadonlySet<string> = new Set(["p", "print", "pp", "display", "undisplay", "watch"]);
const QUOTES = "\"'`";

/** Splits a line at `;;`, except within quotes and brackets, as in `for (;;) {}`. */
export function splitCommands(line: string): string[] {
  const parts: string[] = [];
  const open: string[] = [];
  let start = 0;
  for (let i = 0; i < line.length; i++) {
    const character = line[i] as string;
    if (QUOTES.includes(open.at(-1) ?? " ")) {
      if (character === "\\") i++;
      else if (character === open.at(-1)) open.pop();
    } else if (QUOTES.includes(character) || character in CLOSING) {
      open.push(CLOSING[character] ?? character);
    } else if (character === open.at(-1)) {
      open.pop();
    } else if (open.length === 0 && line.startsWith(";;", i)) {
      parts.push(line.slice(start, i));
      start = i + 2;
      i++;
    }
  }
  parts.push(line.slice(start));
  return parts.map((part) => part.trim()).filter((part) => part !== "");
}

/**
 * Returns whether a line that begins with the name of a command is JavaScript nevertheless: an assignment such as `s = 3`, a member
 * such as `list.length`, a call such as `run()`, or `delete object.property`.
 *
 * @param rest the line after the name
 */
export function isJavaScript(word: string, rest: string): boolean {
  if (TAKES_EXPRESSION.has(word) || !/^\w/.test(word)) return false;
  if (/^\s*(?:=(?!=)|[-+*/%&|^]=|\+\+|--|=>)/.test(rest) || /^(?:\?\.|[.[(`])/.test(rest)) return true;
  if (/^\s*(?:[-+*/%&|^<>?]|&&|\|\||\?\?|[=!]==?)\s/.test(rest)) return true;
  return word === "delete" && rest.trim() !== "" && !/^[\s\d,]*$/.test(rest);
}
