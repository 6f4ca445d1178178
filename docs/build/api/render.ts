// Renders the pages of the API reference as Markdown.

import {
  type ClassDeclaration,
  type InterfaceDeclaration,
  Node,
  type ParameterDeclaration,
  type TypeAliasDeclaration,
  type TypeElementTypes,
} from "ts-morph";
import { type DocComment, docCommentOf, firstSentence } from "./doc-comment.ts";
import { type Page, PAGES } from "./pages.ts";
import {
  type Entry,
  headingOf,
  instanceName,
  isConstant,
  isExportedByIndex,
  isType,
  type Member,
  membersOf,
  overloadsOf,
  propertiesOf,
  type Reference,
  typeNodeOf,
} from "./reference.ts";

/** The maximum width of a signature on one line. */
const WIDTH = 100;
const NOTICE = "<!-- Generated from the doc comments in src by `npm run docs:api`. Do not edit. -->";

/** Returns the pages by file name, README.md included. */
export function renderAll(reference: Reference): Map<string, string> {
  const pages = new Map(PAGES.map((page) => [page.file, new PageRenderer(reference, page).render()]));
  return pages.set("README.md", renderIndex(reference));
}

function renderIndex(reference: Reference): string {
  const parts = [NOTICE, "# API reference", "Every export of the package, with types, errors and examples."];
  for (const page of PAGES) {
    const renderer = new PageRenderer(reference, page);
    const entries = reference.entriesOf(page).filter((entry) => entry.isExported && !isConstant(entry));
    const names = entries.map((entry) => `[\`${headingOf(entry)}\`](${page.file}${renderer.hashOf(entry.name)})`);
    const list = names.length === 0 ? "" : `\n\n${names.join(", ")}`;
    parts.push(`## [${page.title}](${page.file})\n\n${page.intro}${list}`);
  }
  return `${parts.join("\n\n")}\n`;
}

class PageRenderer {
  readonly #reference: Reference;
  readonly #page: Page;

  constructor(reference: Reference, page: Page) {
    this.#reference = reference;
    this.#page = page;
  }

