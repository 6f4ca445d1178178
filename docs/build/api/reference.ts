// The exports to document: what each page contains, the headings it has, and the address of each heading.

import { relative } from "node:path";
import {
  type ClassDeclaration,
  type ExportedDeclarations,
  type GetAccessorDeclaration,
  Node,
  type Project,
  type PropertyDeclaration,
  Scope,
} from "ts-morph";
import { docCommentOf } from "./doc-comment.ts";
import { type Page, pageFor, PAGES } from "./pages.ts";

export interface Entry {
  name: string;
  page: Page;
  /** Several for overloads. */
  declarations: ExportedDeclarations[];
  /** Whether programs can import it by name. If not, it is a type that an export refers to. */
  isExported: boolean;
}

export type Property = PropertyDeclaration | GetAccessorDeclaration;

/** Collects the exports of the entry points. Throws if one belongs to no page. */
export class Reference {
  readonly #root: string;
  /** By module specifier, then by name. */
  readonly #entries = new Map<string, Map<string, Entry>>();
  /** By module, then by `Epoll` or `Epoll.register`: the page's file and the heading's slug. */
  readonly #anchors = new Map<string, Map<string, string>>();

  constructor(project: Project, root: string, entryPoints: Readonly<Record<string, string>>) {
    this.#root = root;
    for (const [module, file] of Object.entries(entryPoints)) {
      const entries = new Map<string, Entry>();
      this.#entries.set(module, entries);
      for (const [name, declarations] of project.getSourceFileOrThrow(file).getExportedDeclarations()) {
        if (!declarations.every((node) => docCommentOf(node).isInternal)) this.#add(module, name, declarations, true);
      }
      for (const entry of entries.values()) this.#addReferenced(module, entry);
    }
    for (const page of PAGES) this.#addAnchors(page);
  }

  /** Returns the entries of a page: classes, functions, values, then types in the order in which they are first mentioned. */
  entriesOf(page: Page): Entry[] {
    const entries = [...(this.#entries.get(page.module)?.values() ?? [])].filter((entry) => entry.page === page);
    const ordered = new Set(entries.filter((entry) => !isType(entry)).toSorted((a, b) => kindRank(a) - kindRank(b)));
    // A Set's iterator also visits what is added meanwhile, such as the types that these types refer to.
    for (const entry of ordered) {
      for (const name of entry.declarations.flatMap(publicTypeNames)) {
        const referenced = this.find(page.module, name.getText());
        if (referenced?.page === page && isType(referenced)) ordered.add(referenced);
      }
    }
    return [...ordered, ...entries.filter((entry) => !ordered.has(entry))];
  }

  find(module: string, name: string): Entry | undefined {
    return this.#entries.get(module)?.get(name) ?? this.#entries.get("epoll-hello")?.get(name);
  }

  /** Returns a relative link from a page to an export (`Epoll`) or its member (`Epoll.register`). */
  linkFrom(page: Page, name: string): string | undefined {
    const address = this.#anchors.get(page.module)?.get(name) ?? this.#anchors.get("epoll-hello")?.get(name);
    return address?.startsWith(`${page.file}#`) === true ? address.slice(page.file.length) : address;
  }

  #add(module: string, name: string, declarations: ExportedDeclarations[], isExported: boolean): void {
    const [first] = declarations;
    const source = first === undefined ? "" : this.#sourceOf(first);
    const page = pageFor(source);
    if (page === undefined) throw new Error(`${name} of src/${source} belongs to no page: see docs/build/api/pages.ts`);
    if (this.#entries.get(module)?.has(name) === true) return;
    this.#entries.get(module)?.set(name, { name, page, declarations, isExported });
  }

  #sourceOf(node: Node): string {
    return relative(`${this.#root}/src`, node.getSourceFile().getFilePath());
  }

  /** Adds the types of this package that a declaration refers to and no entry point exports by name. */
  #addReferenced(module: string, entry: Entry): void {
    for (const declaration of entry.declarations) {
      for (const reference of publicTypeNames(declaration)) {
        const symbol = reference.getSymbol()?.getAliasedSymbol() ?? reference.getSymbol();
        for (const target of symbol?.getDeclarations() ?? []) {
          if (!Node.isInterfaceDeclaration(target) && !Node.isTypeAliasDeclaration(target)) continue;
          const isOurs = !this.#sourceOf(target).startsWith("..");
          if (isOurs && this.find(module, target.getName()) === undefined) {
            this.#add(module, target.getName(), [target], false);
          }
        }
      }
    }
  }

  #addAnchors(page: Page): void {
    const slugs = new Map<string, number>();
    const add = (heading: string, name?: string): void => {
      const slug = slugOf(heading);
      const count = slugs.get(slug) ?? 0;
      slugs.set(slug, count + 1);
      if (name === undefined) return;
      const anchors = this.#anchors.get(page.module) ?? new Map<string, string>();
      this.#anchors.set(page.module, anchors);
      anchors.set(name, `${page.file}#${count === 0 ? slug : `${slug}-${count}`}`);
    };
    add(page.title);
    for (const entry of this.entriesOf(page)) {
      if (isConstant(entry)) continue;
      add(headingOf(entry), entry.name);
      const [declaration] = entry.declarations;
      if (!Node.isClassDeclaration(declaration)) continue;
      for (const { heading, name } of membersOf(declaration)) add(heading, `${entry.name}.${name}`);
    }
  }
}

/** A part of a class that has its own heading in the reference: its constructor, or a method. */
export interface Member {
  name: string;
  heading: string;
  isStatic: boolean;
  /** One for each public overload. */
  declarations: Node[];
}

