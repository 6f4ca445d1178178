/** @jsxImportSource preact */
// Source lines around the one that made a call.

import type { JSX } from "preact";
import type { SourceResponse } from "../messages.ts";

/** The lines shown before and after the one that made the call, so that it is in view without scrolling. */
const CONTEXT_LINES = 4;

export function SourceView({ source }: { source: SourceResponse }): JSX.Element {
  const { file, line } = source;
  const first = Math.max(source.first, line - CONTEXT_LINES);
  const lines = source.lines.slice(first - source.first, line + CONTEXT_LINES + 1 - source.first);
  const indent = Math.min(...lines.filter((text) => text.trim() !== "").map((text) => text.search(/\S/)));
  return (
    <figure class="source">
      <figcaption>
        {file}:{line}
      </figcaption>
      <pre tabIndex={0} role="region" aria-label={`Source: ${file}, line ${line}`}>
        {lines.map((text, i) => (
          <code key={first + i} class={first + i === line ? "is-current" : ""}>
            {String(first + i).padStart(4)} {first + i === line ? "->" : "  "} {text.slice(indent)}
          </code>
        ))}
      </pre>
    </figure>
  );
}