  render(): string {
    const { title, intro, module } = this.#page;
    const entries = this.#reference.entriesOf(this.#page);
    const listed = entries.filter((entry) => !isConstant(entry));
    const guide = this.#page.guide === undefined ? "" : ` Guide: [docs/${this.#page.guide}](../${this.#page.guide}).`;
    const parts = [NOTICE, `# ${title}`, `${intro}${guide}`];
    const values = listed.filter((entry) => entry.isExported && !isType(entry)).map(({ name }) => name);
    if (values.length > 0) parts.push(fence(importOf(values, module)));
    if (listed.length > 1) parts.push(listed.map((entry) => this.#contentsItem(entry)).join("\n"));
    for (const entry of listed) parts.push(...this.#entry(entry));
    parts.push(...this.#constants(entries.filter(isConstant)));
    return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
  }

  /** Returns `#epoll` for an export of this page. */
  hashOf(name: string): string {
    return this.#reference.linkFrom(this.#page, name) ?? "";
  }

  #contentsItem(entry: Entry): string {
    const [declaration] = entry.declarations;
    const summary = firstSentence(docCommentOf(this.#documented(entry)).description);
    const text = summary === "" ? "" : `: ${this.#prose(summary, entry)}`;
    const item = `- [\`${headingOf(entry)}\`](${this.hashOf(entry.name)})${text}`;
    if (!Node.isClassDeclaration(declaration)) return item;
    const members = membersOf(declaration).map(
      ({ name, heading }) => `[\`${heading.replace(/^\w+\./, "")}\`](${this.hashOf(`${entry.name}.${name}`)})`,
    );
    return members.length === 0 ? item : `${item}\n  ${members.join(", ")}`;
  }

  /** Returns the declaration with the description, which for overloads is one of them. */
  #documented({ declarations }: Entry): Node {
    const nodes = declarations.flatMap((node) => (Node.isFunctionDeclaration(node) ? overloadsOf(node) : [node]));
    const found = nodes.find((node) => docCommentOf(node).description !== "") ?? nodes[0];
    if (found === undefined) throw new Error("an export has no declaration");
    return found;
  }

  #entry(entry: Entry): string[] {
    const [declaration] = entry.declarations;
    const parts = [`## ${headingOf(entry)}`];
    if (Node.isClassDeclaration(declaration)) parts.push(...this.#class(entry, declaration));
    else if (Node.isInterfaceDeclaration(declaration)) parts.push(...this.#interface(entry, declaration));
    else if (Node.isTypeAliasDeclaration(declaration)) parts.push(...this.#alias(entry, declaration));
    else if (Node.isFunctionDeclaration(declaration)) {
      parts.push(...this.#callable(overloadsOf(declaration), `function ${entry.name}`, entry));
    } else if (Node.isVariableDeclaration(declaration)) {
      parts.push(fence(`const ${entry.name} = ${declaration.getInitializer()?.getText() ?? ""}`));
      parts.push(...this.#docParts(docCommentOf(declaration), entry));
    }
    if (!entry.isExported) parts.splice(1, 0, "Not exported by name.");
    return parts;
  }

  #class(entry: Entry, declaration: ClassDeclaration): string[] {
    const parameters = declaration.getTypeParameters().map((one) => one.getText());
    const parts = parameters.length === 0 ? [] : [fence(`class ${entry.name}<${parameters.join(", ")}>`)];
    parts.push(
      ...this.#docParts(docCommentOf(declaration), entry, [
        disposalOf(declaration),
        this.#inheritance(entry, declaration),
      ]),
    );
    const properties = this.#properties(entry, declaration);
    if (properties.length > 0) parts.push(`**Properties**\n\n${properties.join("\n")}`);
    for (const member of membersOf(declaration)) parts.push(...this.#member(member, entry));
    return parts;
  }

  /** Returns a sentence that names the base class, if it is exported or foreign, and the inherited members. */
  #inheritance(entry: Entry, declaration: ClassDeclaration): string {
    const base = declaration.getExtends();
    if (base === undefined) return "";
    const baseClass = declaration.getBaseClass();
    const type = this.#type(base.getText(), entry);
    if (baseClass === undefined || baseClass.getSourceFile().isDeclarationFile()) return `Extends ${type}.`;
    if (!isExportedByIndex(baseClass)) return "";
    const name = baseClass.getNameOrThrow();
    const own = new Set(membersOf(declaration).map((member) => member.name));
    const methods = membersOf(baseClass)
      .filter((member) => !own.has(member.name) && member.name !== "constructor")
      .map((member) => `[\`${member.name}()\`](${this.hashOf(`${name}.${member.name}`)})`);
    const properties = propertiesOf(baseClass).map((property) => `\`${property.getName()}\``);
    const inherited = [...methods, ...properties];
    return `Extends ${type}${inherited.length === 0 ? "" : `, which has ${inherited.join(", ")}`}.`;
  }

  #properties(entry: Entry, declaration: ClassDeclaration): string[] {
    return propertiesOf(declaration).map((property) => {
      const doc = docCommentOf(property);
      const initializer = Node.isPropertyDeclaration(property) ? property.getInitializer()?.getText() : undefined;
      const type = typeNodeOf(property)?.getText() ?? initializer ?? "unknown";
      const receiver = property.isStatic() ? entry.name : instanceName(entry.name);
      const isOptional = Node.isPropertyDeclaration(property) && property.hasQuestionToken();
      return this.#item(`${receiver}.${property.getName()}${isOptional ? "?" : ""}`, type, doc, entry);
    });
  }

  #member({ name, heading, declarations }: Member, entry: Entry): string[] {
    const receiver = heading.slice(0, heading.indexOf("("));
    return [
      `### ${heading}`,
      ...this.#callable(declarations, name === "constructor" ? heading.slice(0, -2) : receiver, entry),
    ];
  }

  /** Renders the signatures, then the doc comments of all overloads. */
  #callable(overloads: readonly Node[], name: string, entry: Entry): string[] {
    const signatures = overloads.map((node) => signatureOf(node, name));
    const parts = [fence(signatures.join("\n"))];
    const documented = overloads.filter((node) => docCommentOf(node).description !== "" || overloads.length === 1);
    for (const node of documented.length === 0 ? overloads.slice(0, 1) : documented) {
      const doc = docCommentOf(node);
      const lists = [
        this.#parameters(node, overloads, doc, entry),
        this.#returns(node, doc, entry),
        this.#throws(doc, entry),
      ];
      parts.push(...this.#docParts(doc, entry, lists));
    }
    return parts;
  }

  #parameters(node: Node, overloads: readonly Node[], doc: DocComment, entry: Entry): string {
    const all = [node, ...overloads].flatMap((one) => (Node.isParametered(one) ? one.getParameters() : []));
    const seen = new Set<string>();
    const items: string[] = [];
    for (const [i, parameter] of all.entries()) {
      const name = parameterName(parameter, doc, i);
      if (seen.has(name)) continue;
      seen.add(name);
      const text = doc.params.find((param) => param.name === name)?.text ?? "";
      const type = parameter.getTypeNode()?.getText() ?? inferred(parameter);
      if (text === "" && !this.#mentionsExport(type, entry)) continue;
      const initial = defaultOf(parameter);
      const suffix =
        initial === undefined ? (parameter.hasQuestionToken() ? ", optional" : "") : `, default \`${initial}\``;
      items.push(
        `- \`${name}\` (${this.#type(type, entry)}${suffix})${text === "" ? "" : `: ${this.#prose(text, entry)}`}`,
      );
    }
    const unknown = doc.params.find((param) => !seen.has(param.name));
    if (unknown !== undefined) throw new Error(`@param ${unknown.name}: ${entry.name} has no such parameter`);
    return items.length === 0 ? "" : `**Parameters**\n\n${items.join("\n")}`;
  }

  #returns(node: Node, doc: DocComment, entry: Entry): string {
    const type = Node.isReturnTyped(node) ? (node.getReturnTypeNode()?.getText() ?? "") : "";
    if (doc.returns === "" && !this.#mentionsExport(type, entry)) return "";
    const text = doc.returns === "" ? "" : `: ${this.#prose(doc.returns, entry)}`;
    return `**Returns** ${this.#type(oneLine(type), entry)}${text}`;
  }

  /** Renders one item per error type. If a type has several errnos, they form a nested list. */
  #throws(doc: DocComment, entry: Entry): string {
    const casesByType = new Map<string, string[]>();
    for (const { type, text } of doc.throws) {
      const parts = text.split("; ");
      const cases = parts.every((part) => /^E[A-Z0-9]+\b/.test(part)) ? parts : [text];
      casesByType.set(type, [...(casesByType.get(type) ?? []), ...cases]);
    }
    const items = [...casesByType].map(([type, cases]) => {
      const types = type.split("|").map((one) => this.#type(one.trim(), entry));
      const name = types.length === 1 ? (types[0] ?? "") : `${types.slice(0, -1).join(", ")} or ${types.at(-1)}`;
      const [only = ""] = cases;
      if (cases.length > 1) return `- ${name}:\n${cases.map((one) => `  - ${this.#prose(one, entry)}`).join("\n")}`;
      return `- ${name}${/^[A-Z]/.test(only) ? ":" : ""} ${this.#prose(only, entry)}`.trimEnd();
    });
    return items.length === 0 ? "" : `**Throws**\n\n${items.join("\n")}`;
  }

  /** Renders the description, then the given lists, the examples, and the references. */
  #docParts(doc: DocComment, entry: Entry, lists: readonly string[] = []): string[] {
    const see = doc.see.map((text) => this.#plain(seeAlso(text))).join(", ");
    return [
      this.#prose(doc.description, entry),
      ...lists,
      ...doc.examples.map((example) => `**Example**\n\n${example}`),
      see === "" ? "" : `See ${see}.`,
    ];
  }

  #interface(entry: Entry, declaration: InterfaceDeclaration): string[] {
    const parameters = declaration.getTypeParameters().map((one) => one.getText());
    const parts = parameters.length === 0 ? [] : [fence(`interface ${entry.name}<${parameters.join(", ")}>`)];
    const bases = declaration.getExtends().map((base) => this.#type(base.getText(), entry));
    if (bases.length > 0) parts.push(`Extends ${bases.join(", ")}.`);
    parts.push(...this.#docParts(docCommentOf(declaration), entry));
    parts.push(
      declaration
        .getMembers()
        .map((member) => this.#interfaceMember(member, entry))
        .join("\n"),
    );
    return parts;
  }

  #interfaceMember(member: TypeElementTypes, entry: Entry): string {
    const doc = docCommentOf(member);
    if (Node.isPropertySignature(member)) {
      const isOptional = member.hasQuestionToken();
      const type = oneLine(member.getTypeNode()?.getText() ?? "unknown");
      const shown = isOptional ? type.replace(/ \| undefined$/, "").replace(/^\((\(.*)\)$/, "$1") : type; // `?` says it
      return this.#item(`${member.getName()}${isOptional ? "?" : ""}`, shown, doc, entry);
    }
    if (Node.isMethodSignature(member)) {
      const name = `${member.getName()}${member.hasQuestionToken() ? "?" : ""}`;
      const text = oneLine(member.getText().replace(/^\/\*\*[^]*?\*\/\s*/, "")).replace(/;$/, "");
      return this.#item(name, text.slice(text.indexOf("(")), doc, entry, "");
    }
    return `- \`${oneLine(member.getText())}\``;
  }

  /** Returns a list item for a property: its name and type, then its description. */
  #item(name: string, type: string, doc: DocComment, entry: Entry, separator = ": "): string {
    const text = [doc.description, doc.returns === "" ? "" : `Returns ${doc.returns}`]
      .filter((one) => one !== "")
      .map((one) => this.#prose(one, entry).replaceAll("\n", "\n  "))
      .join(" ");
    const initial = doc.defaultValue === "" ? "" : ` Default: ${doc.defaultValue}.`;
    return `- **\`${name}\`**${separator}${this.#type(oneLine(type), entry)}${text === "" ? "" : `  \n  ${text}`}${initial}`;
  }

  #alias(entry: Entry, declaration: TypeAliasDeclaration): string[] {
    const doc = docCommentOf(declaration);
    const node = declaration.getTypeNode();
    const links = [...new Set(this.#mentioned(node?.getText() ?? "", entry))];
    if (Node.isUnionTypeNode(node) && node.getTypeNodes().every((type) => this.#isLink(type.getText(), entry))) {
      const items = node.getTypeNodes().map((type) => `- ${this.#type(type.getText(), entry)}`);
      return [...this.#docParts(doc, entry), `One of\n\n${items.join("\n")}`];
    }
    const comment = declaration
      .getTrailingCommentRanges()
      .map((range) => ` ${range.getText()}`)
      .join("");
    const source =
      declaration
        .getText()
        .replace(/^\/\*\*[^]*?\*\/\s*/, "")
        .replace(/^export /, "") + comment;
    const uses = links.length === 0 ? "" : `Uses ${links.map((name) => this.#type(name, entry)).join(", ")}.`;
    return [fence(source), ...this.#docParts(doc, entry), uses];
  }

  #constants(entries: readonly Entry[]): string[] {
    const parts: string[] = [];
    let section: string | undefined;
    let rows: string[][] = [];
    const flush = (): void => {
      if (rows.length === 0) return;
      const heading = (section ?? "Others").replace(/<[^>]+>/g, "`$&`"); // headers aren't HTML
      const hasText = rows.some(([, , text]) => text !== "");
      const header = hasText ? ["Constant", "Value", "Meaning"] : ["Constant", "Value"];
      const lines = [header, header.map(() => "---"), ...rows.map((row) => row.slice(0, header.length))];
      parts.push(`## ${heading}`, lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n"));
      rows = [];
    };
    for (const entry of entries) {
      const [declaration] = entry.declarations;
      if (!Node.isVariableDeclaration(declaration)) continue;
      const before = sectionBefore(declaration);
      if (before !== section) flush();
      section = before;
      const value = declaration.getInitializer()?.getText() ?? "";
      const text = this.#prose(docCommentOf(declaration).description, entry).replaceAll("|", String.raw`\|`);
      rows.push([`\`${entry.name}\``, `\`${value.replaceAll("|", String.raw`\|`)}\``, text]);
    }
    flush();
    return parts;
  }

  /** Renders a type as code, in which names of exports are links. */
  #type(type: string, entry: Entry): string {
    let result = "";
    let code = "";
    const flush = (): void => {
      // Between links, the bar of a union belongs outside the code.
      const [, before = "", middle = "", after = ""] = /^( \| )?([^]*?)( \| )?$/.exec(code) ?? [];
      result += before + (middle === "" ? "" : `\`${middle}\``) + after;
      code = "";
    };
    for (const token of type.match(/[A-Za-z_$][\w$]*|[^A-Za-z_$]+/g) ?? []) {
      const link = this.#isLink(token, entry) ? this.#reference.linkFrom(this.#page, token) : undefined;
      if (link === undefined) {
        code += token;
        continue;
      }
      flush();
      result += `[\`${token}\`](${link})`;
    }
    flush();
    return result;
  }

  #isLink(name: string, entry: Entry): boolean {
    return /^[A-Z]/.test(name) && name !== entry.name && this.#reference.linkFrom(this.#page, name) !== undefined;
  }

  #mentioned(type: string, entry: Entry): string[] {
    return (type.match(/[A-Za-z_$][\w$]*/g) ?? []).filter((name) => this.#isLink(name, entry));
  }

  #mentionsExport(type: string, entry: Entry): boolean {
    return this.#mentioned(type, entry).length > 0;
  }

  /** Formats errno names and constants as code, and links code that names another export or a method of this class. */
  #prose(text: string, entry: Entry): string {
    return text
      .split(/(```[^]*?```|`[^`]*`)/)
      .map((part, i) => (i % 2 === 1 ? this.#code(part, entry) : this.#plain(part, entry)))
      .join("");
  }

  #code(code: string, entry: Entry): string {
    if (code.startsWith("```")) return code;
    const name = code.slice(1, -1).replace(/\(.*\)$/, "");
    if (name === entry.name || !/^[\w.]+$/.test(name)) return code;
    const parts = name.split(".");
    const member = parts.length > 1 ? parts.slice(-1)[0] : name;
    const receiver = parts.length > 1 ? parts[0] : instanceName(entry.name);
    const ownMember = receiver === instanceName(entry.name) || receiver === entry.name ? `${entry.name}.${member}` : "";
    const target =
      this.#reference.linkFrom(this.#page, ownMember) ??
      this.#inheritedLink(entry, ownMember === "" ? undefined : member) ??
      this.#reference.linkFrom(this.#page, name);
    return target === undefined ? code : `[${code}](${target})`;
  }

  /** Returns a link to a member of a base class. */
  #inheritedLink({ declarations: [declaration] }: Entry, member: string | undefined): string | undefined {
    let base = Node.isClassDeclaration(declaration) ? declaration.getBaseClass() : undefined;
    for (; base !== undefined && member !== undefined; base = base.getBaseClass()) {
      const link = this.#reference.linkFrom(this.#page, `${base.getName()}.${member}`);
      if (link !== undefined) return link;
    }
    return undefined;
  }

  #plain(text: string, entry?: Entry): string {
    return text
      .replace(/\{@link\s+([\w.]+)\s*\}/g, (_, name: string) => {
        const link = this.#reference.linkFrom(this.#page, name);
        return link === undefined ? `\`${name}\`` : `[\`${name}\`](${link})`;
      })
      .replace(/\b[A-Z]\w+Error\b/g, (name) => {
        const link = name === entry?.name ? undefined : this.#reference.linkFrom(this.#page, name);
        return link === undefined ? name : `[${name}](${link})`;
      })
      .replace(/\b(?:E[A-Z0-9]{2,}|[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)\b(?!\()/g, (name) =>
        this.#isConstantName(name) ? `\`${name}\`` : name,
      );
  }

  #isConstantName(name: string): boolean {
    return /^E(?!POLL$|OF$)[A-Z0-9]+$/.test(name) || this.#reference.find(this.#page.module, name) !== undefined;
  }
}

/** Returns sentences that say whether a class works with `using` and `for await`. */
function disposalOf(declaration: ClassDeclaration): string {
  let node: ClassDeclaration | undefined = declaration;
  const names: string[] = [];
  for (; node !== undefined; node = node.getBaseClass()) names.push(...node.getMethods().map((m) => m.getName()));
  const sentences: string[] = [];
  if (names.includes("[Symbol.dispose]")) sentences.push("It is `Disposable`: `using` closes it.");
  if (names.includes("[Symbol.asyncDispose]")) sentences.push("It is `AsyncDisposable`: `await using` stops it.");
  if (names.includes("[Symbol.asyncIterator]")) sentences.push("It is an async iterable: use `for await`.");
  return sentences.join(" ");
}

/** Returns an import of the names, on several lines if it is long. */
function importOf(names: readonly string[], module: string): string {
  const line = `import { ${names.join(", ")} } from "${module}";`;
  return line.length <= WIDTH ? line : `import {\n${names.map((name) => `  ${name},\n`).join("")}} from "${module}";`;
}

function fence(code: string): string {
  return `\`\`\`ts\n${code}\n\`\`\``;
}

function oneLine(text: string): string {
  return text
    .replace(/\/\*\*[^]*?\*\/\s*/g, "")
    .replace(/\s+/g, " ")
    .replace(/^\| /, "")
    .trim();
}

/** Returns `epoll.register(fd: FdLike, mask: number = EPOLLIN): void`, on several lines if it is long. */
function signatureOf(node: Node, name: string): string {
  const doc = docCommentOf(node);
  const nodes = Node.isParametered(node) ? node.getParameters() : [];
  const parameters = nodes.map((parameter, i) => {
    const initial = defaultOf(parameter);
    const isOptional = parameter.hasQuestionToken() || (parameter.hasInitializer() && initial === undefined);
    const type = oneLine(parameter.getTypeNode()?.getText() ?? inferred(parameter));
    const rest = parameter.isRestParameter() ? "..." : "";
    const value = initial === undefined ? "" : ` = ${initial}`;
    return `${rest}${parameterName(parameter, doc, i)}${isOptional ? "?" : ""}: ${type}${value}`;
  });
  const types = Node.isTypeParametered(node) ? node.getTypeParameters().map((one) => one.getText()) : [];
  const head = `${name}${types.length === 0 ? "" : `<${types.join(", ")}>`}`;
  const result =
    Node.isReturnTyped(node) && !Node.isConstructorDeclaration(node) ? node.getReturnTypeNode() : undefined;
  const tail = result === undefined ? "" : `: ${oneLine(result.getText())}`;
  const line = `${head}(${parameters.join(", ")})${tail}`;
  if (line.length <= WIDTH) return line;
  return `${head}(\n${parameters.map((parameter) => `  ${parameter},\n`).join("")})${tail}`;
}

/** Returns the name of a parameter. A destructured one gets its name from the doc comment. */
function parameterName(parameter: ParameterDeclaration, doc: DocComment, index: number): string {
  if (Node.isIdentifier(parameter.getNameNode())) return parameter.getName();
  const documented = doc.params[index]?.name;
  if (documented !== undefined) return documented;
  const type = parameter.getTypeNode()?.getText() ?? "options";
  return /(?:Options|Setting)$/.test(type)
    ? (/(Options|Setting)$/.exec(type)?.[1] ?? type).toLowerCase()
    : instanceName(type);
}

/** Returns a default that can be shown: a literal, an expression of constants, or the value of a private constant. */
function defaultOf(parameter: ParameterDeclaration): string | undefined {
  const initializer = parameter.getInitializer();
  if (initializer === undefined) return undefined;
  if (Node.isIdentifier(initializer)) {
    const declaration = initializer.getDefinitionNodes()[0];
    const isOwn = declaration?.getSourceFile() === parameter.getSourceFile();
    if (isOwn && Node.isVariableDeclaration(declaration)) return declaration.getInitializer()?.getText();
  }
  const text = initializer.getText();
  return /[({]/.test(text) ? undefined : text;
}

function inferred(parameter: ParameterDeclaration): string {
  const text = parameter.getInitializer()?.getText() ?? "";
  return /^["'`]/.test(text) ? "string" : /^(?:true|false)$/.test(text) ? "boolean" : "number";
}

/** Returns the last `// section` comment before a constant. Such a comment is followed by an empty line. */
function sectionBefore(declaration: Node): string | undefined {
  const before = declaration.getSourceFile().getFullText().slice(0, declaration.getStart());
  return [...before.matchAll(/\n\/\/ (.+)\n\n/g)].at(-1)?.[1]?.replace(/[.:]$/, "");
}

/** Links manual pages, such as `socket(2), tcp(7)`, and addresses. */
function seeAlso(text: string): string {
  return text
    .replace(/\b([a-z_][\w.-]*)\((\d)\)/gi, (page, name: string, section: string) => {
      return `[${page}](https://man7.org/linux/man-pages/man${section}/${name}.${section}.html)`;
    })
    .replace(/(?<![(\w])https?:\/\/\S+/g, (address) => `<${address}>`)
    .replace(/\.$/, "");
}
