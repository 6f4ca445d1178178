/** @jsxImportSource preact */
// Source lines around the one that made a call.

import type { JSX } from "preact";
import type { SourceResponse } from "../messages.ts";

export function SourceView({ source: { file, first, line, lines } }: { source: SourceResponse }): JSX.Element {
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
