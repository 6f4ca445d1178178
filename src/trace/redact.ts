// Redaction of credentials in traced data: values of HTTP headers such as Authorization, and of parameters such as token.

/** Headers whose values are credentials, and the endings of the names of others. */
const SECRET_HEADER =
  /^(?:(?:proxy-)?authorization|cookie2?|set-cookie2?|(?:.+-)?(?:api-?key|access-?key|secret|token|password|signature|credentials?))$/;
/** Parameters whose values are credentials, without `-`, `_`, `.` and the like between words. */
const SECRET_PARAMETER =
  /^(?:key|auth|authorization|pass|pwd|pw|sig|jwt|sid|session|code|otp|pin|.*(?:token|secret|password|passwd|passphrase|apikey|accesskey|secretkey|privatekey|signature|credentials?|sessionid))$/;
/** Longer names are not looked up. */
const MAX_NAME_LENGTH = 64;

/** Ends the value of a header. */
const LINE_BREAK = /[\r\n]/g;
/** Ends the value of a parameter. A semicolon, a comma or an apostrophe may be part of it. */
const VALUE_END = /[&#\s"<>]/g;
/** The name of a parameter follows one of these, or begins a line. */
const NAME_START = /[?&;#\s"<>]/g;

/**
 * Redacts a stream of data that arrives in pieces, such as everything that is received on a connection. Values and even names may be
 * divided between pieces. The stream is searched as text, without parsing HTTP: every line may be a header, and every `?name=` and
 * `&name=` a parameter, also in a body.
 */
export class Redactor {
  /** What has been read of a name that may be one of a header, and of one that may be one of a parameter; undefined: neither. */
  #header: string | undefined = "";
  #parameter: string | undefined = "";
  /** What is being read. `space`: between the colon and the value; `cr`: the end of a header, unless no line feed follows. */
  #reads: "text" | "space" | "header" | "cr" | "parameter" = "text";
  /** The last line was a redacted header: a line that begins with a space continues it. */
  #canContinue = false;

  /** Returns the next piece with `<redacted N bytes>` in place of each value. One character stands for one byte. */
  redact(piece: string): string {
    let result = "";
    /** The beginning of what has not been copied to the result: of a value, or of other text. */
    let start = 0;
    for (let i = this.#skip(piece, 0); i < piece.length; i = this.#skip(piece, i + 1)) {
      const wasValue = this.#isValue;
      this.#read(piece[i] as string);
      if (wasValue === this.#isValue) continue;
      const end = wasValue || this.#reads !== "parameter" ? i : i + 1; // a parameter's value begins after the equals sign
      result += wasValue ? mark(piece.slice(start, end)) : piece.slice(start, end);
      start = end;
    }
    const rest = piece.slice(start);
    return result + (this.#isValue ? mark(rest) : rest);
  }

  get #isValue(): boolean {
    return this.#reads === "header" || this.#reads === "parameter";
  }

  /** Returns the index of the next character that matters, from `index` on. */
  #skip(piece: string, index: number): number {
    const isBetweenNames = this.#reads === "text" && this.#header === undefined && this.#parameter === undefined;
    const pattern =
      this.#reads === "header"
        ? LINE_BREAK
        : this.#reads === "parameter"
          ? VALUE_END
          : isBetweenNames
            ? NAME_START
            : undefined;
    if (pattern === undefined) return index;
    pattern.lastIndex = index;
    return pattern.exec(piece)?.index ?? piece.length;
  }

  #read(character: string): void {
    if (character === "\n") return this.#beginLine();
    switch (this.#reads) {
      case "header":
        this.#reads = "cr"; // only a line break ends it
        return;
      case "space":
        if (character !== " " && character !== "\t") this.#reads = character === "\r" ? "cr" : "header";
        return;
      case "cr":
        this.#reads = "header"; // a CR that is part of the value
        return;
      case "parameter":
        this.#reads = "text";
        this.#parameter = "";
        return;
      case "text":
        this.#readName(character);
    }
  }

  #beginLine(): void {
    this.#canContinue = this.#reads === "header" || this.#reads === "space" || this.#reads === "cr";
    this.#reads = "text";
    this.#header = this.#parameter = "";
  }

  #readName(character: string): void {
    if (this.#canContinue) {
      this.#canContinue = false;
      if (character === " " || character === "\t") {
        this.#reads = "space";
        return;
      }
    }
    if (character === ":" && this.#header !== undefined && SECRET_HEADER.test(this.#header.trim().toLowerCase())) {
      this.#reads = "space";
    } else if (character === "=" && this.#parameter !== undefined && isSecretParameter(this.#parameter)) {
      this.#reads = "parameter";
    }
    this.#header = extend(this.#header, character, character === ":");
    NAME_START.lastIndex = 0;
    this.#parameter = NAME_START.test(character) ? "" : extend(this.#parameter, character, character === "=");
  }
}

/** Returns a name with another character; undefined if the name has ended or is too long. */
function extend(name: string | undefined, character: string, hasEnded: boolean): string | undefined {
  return name === undefined || hasEnded || name.length >= MAX_NAME_LENGTH ? undefined : name + character;
}

/** The data of all fds, each direction of each fd being a stream of its own. */
export class DataRedactor {
  readonly #received = new Map<number, Redactor>();
  readonly #sent = new Map<number, Redactor>();

  redact(direction: "recv" | "send", fd: number, piece: string): string {
    const redactors = direction === "recv" ? this.#received : this.#sent;
    let redactor = redactors.get(fd);
    if (redactor === undefined) redactors.set(fd, (redactor = new Redactor()));
    return redactor.redact(piece);
  }

  /** Forgets the streams of an fd, whose number is about to be reused. */
  forget(fd: number): void {
    this.#received.delete(fd);
    this.#sent.delete(fd);
  }
}

/** Redacts a text that is complete in itself, such as a start line. */
export function redactLine(line: string): string {
  return line.includes("=") ? new Redactor().redact(line) : line;
}

function mark(value: string): string {
  return value === "" ? "" : `<redacted ${value.length} bytes>`;
}

function isSecretParameter(name: string): boolean {
  return SECRET_PARAMETER.test(
    decode(name)
      .replace(/[^a-z0-9]/gi, "")
      .toLowerCase(),
  );
}

function decode(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
