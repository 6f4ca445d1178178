/** @jsxImportSource preact */
// The page's program: a store, the page that shows it, and the keys.

import { render } from "preact";
import { App } from "./app.tsx";
import { onKey } from "./controls.tsx";
import { Store } from "./store.ts";

const root = document.querySelector("#page");
if (root !== null) {
  root.textContent = "";
  const store: Store = new Store(() => render(<App store={store} />, root));
  // A button that was clicked with a mouse gives the keys back: the space bar is for the loop.
  document.addEventListener("click", ({ detail, target }) => {
    if (detail > 0 && target instanceof Element) target.closest("button")?.blur();
  });
  document.addEventListener("keydown", (event) => onKey(store, event));
  render(<App store={store} />, root);
  store.start();
}
