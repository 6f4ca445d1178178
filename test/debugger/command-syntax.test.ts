// The syntax of a line at the prompt: where commands end, and which lines are JavaScript.

import { expect, setDefaultTimeout, test } from "bun:test";
import { isJavaScript, splitCommands } from "../../src/tools/debugger/command-syntax.ts";

setDefaultTimeout(60_000);

test("splits at ;; but not within quotes and brackets", () => {
  expect(splitCommands("n;; p 1 ;;s")).toEqual(["n", "p 1", "s"]);
  expect(splitCommands("for (;;) { break };; p 1")).toEqual(["for (;;) { break }", "p 1"]);
  expect(splitCommands('send "a;;b\\";;c";; recv')).toEqual(['send "a;;b\\";;c"', "recv"]);
  expect(splitCommands("p `;;${';;'}`;;n")).toEqual(["p `;;${';;'}`", "n"]);
  expect(splitCommands("")).toEqual([]);
});

test("a line that begins like a command is JavaScript if it continues like JavaScript", () => {
  for (const line of [
    "s = 3",
    "n + 1",
    "n++",
    "list.length",
    "run()",
    "c[0]",
    "delete a.b",
    "b += 1",
    "i => i",
    "r ?? 1",
  ])
    expect([line, isJavaScript(/^\w+/.exec(line)?.[0] ?? "", line.replace(/^\w+/, ""))]).toEqual([line, true]);
  for (const line of [
    "s 3",
    "n",
    "p -1",
    "p(1)",
    "b 42, a === 1",
    "delete 1, 2",
    "save /tmp/x",
    "l .",
    "watch -x",
    "i b",
  ])
    expect([line, isJavaScript(/^\w+/.exec(line)?.[0] ?? "", line.replace(/^\w+/, ""))]).toEqual([line, false]);
});
