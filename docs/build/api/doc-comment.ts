// Doc comments, parsed into the parts that the reference shows: description, parameters, result, errors, examples.

import { type JSDocableNode, Node } from "ts-morph";

export interface DocComment {
  /** Markdown, one line for each paragraph or list item. */
  description: string;
  params: { name: string; text: string }[];
  returns: string;
  throws: { type: string; text: string }[];
  see: string[];
  /** Markdown with its code fences. */
  examples: string[];
  defaultValue: string;
  isInternal: boolean;
}

const EMPTY: DocComment = {
  description: "",
  params: [],
  returns: "",
  throws: [],
  see: [],
  examples: [],
  defaultValue: "",
  isInternal: false,
};

/** Returns the doc comment of a declaration. For a variable, it belongs to the statement that declares it. */
export function docCommentOf(node: Node): DocComment {
  const owner = Node.isVariableDeclaration(node) ? node.getVariableStatement() : node;
  if (owner === undefined || !Node.isJSDocable(owner)) return EMPTY;
  const text = (owner as JSDocableNode).getJsDocs().at(-1)?.getText();
  return text === undefined ? EMPTY : parseDocComment(text);
}

/** Parses a doc comment, including its comment delimiters. */
export function parseDocComment(comment: string): DocComment {
  const lines = comment
    .replace(/^\/\*\*/, "")
    .replace(/\s*\*\/$/, "")
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, ""));
  const doc: DocComment = { ...EMPTY, params: [], throws: [], see: [], examples: [] };
  for (const [tag, body] of sections(lines)) addSection(doc, tag, body);
  return doc;
}

/** Splits the lines at those that begin with a tag, except within code fences. */
function sections(lines: readonly string[]): [tag: string, body: string][] {
  const result: { tag: string; lines: string[] }[] = [{ tag: "", lines: [] }];
  let isInFence = false;
  for (const line of lines) {
    if (line.trimStart().startsWith("```")) isInFence = !isInFence;
    const [, tag, rest = ""] = (!isInFence && /^\s*@(\w+)\s*(.*)$/.exec(line)) || [];
    if (tag === undefined) result.at(-1)?.lines.push(line);
    else result.push({ tag, lines: [rest] });
  }
  return result.map((section) => [section.tag, section.lines.join("\n").trim()]);
}

function addSection(doc: DocComment, tag: string, body: string): void {
  switch (tag) {
    case "":
      doc.description = unwrap(body);
      break;
    case "param": {
      const [, name = "", text = ""] = /^(\S+)\s*(?:- )?([^]*)$/.exec(body) ?? [];
      doc.params.push({ name, text: unwrap(text) });
      break;
    }
    case "returns":
      doc.returns = unwrap(body);
      break;
    case "throws": {
      const [, type = "", text = ""] = /^(?:\{([^}]*)\})?\s*([^]*)$/.exec(body) ?? [];
      doc.throws.push({ type, text: unwrap(text) });
      break;
    }
    case "see":
      doc.see.push(unwrap(body));
      break;
    case "example":
      doc.examples.push(body);
      break;
    case "default":
    case "defaultValue":
      doc.defaultValue = body;
      break;
    case "internal":
      doc.isInternal = true;
      break;
    case "ts": // @ts-ignore, which is for the compiler
      break;
    default:
      throw new Error(`unknown tag @${tag} in a doc comment: ${body.slice(0, 60)}`);
  }
}

/** Joins the lines of each paragraph and of each list item; code fences stay as they are. */
export function unwrap(text: string): string {
  const result: string[] = [];
  let isInFence = false;
  let continues = false;
  let isNumbered = false;
  for (const line of text.split("\n")) {
    const isFence = line.trimStart().startsWith("```");
    // As in CommonMark, a paragraph ends at `1.` but not at another number, which may end a sentence.
    const isNumber: boolean = (isNumbered ? /^\s*\d+\. / : /^\s*1\. /).test(line);
    const isItem = isNumber || /^\s*[-*] /.test(line);
    const isRow = line.trimStart().startsWith("|");
    if (isInFence || isFence || isRow || line.trim() === "") {
      result.push(line);
      if (isFence) isInFence = !isInFence;
      continues = false;
      isNumbered = false;
    } else if (continues && !isItem) {
      result[result.length - 1] += ` ${line.trim()}`;
    } else {
      result.push(isItem ? line.trimEnd() : line.trim());
      continues = true;
      isNumbered = isNumber;
    }
  }
  return result.join("\n").trim();
}

/** Returns the first sentence of a description. */
export function firstSentence(description: string): string {
  const paragraph = description.split("\n\n", 1)[0] ?? "";
  return /^[^]*?[^.][.!?](?=\s+[A-Z`(]|$)/.exec(paragraph)?.[0] ?? paragraph;
}
