// The suite itself: it has cases enough, and it fails at servers that do wrong.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { leavesNoFd } from "../../support/fds.ts";
import { answered, type Case, chunked, CONTINUE, get, head, last, post, refused } from "./case.ts";
import { subjects } from "./cases/index.ts";
import { play } from "./play.ts";
import { type Asked, readReply } from "./replies.ts";
import { splitsFor } from "./splits.ts";

setDefaultTimeout(60_000);

test("there are cases of all subjects, and each has a name of its own", () => {
  const names = subjects.flatMap(({ subject, cases }) => cases.map(({ name }) => `${subject}: ${name}`));
  expect(names.length).toBeGreaterThan(600);
  expect(names.filter((name, i) => names.indexOf(name) < i)).toEqual([]);
  expect(subjects.filter(({ cases }) => cases.length < 10)).toEqual([]);
});

test("a text is cut in many ways, the same each time, and nothing is lost", () => {
  for (const text of ["", "a", get(), "long ".repeat(5000)]) {
    const cuts = splitsFor("a case").map(({ name, cut }) => [name, cut(text)] as const);
    for (const [, pieces] of cuts) expect(pieces.join("")).toBe(text);
    expect(splitsFor("a case").map(({ name, cut }) => [name, cut(text)])).toEqual(cuts.map((cut) => [...cut]));
  }
  expect(splitsFor("a case")[1]?.cut("abc")).toEqual(["a", "b", "c"]);
  expect(splitsFor("a case")[2]?.cut(get())).not.toEqual(splitsFor("another")[2]?.cut(get()) ?? []);
});

const wrong: readonly Case[] = [
  refused(400, "a refusal that does not come", get()),
  refused(404, "another status", "\0"),
  answered("a refusal that comes", "\0"),
  answered("another method", get(), { method: "PUT" }),
  answered("another target", get(), { target: "/x" }),
  answered("another body", chunked("2\r\nhi\r\n0\r\n\r\n"), { body: "ho" }),
  answered("another header", get("X: 1"), { headers: { x: "2" } }),
  answered("a header too many", get("X: 1"), { headers: { x: null } }),
  answered("a field of the reply that is not there", get(), { fields: { "X-Missing": "1" } }),
  answered("a field of the reply that is there", get(), { fields: { Date: null } }),
  answered("a reply that is not the server's own", get(), { isServers: true, text: "Hello." }),
  answered("a reply too many", get() + get(), {}),
  answered("a reply too few", get(), {}, {}),
  answered("an end that comes", get("Connection: close")),
  last("an end that does not come", get()),
  answered("a body to a HEAD", head("HEAD / HTTP/1.1", "Host: a")),
  answered("no body to a GET", get(), { isHead: true }),
  answered("a reply to half a request", "GET / HTTP/1.1\r\nHost: a\r\n"),
  { ...answered("a reply too early", [get(), get()], {}, {}), heard: [0] },
  { ...answered("a reply too late", [post("Content-Length: 2"), "hi"]), heard: [1] },
  answered("100 that comes", [post("Expect: 100-continue", "Content-Length: 2"), "hi"]),
  { ...answered("100 that does not come", [post("Content-Length: 2"), "hi"], CONTINUE, {}), heard: [1] },
  { ...answered("an end after the client's", get()), ends: true },
  last("HTTP/1.0 that stays", head("GET / HTTP/1.0", "Connection: keep-alive"), { isOld: true }),
  answered("what follows is no request", `${get()}GET`),
];

describe("what has to fail", () => {
  for (const one of wrong) {
    test(one.name, () => leavesNoFd(() => expect(play(one, "echo", {}, 20)).rejects.toThrow("echo, ")));
  }
});

describe("a reply that is none", () => {
  const DATE = "Date: Thu, 01 Jan 2026 00:00:00 GMT";
  const reply = (...lines: readonly string[]): string => `${lines.join("\r\n")}\r\n\r\n`;
  const bad: readonly (readonly [name: string, text: string, asked?: Asked])[] = [
    ["another version", reply("HTTP/1.0 200 OK", DATE, "Content-Length: 0")],
    ["no space behind the status", reply("HTTP/1.1 200", DATE, "Content-Length: 0")],
    ["a status of two digits", reply("HTTP/1.1 20 OK", DATE, "Content-Length: 0")],
    ["a byte before it", ` ${reply("HTTP/1.1 200 OK", DATE, "Content-Length: 0")}`],
    ["no Date", reply("HTTP/1.1 200 OK", "Content-Length: 0")],
    ["another Date", reply("HTTP/1.1 200 OK", "Date: now", "Content-Length: 0")],
    ["two Dates", reply("HTTP/1.1 200 OK", DATE, DATE, "Content-Length: 0")],
    ["two lengths", reply("HTTP/1.1 200 OK", DATE, "Content-Length: 0", "Content-Length: 0")],
    ["a length that is none", reply("HTTP/1.1 200 OK", DATE, "Content-Length: 00")],
    ["a length and chunks", reply("HTTP/1.1 200 OK", DATE, "Content-Length: 0", "Transfer-Encoding: chunked")],
    ["no end of its body", reply("HTTP/1.1 200 OK", DATE)],
    ["204 with a length", reply("HTTP/1.1 204 No Content", DATE, "Content-Length: 0")],
    ["204 in chunks", reply("HTTP/1.1 204 No Content", DATE, "Transfer-Encoding: chunked")],
    ["100 with a length", reply("HTTP/1.1 100 Continue", "Content-Length: 0")],
    ["chunks for HTTP/1.0", reply("HTTP/1.1 200 OK", DATE, "Transfer-Encoding: chunked"), { isOld: true }],
    ["a space before the colon", reply("HTTP/1.1 200 OK", DATE, "X : 1", "Content-Length: 0")],
    ["a bare LF", reply("HTTP/1.1 200 OK", `${DATE}\nX: 1`, "Content-Length: 0")],
    ["a chunk's size that is none", `${reply("HTTP/1.1 200 OK", DATE, "Transfer-Encoding: chunked")}x\r\n`],
    ["a chunk that is longer", `${reply("HTTP/1.1 200 OK", DATE, "Transfer-Encoding: chunked")}1\r\nabc\r\n`],
  ];
  for (const [name, text, asked = {}] of bad) {
    test(name, () => expect(() => readReply(Buffer.from(text, "latin1"), 0, asked, false)).toThrow());
  }

  test("one that is not complete is no reply yet, and no error", () => {
    const whole = `${reply("HTTP/1.1 200 OK", DATE, "Transfer-Encoding: chunked")}2\r\nhi\r\n0\r\n\r\n`;
    for (let end = 0; end < whole.length; end++) {
      expect(readReply(Buffer.from(whole.slice(0, end)), 0, {}, false)).toBeUndefined();
    }
    expect(readReply(Buffer.from(whole), 0, {}, false)?.body.toString()).toBe("hi");
  });
});