/** Returns the constructor and the public methods of a class, with those of a base class that is not exported. */
export function membersOf(declaration: ClassDeclaration): Member[] {
  const className = declaration.getNameOrThrow();
  const members: Member[] = [];
  const constructors = declaration.getConstructors().flatMap(overloadsOf).filter(isPublic);
  if (constructors.length > 0) {
    const heading = `new ${className}()`;
    members.push({ name: "constructor", heading, isStatic: false, declarations: constructors });
  }
  for (const owner of lineage(declaration)) {
    for (const method of owner.getMethods()) {
      const name = method.getName();
      if (name.startsWith("#") || name.startsWith("[") || members.some((member) => member.name === name)) continue;
      const declarations = overloadsOf(method).filter(isPublic);
      if (declarations.length === 0) continue;
      const receiver = method.isStatic() ? className : instanceName(className);
      members.push({ name, heading: `${receiver}.${name}()`, isStatic: method.isStatic(), declarations });
    }
  }
  return members.toSorted((a, b) => rankOf(a) - rankOf(b));
}

function rankOf({ name, isStatic }: Member): number {
  return name === "constructor" ? 0 : isStatic ? 1 : 2;
}

/** Returns the public fields and accessors of a class, with those of a base class that is not exported. */
export function propertiesOf(declaration: ClassDeclaration): Property[] {
  return lineage(declaration).flatMap((owner) =>
    [...owner.getProperties(), ...owner.getGetAccessors()].filter(
      (property) => !/^(?:#|name$)/.test(property.getName()) && isPublic(property), // an error's name is its class's
    ),
  );
}

/** Returns a class, and those of its base classes that the package does not export. */
function lineage(declaration: ClassDeclaration): ClassDeclaration[] {
  const base = declaration.getBaseClass();
  if (base === undefined || base.getSourceFile().isInNodeModules() || isExportedByIndex(base)) return [declaration];
  return [declaration, ...lineage(base)];
}

/** Whether the main entry point exports a class. */
export function isExportedByIndex(declaration: ClassDeclaration): boolean {
  const index = declaration
    .getProject()
    .getSourceFiles()
    .find((file) => file.getFilePath().endsWith("/src/index.ts"));
  return (
    index
      ?.getExportedDeclarations()
      .get(declaration.getName() ?? "")
      ?.includes(declaration) ?? false
  );
}

/** Returns the overloads of a function, or its one declaration. */
export function overloadsOf<T extends Node>(node: T): Node[] {
  if (Node.isOverloadable(node)) {
    const overloads = node.getOverloads();
    if (overloads.length > 0) return overloads;
  }
  return [node];
}

function isPublic(node: Node): boolean {
  if (Node.isScoped(node) && node.getScope() !== Scope.Public) return false;
  return !docCommentOf(node).isInternal;
}

/** Returns the names of the types in the public part of a declaration. */
function publicTypeNames(declaration: Node): Node[] {
  if (Node.isVariableDeclaration(declaration)) return [];
  if (Node.isFunctionDeclaration(declaration))
    return overloadsOf(declaration).flatMap(signatureNodes).flatMap(typeNames);
  if (!Node.isClassDeclaration(declaration)) return typeNames(declaration);
  const methods = membersOf(declaration).flatMap(({ declarations }) => declarations);
  const properties = propertiesOf(declaration).flatMap((property) => typeNodeOf(property) ?? []);
  return [...methods.flatMap(signatureNodes), ...properties].flatMap(typeNames);
}

function typeNames(node: Node): Node[] {
  return [node, ...node.getDescendants()].flatMap((child) => (Node.isTypeReference(child) ? child.getTypeName() : []));
}

function signatureNodes(node: Node): Node[] {
  const parameters = Node.isParametered(node) ? node.getParameters().flatMap((p) => p.getTypeNode() ?? []) : [];
  const result = Node.isReturnTyped(node) ? node.getReturnTypeNode() : undefined;
  return result === undefined ? parameters : [...parameters, result];
}

/** Returns the annotation of a property or accessor. */
export function typeNodeOf(property: Property): Node | undefined {
  return Node.isGetAccessorDeclaration(property) ? property.getReturnTypeNode() : property.getTypeNode();
}

function kindRank({ declarations: [first] }: Entry): number {
  return Node.isClassDeclaration(first) ? 0 : Node.isFunctionDeclaration(first) ? 1 : 2;
}

export function isType({ declarations: [first] }: Entry): boolean {
  return Node.isInterfaceDeclaration(first) || Node.isTypeAliasDeclaration(first);
}

/** Whether an entry is one of the numbers that constants.md lists in a table. */
export function isConstant({ page, declarations: [first] }: Entry): boolean {
  return page.file === "constants.md" && Node.isVariableDeclaration(first);
}

export function headingOf({ name, declarations: [first] }: Entry): string {
  return Node.isFunctionDeclaration(first) ? `${name}()` : name;
}

/** `Epoll` → `epoll`, `ServerSocket` → `socket`, `EpollServer` → `server`, `ErrnoError` → `error`. */
export function instanceName(className: string): string {
  if (className.endsWith("Error")) return "error";
  if (className.endsWith("List")) return `${instanceName(className.slice(0, -"List".length))}s`;
  if (/^(?:Epoll|Server)[A-Z]/.test(className)) return instanceName(className.replace(/^(?:Epoll|Server)/, ""));
  return className.charAt(0).toLowerCase() + className.slice(1);
}

/** Returns the anchor that GitHub gives a heading. */
function slugOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .replaceAll(" ", "-");
}
