// Chromium: pages with images, fetch() with streams in both directions, forms, aborted requests.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Page } from "playwright-core";
import { hasBrowser, openBrowser } from "../support/browser.ts";
import { FetchServer } from "../support/fetch-server.ts";
import { pattern, patternHash } from "../support/pattern.ts";

setDefaultTimeout(60_000);

describe.skipIf(!hasBrowser)("Chromium", () => {
  let server: FetchServer;
  let chromium: Awaited<ReturnType<typeof openBrowser>>;
  let page: Page;

  beforeAll(async () => {
    [server, chromium] = await Promise.all([FetchServer.start(), openBrowser()]);
    page = await chromium.browser.newPage();
    await page.goto(`${server.url}/page`);
  });

  afterAll(async () => {
    await chromium[Symbol.asyncDispose]();
    await using ending = server;
    expect(await ending.stop()).toMatchObject({ open: 0, rejected: 0, timeouts: 0, thrown: [] });
  });

  /** Evaluates code in the page. It is a string, since the page's types are not available here. */
  const inPage = (code: string): Promise<unknown> => page.evaluate(`(async () => { ${code} })()`);

  test("shows a page with its image", async () => {
    expect(await page.title()).toBe("A page");
    expect(await page.locator("p").innerText()).toBe("Hello");
    expect(await inPage("const image = document.images[0]; await image.decode(); return image.naturalWidth;")).toBe(7);
  });

  test("reloads a page repeatedly", async () => {
    for (let visit = 0; visit < 5; visit++) expect((await page.reload())?.status()).toBe(200);
  });

  test("fetch(): sends a body, receives JSON", async () => {
    const sent = pattern(0, 1_500_000).toBase64();
    expect(
      await inPage(`return (await fetch("/hash", { method: "POST", body: Uint8Array.fromBase64("${sent}") })).json()`),
    ).toEqual({
      method: "POST",
      bytes: 1_500_000,
      sha256: patternHash(1_500_000),
    });
  });

  test("fetch(): receives a response piece by piece", async () => {
    const text = await inPage(`
      const reader = (await fetch("/drip?pieces=4")).body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (let read; !(read = await reader.read()).done; ) text += read.value;
      return text;
    `);
    expect(text).toBe("piece 4\npiece 3\npiece 2\npiece 1\n");
  });

  test("fetch(): receives its body back", async () => {
    expect(await inPage(`return (await fetch("/echo", { method: "PUT", body: "x".repeat(500000) })).text()`)).toBe(
      "x".repeat(500_000),
    );
  });

  test("fetch(): sends a form with a file", async () => {
    const form = `const form = new FormData(); form.append("a", "ä"); form.append("b", new Blob(["12345"]), "b.txt");`;
    expect(await inPage(`${form} return (await fetch("/form", { method: "POST", body: form })).json()`)).toEqual([
      ["a", "ä"],
      ["b", 5],
    ]);
  });

  test("fetch(): sends fifty requests concurrently", async () => {
    const all = `Promise.all(Array.from({ length: 50 }, (_, i) => fetch("/slow?ms=" + i).then((response) => response.text())))`;
    expect(await inPage(`return ${all}`)).toEqual(Array.from({ length: 50 }, (_, i) => `after ${i} ms`));
  });

  test("fetch(): aborting a request aborts the signal of the handler", async () => {
    const asking = `const stop = new AbortController(); globalThis.stop = stop; fetch("/wait", { signal: stop.signal }).catch(() => {})`;
    await inPage(`${asking}; return true`);
    await server.waitFor("waiting");
    await inPage("globalThis.stop.abort()");
    await server.waitFor("aborted");
  });

  test("HEAD, an error, a missing page", async () => {
    const statuses = `const ask = async (...of) => { const response = await fetch(...of); return [response.status, (await response.text()).length]; };
      return [await ask("/hello", { method: "HEAD" }), await ask("/nowhere"), await ask("/hello")]`;
    expect(await inPage(statuses)).toEqual([
      [200, 0],
      [404, 12],
      [200, 5],
    ]);
  });
});
