// The generator of the API reference: how it parses doc comments. (.ci/run checks that docs/api is current.)

import { expect, setDefaultTimeout, test } from "bun:test";
import { firstSentence, parseDocComment, unwrap } from "../../docs/build/api/doc-comment.ts";
import { pageFor } from "../../docs/build/api/pages.ts";

setDefaultTimeout(60_000);

test("reads the description and the tags of a doc comment", () => {
  const doc = parseDocComment(`/**
   * Registers a file descriptor,
   * and returns it.
   *
   * @param mask the events to report
   * @returns the same
   *   number
   * @throws {ErrnoError} EEXIST if it is registered; EBADF if it is not open
   * @see epoll_ctl(2)
   * @example
   * \`\`\`ts
   * register(fd); // @param is not a tag here
   * \`\`\`
   */`);
  expect(doc).toMatchObject({
    description: "Registers a file descriptor, and returns it.",
    params: [{ name: "mask", text: "the events to report" }],
    returns: "the same number",
    throws: [{ type: "ErrnoError", text: "EEXIST if it is registered; EBADF if it is not open" }],
    see: ["epoll_ctl(2)"],
    examples: ["```ts\nregister(fd); // @param is not a tag here\n```"],
    isInternal: false,
  });
});

test("rejects an unknown tag, which the reference would omit", () => {
  expect(() => parseDocComment("/** @author someone */")).toThrow("unknown tag @author");
});

test("joins the lines of paragraphs and list items, and leaves code as it is", () => {
  const text = "One\ntwo.\n\n- a\n  b\n- c\n\n```ts\nx;\ny;\n```";
  expect(unwrap(text)).toBe("One two.\n\n- a b\n- c\n\n```ts\nx;\ny;\n```");
});

test("begins a numbered list at 1, not at a number that ends a sentence", () => {
  expect(unwrap("Milliseconds. Default:\n10000. Zero: none.")).toBe("Milliseconds. Default: 10000. Zero: none.");
  expect(unwrap("Steps:\n1. a\n   b\n2. c")).toBe("Steps:\n1. a b\n2. c");
});

test("summarizes with the first sentence", () => {
  expect(firstSentence("Waits for events. A signal does not end the wait.")).toBe("Waits for events.");
  expect(firstSentence("No period")).toBe("No period");
});

test("assigns each source file to the page with the longest matching path", () => {
  expect(pageFor("io/epoll.ts")?.file).toBe("epoll.md");
  expect(pageFor("io/socket/options.ts")?.file).toBe("socket.md");
  expect(pageFor("io/timerfd.ts")?.file).toBe("file-descriptors.md");
  expect(pageFor("server/systemd.ts")?.file).toBe("systemd.md");
  expect(pageFor("tools/cli/main.ts")).toBeUndefined();
});
