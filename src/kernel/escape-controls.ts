// Escapes for text from files, peers and names: it must not control a terminal, nor hide or reorder what is displayed.

/** Control characters (C0, DEL, C1), format characters (bidirectional, zero-width), line separators and lone surrogates. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
const UNSAFE_IN_LINES = /(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
/** Most text is plain, and needs no search for the characters above. */
const PLAIN = /^[ -~]*$/;

/** Escapes unsafe characters of a text that is displayed on one line: an escape character becomes `\u001b`, as in JSON. */
export function escapeControls(text: string): string {
  return PLAIN.test(text) ? text : text.replace(UNSAFE, toEscape);
}

/** Does the same for text of several lines, and leaves line feeds and tabs as they are. Valid JSON remains valid. */
export function escapeLines(text: string): string {
  return PLAIN.test(text) ? text : text.replace(UNSAFE_IN_LINES, toEscape);
}

/** A character outside of the Basic Multilingual Plane becomes two escapes, one for each surrogate. */
function toEscape(character: string): string {
  return Array.from({ length: character.length }, (_, i) => {
    return `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`;
  }).join("");
}
