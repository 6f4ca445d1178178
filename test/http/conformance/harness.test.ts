// The conformance suite itself: it has enough cases, and it fails for wrong responses.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { leavesNoFd } from "../../support/fds.ts";
import { answered, type Case, chunked, CONTINUE, get, head, last, post, rejected } from "./case.ts";
import { subjects } from "./cases/index.ts";
import { play } from "./play.ts";
import { type Asked, parseResponse } from "./parse-response.ts";
import { splitsFor } from "./splits.ts";

setDefaultTimeout(60_000);

test("every subject has cases, and their names are unique", () => {
  const names = subjects.flatMap(({ subject, cases }) => cases.map(({ name }) => `${subject}: ${name}`));
  expect(names.length).toBeGreaterThan(600);
  expect(names.filter((name, i) => names.indexOf(name) < i)).toEqual([]);
  expect(subjects.filter(({ cases }) => cases.length < 10)).toEqual([]);
});

test("a text is split in several ways, the same ones each time, and nothing is lost", () => {
  for (const text of ["", "a", get(), "long ".repeat(5000)]) {
    const cuts = splitsFor("a case").map(({ name, cut }) => [name, cut(text)] as const);
    for (const [, pieces] of cuts) expect(pieces.join("")).toBe(text);
    expect(splitsFor("a case").map(({ name, cut }) => [name, cut(text)])).toEqual(cuts.map((cut) => [...cut]));
  }
  expect(splitsFor("a case")[1]?.cut("abc")).toEqual(["a", "b", "c"]);
  expect(splitsFor("a case")[2]?.cut(get())).not.toEqual(splitsFor("another")[2]?.cut(get()) ?? []);
});

const wrong: readonly Case[] = [
  rejected(400, "a rejection that does not happen", get()),
  rejected(404, "another status", "\0"),
  answered("a rejection", "\0"),
  answered("another method", get(), { method: "PUT" }),
  answered("another target", get(), { target: "/x" }),
  answered("another body", chunked("2\r\nhi\r\n0\r\n\r\n"), { body: "ho" }),
  answered("another header", get("X: 1"), { headers: { x: "2" } }),
  answered("an unexpected header", get("X: 1"), { headers: { x: null } }),
  answered("a response field that is missing", get(), { fields: { "X-Missing": "1" } }),
  answered("a response field that is present", get(), { fields: { Date: null } }),
  answered("a response that is not the server's own", get(), { isFromServer: true, text: "Hello." }),
  answered("an unexpected response", get() + get(), {}),
  answered("a missing response", get(), {}, {}),
  answered("an unexpected close", get("Connection: close")),
  last("a close that does not happen", get()),
  answered("a body to a HEAD", head("HEAD / HTTP/1.1", "Host: a")),
  answered("no body to a GET", get(), { isHead: true }),
  answered("a response to an incomplete request", "GET / HTTP/1.1\r\nHost: a\r\n"),
  { ...answered("a response that is too early", [get(), get()], {}, {}), responsesAfter: [0] },
  { ...answered("a response that is too late", [post("Content-Length: 2"), "hi"]), responsesAfter: [1] },
  answered("an unexpected 100", [post("Expect: 100-continue", "Content-Length: 2"), "hi"]),
  { ...answered("a missing 100", [post("Content-Length: 2"), "hi"], CONTINUE, {}), responsesAfter: [1] },
  { ...answered("a close after the client's", get()), ends: true },
  last("HTTP/1.0 that stays open", head("GET / HTTP/1.0", "Connection: keep-alive"), { isHttp10: true }),
  answered("an incomplete request after a complete one", `${get()}GET`),
];

describe("cases that have to fail", () => {
  for (const one of wrong) {
    test(one.name, () => leavesNoFd(() => expect(play(one, "echo", {}, 20)).rejects.toThrow("echo, ")));
  }
});

describe("malformed responses", () => {
  const DATE = "Date: Thu, 01 Jan 2026 00:00:00 GMT";
  const response = (...lines: readonly string[]): string => `${lines.join("\r\n")}\r\n\r\n`;
  const bad: readonly (readonly [name: string, text: string, asked?: Asked])[] = [
    ["another version", response("HTTP/1.0 200 OK", DATE, "Content-Length: 0")],
    ["no space after the status", response("HTTP/1.1 200", DATE, "Content-Length: 0")],
    ["a status of two digits", response("HTTP/1.1 20 OK", DATE, "Content-Length: 0")],
    ["a byte before it", ` ${response("HTTP/1.1 200 OK", DATE, "Content-Length: 0")}`],
    ["no Date", response("HTTP/1.1 200 OK", "Content-Length: 0")],
    ["another Date", response("HTTP/1.1 200 OK", "Date: now", "Content-Length: 0")],
    ["two Dates", response("HTTP/1.1 200 OK", DATE, DATE, "Content-Length: 0")],
    ["two lengths", response("HTTP/1.1 200 OK", DATE, "Content-Length: 0", "Content-Length: 0")],
    ["a malformed length", response("HTTP/1.1 200 OK", DATE, "Content-Length: 00")],
    ["a length and chunked", response("HTTP/1.1 200 OK", DATE, "Content-Length: 0", "Transfer-Encoding: chunked")],
    ["a body of undefined length", response("HTTP/1.1 200 OK", DATE)],
    ["204 with a length", response("HTTP/1.1 204 No Content", DATE, "Content-Length: 0")],
    ["a chunked 204", response("HTTP/1.1 204 No Content", DATE, "Transfer-Encoding: chunked")],
    ["100 with a length", response("HTTP/1.1 100 Continue", "Content-Length: 0")],
    ["chunked for HTTP/1.0", response("HTTP/1.1 200 OK", DATE, "Transfer-Encoding: chunked"), { isHttp10: true }],
    ["a space before the colon", response("HTTP/1.1 200 OK", DATE, "X : 1", "Content-Length: 0")],
    ["a bare LF", response("HTTP/1.1 200 OK", `${DATE}\nX: 1`, "Content-Length: 0")],
    ["a malformed chunk size", `${response("HTTP/1.1 200 OK", DATE, "Transfer-Encoding: chunked")}x\r\n`],
    [
      "a chunk that is longer than its size",
      `${response("HTTP/1.1 200 OK", DATE, "Transfer-Encoding: chunked")}1\r\nabc\r\n`,
    ],
  ];
  for (const [name, text, asked = {}] of bad) {
    test(name, () => expect(() => parseResponse(Buffer.from(text, "latin1"), 0, asked, false)).toThrow());
  }

  test("an incomplete response is not an error", () => {
    const whole = `${response("HTTP/1.1 200 OK", DATE, "Transfer-Encoding: chunked")}2\r\nhi\r\n0\r\n\r\n`;
    for (let end = 0; end < whole.length; end++) {
      expect(parseResponse(Buffer.from(whole.slice(0, end)), 0, {}, false)).toBeUndefined();
    }
    expect(parseResponse(Buffer.from(whole), 0, {}, false)?.body.toString()).toBe("hi");
  });
});
