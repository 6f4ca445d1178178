// Wraps sentences into lines for the terminal.

/** Returns the lines of a sentence; a word that is longer than `width` has a line of its own. */
export function wrap(sentence: string, width = 80): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of sentence.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
