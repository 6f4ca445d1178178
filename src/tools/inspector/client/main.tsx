/** @jsxImportSource preact */
// The entry point of the page: creates the store, renders the app and binds the keyboard shortcuts.

import { render } from "preact";
import { App } from "./app.tsx";
import { EventLink } from "./event-link.ts";
import { onKeyDown } from "./shortcuts.ts";
import { Store } from "./store.ts";

const root = document.querySelector("#page");
if (root !== null) {
  root.textContent = "";
  const link = new EventLink(() => store); // before the store, which removes the token from the address
  const store: Store = new Store(() => {
    link.onRender(store);
    render(<App store={store} />, root);
  });
  // A button clicked with the mouse gives up the focus, so that the space bar keeps pausing the loop.
  document.addEventListener("click", ({ detail, target }) => {
    if (detail > 0 && target instanceof Element) target.closest("button")?.blur();
  });
  document.addEventListener("keydown", (event) => onKeyDown(store, event));
  render(<App store={store} />, root);
  store.start();
}
