/** @jsxImportSource preact */
// The dialog that lists the keyboard shortcuts, and turns those of a single character off.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { areLettersEnabled, setLettersEnabled, SHORTCUT_HELP_ID, SHORTCUTS } from "./shortcuts.ts";

export function ShortcutHelp(): JSX.Element {
  const [isEnabled, setEnabled] = useState(areLettersEnabled());
  return (
    <dialog id={SHORTCUT_HELP_ID} aria-labelledby="shortcut-title">
      <h2 id="shortcut-title">Keyboard shortcuts</h2>
      <dl class="shortcuts">
        {SHORTCUTS.map(({ keys, effect }) => (
          <div key={keys}>
            <dt>
              {keys.split(" ").map((key, i) => (
                <>
                  {i > 0 ? " " : ""}
                  <kbd>{key}</kbd>
                </>
              ))}
            </dt>
            <dd>{effect}</dd>
          </div>
        ))}
      </dl>
      <label class="check">
        <input
          type="checkbox"
          checked={isEnabled}
          onChange={(event) => {
            setLettersEnabled(event.currentTarget.checked);
            setEnabled(event.currentTarget.checked);
          }}
        />{" "}
        Shortcuts of a single letter or sign
      </label>
      <form method="dialog">
        <button type="submit" class="primary">
          Close
        </button>
      </form>
    </dialog>
  );
}
