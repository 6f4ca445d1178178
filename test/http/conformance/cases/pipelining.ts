// Pipelining: RFC 9112, 9.3.2.

import { answered, type Case, chunked, type Expected, get, head, last, post, rejected, SMUGGLED } from "../case.ts";

const to = (target: string): string => head(`GET ${target} HTTP/1.1`, "Host: a");
const HEAD = head("HEAD / HTTP/1.1", "Host: a");

const numbered = (count: number): { send: string; due: Expected[] } => ({
  send: Array.from({ length: count }, (_, i) => to(`/${i}`)).join(""),
  due: Array.from({ length: count }, (_, i) => ({ target: `/${i}` })),
});

const slow = (...turns: readonly number[]): { send: string; due: Expected[] } => ({
  send: turns.map((count) => to(`/slow/${count}`)).join(""),
  due: turns.map((count) => ({ text: `after ${count}` })),
});

const handlers = ["echo", "ignore"] as const;

export const pipelining: readonly Case[] = [
  answered("9112 9.3.2: three requests, in order", numbered(3).send, ...numbered(3).due),
  answered("9112 9.3.2: a hundred requests, in order", numbered(100).send, ...numbered(100).due),
  answered("9112 9.3.2: a hundred identical requests", get().repeat(100), ...Array.from({ length: 100 }, () => ({}))),
  answered(
    "9112 9.3.2: bodies of every kind, in order",
    `${post("Content-Length: 3")}one${chunked("3\r\ntwo\r\n0\r\n\r\n")}${get()}${post("Content-Length: 5")}three${chunked("0\r\nX: 1\r\n\r\n")}${get()}`,
    { body: "one" },
    { body: "two" },
    { method: "GET" },
    { body: "three" },
    { body: "", method: "POST" },
    { method: "GET" },
  ),
  answered(
    "9112 9.3.2: fifty bodies, in order",
    Array.from({ length: 50 }, (_, i) => post(`Content-Length: ${i}`) + "b".repeat(i)).join(""),
    ...Array.from({ length: 50 }, (_, i) => ({ body: "b".repeat(i) })),
  ),
  answered(
    "9112 9.3.2: HEAD among them",
    get() + HEAD + get() + HEAD + HEAD + get(),
    {},
    { isHead: true },
    {},
    { isHead: true },
    { isHead: true },
    {},
  ),
  {
    ...answered("9112 9.3.2: slow requests first, in order", slow(9, 5, 1).send, ...slow(9, 5, 1).due),
    only: handlers,
  },
  {
    ...answered(
      "9112 9.3.2: slow requests between fast ones, in order",
      to("/1") + to("/slow/7") + to("/2") + to("/slow/2") + to("/3"),
      {},
      { text: "after 7" },
      {},
      { text: "after 2" },
      {},
    ),
    only: handlers,
  },
  {
    ...answered(
      "9112 9.3.2: forty slow requests, in order",
      slow(...Array.from({ length: 40 }, (_, i) => 40 - i)).send,
      ...slow(...Array.from({ length: 40 }, (_, i) => 40 - i)).due,
    ),
    only: handlers,
  },
  {
    ...answered(
      "9112 9.3.2: streams between others, in order",
      to("/stream") + get() + to("/stream"),
      { text: "first,second,third" },
      {},
      { text: "first,second,third" },
    ),
    only: handlers,
  },
  {
    ...answered(
      "9112 9.3.2: large responses, in order",
      to("/large") + get() + to("/large") + get(),
      { text: "x".repeat(500_000) },
      {},
      { text: "x".repeat(500_000) },
      {},
    ),
    only: handlers,
  },
  {
    ...answered(
      "9112 9.3.2: responses of all kinds, in order",
      to("/404") + to("/204") + to("/304") + to("/empty") + to("/fixed"),
      { status: 404, text: "not here" },
      { status: 204 },
      { status: 304 },
      { text: "" },
      { text: "of ten byt" },
    ),
    only: handlers,
  },
  {
    ...answered(
      "9112 9.3.2: a handler that fails among them",
      get() + to("/throw") + get(),
      {},
      { status: 500, text: "The server failed to respond to this request.\n" },
      {},
    ),
    only: handlers,
  },
  rejected(
    400,
    "9112 9.3.2: a rejection follows the responses before it",
    `${numbered(3).send}garbage\r\n\r\n${SMUGGLED}`,
    ...numbered(3).due,
  ),
  {
    ...rejected(
      400,
      "9112 9.3.2: a rejection waits for slow responses before it",
      `${slow(7, 3).send}\0`,
      ...slow(7, 3).due,
    ),
    only: handlers,
  },
  {
    ...rejected(
      400,
      "9112 9.3.2: a malformed body is rejected after slow responses",
      slow(7).send + chunked("x\r\n"),
      ...slow(7).due,
    ),
    only: handlers,
  },
  last(
    "9112 9.6: requests after Connection: close are ignored",
    numbered(3).send + get("Connection: close") + SMUGGLED,
    ...numbered(3).due,
    {},
  ),
  {
    ...last(
      "9112 9.6: Connection: close waits for slow responses",
      slow(7, 3).send + get("Connection: close") + SMUGGLED,
      ...slow(7, 3).due,
      {},
    ),
    only: handlers,
  },
];
