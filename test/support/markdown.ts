// A Markdown reader for the documentation tests: code blocks with their annotations, link targets and heading anchors.

/** A fenced code block. */
export interface CodeBlock {
  /** The info string: `ts`, `console`, `sh`, … */
  language: string;
  /** Index of the first line of code. */
  start: number;
  /** Index of the line with the closing fence. */
  end: number;
  code: string;
  /** The text of the `<!-- test: … -->` comments before the block, one entry each. */
  annotations: string[];
  /** Whether `<!-- output -->` precedes the block, which is then the output of the previous block. */
  isOutput: boolean;
}

/** Returns the fenced code blocks of a page, in order. */
export function codeBlocks(text: string): CodeBlock[] {
  const lines = text.split("\n");
  const blocks: CodeBlock[] = [];
  let annotations: string[] = [];
  let isOutput = false;
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i] as string;
    const [, annotation] = /^\s*<!-- test: (.*) -->$/.exec(line) ?? [];
    if (annotation !== undefined) annotations.push(annotation);
    else if (/^\s*<!-- output -->$/.test(line)) isOutput = true;
    else if (/^\s*```/.test(line)) {
      const [, indent = "", language = ""] = /^(\s*)```(.*)$/.exec(line) ?? [];
      const start = i + 1;
      let end = start;
      while (end < lines.length && lines[end] !== `${indent}\`\`\``) end++;
      const code = lines
        .slice(start, end)
        .map((one) => one.slice(indent.length))
        .join("\n");
      blocks.push({ language, start, end, code, annotations, isOutput });
      [annotations, isOutput] = [[], false];
      i = end;
    } else if (line.trim() !== "") [annotations, isOutput] = [[], false];
  }
  return blocks;
}

/** Returns the page without its code blocks and inline code, line by line. */
function prose(text: string): string[] {
  const lines = text.split("\n");
  for (const { start, end } of codeBlocks(text)) lines.fill("", start - 1, end + 1);
  return lines;
}

/** Returns the targets of a page's links and images. */
export function linkTargets(text: string): string[] {
  const page = prose(text)
    .join("\n")
    .replace(/`[^`\n]*`/g, "code");
  const inline = [...page.matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g)];
  const html = [...page.matchAll(/\b(?:src|srcset|href)="([^"]+)"/g)];
  const references = [...page.matchAll(/^\[[^\]]+\]:\s*(\S+)/gm)];
  return [...inline, ...html, ...references].map(([, target = ""]) => target);
}

/** Returns the anchors of a page's headings, as GitHub generates them, and its explicit anchors. */
export function headingAnchors(text: string): Set<string> {
  const anchors = new Set<string>();
  const seen = new Map<string, number>();
  for (const line of prose(text)) {
    const [, heading] = /^#{1,6}\s+(.*?)\s*#*$/.exec(line) ?? [];
    if (heading === undefined) {
      for (const [, id = ""] of line.matchAll(/<a (?:id|name)="([^"]+)"/g)) anchors.add(id);
      continue;
    }
    const slug = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\p{M}_ -]/gu, "")
      .replace(/ /g, "-");
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    anchors.add(count === 0 ? slug : `${slug}-${count}`);
  }
  return anchors;
}
