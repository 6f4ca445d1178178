// Wraps sentences into lines for the terminal.

/** Returns the lines of a sentence. A word that is longer than `width` gets its own line. */
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
