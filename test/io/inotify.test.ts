// Inotify: events of files and directories.

import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  Epoll,
  EPOLLIN,
  formatInotifyMask,
  IN_ALL_EVENTS,
  IN_CLOSE_WRITE,
  IN_CREATE,
  IN_DELETE,
  IN_DELETE_SELF,
  IN_IGNORED,
  IN_ISDIR,
  IN_MOVE,
  IN_MOVED_FROM,
  IN_MOVED_TO,
  Inotify,
  IN_ONLYDIR,
} from "../../src/index.ts";
import { leavesNoFd } from "../support/fds.ts";

setDefaultTimeout(60_000);

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "epoll-hello-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("reads several events in order, with names of any length", () =>
  leavesNoFd(() => {
    using inotify = new Inotify();
    using epoll = new Epoll();
    epoll.register(inotify, EPOLLIN);
    expect([inotify.read(), epoll.poll(0)]).toEqual([[], []]);
    const wd = inotify.add(folder, IN_CREATE | IN_CLOSE_WRITE | IN_DELETE);
    const names = ["a", "b".repeat(15), "c".repeat(16), "d".repeat(255), "ö".repeat(127)];
    for (const name of names) writeFileSync(join(folder, name), "");
    mkdirSync(join(folder, "e"));
    expect(epoll.poll(1000)).toEqual([[inotify.fileno(), EPOLLIN]]);
    expect(inotify.read()).toEqual([
      ...names.flatMap((name) => [
        { wd, mask: IN_CREATE, cookie: 0, name },
        { wd, mask: IN_CLOSE_WRITE, cookie: 0, name },
      ]),
      { wd, mask: IN_CREATE | IN_ISDIR, cookie: 0, name: "e" },
    ]);
    expect(inotify.read()).toEqual([]);
  }));

test("the events of a rename share a cookie, events of the watched path have no name, and removal is reported", () =>
  leavesNoFd(() => {
    using inotify = new Inotify();
    writeFileSync(join(folder, "old"), "");
    const [ofFolder, ofFile] = [inotify.add(folder, IN_MOVE), inotify.add(join(folder, "old"), IN_DELETE_SELF)];
    expect(ofFile).not.toBe(ofFolder);
    renameSync(join(folder, "old"), join(folder, "new"));
    const [from, to] = inotify.read();
    expect(from).toMatchObject({ wd: ofFolder, mask: IN_MOVED_FROM, name: "old" });
    expect(to).toMatchObject({ wd: ofFolder, mask: IN_MOVED_TO, name: "new", cookie: from?.cookie as number });
    expect(from?.cookie).toBeGreaterThan(0);
    rmSync(join(folder, "new"));
    expect(inotify.read()).toEqual([
      { wd: ofFile, mask: IN_DELETE_SELF, cookie: 0, name: "" },
      { wd: ofFile, mask: IN_IGNORED, cookie: 0, name: "" },
    ]);
    inotify.remove(ofFolder);
    expect(inotify.read()).toEqual([{ wd: ofFolder, mask: IN_IGNORED, cookie: 0, name: "" }]);
  }));

test("leaves events that do not fit into one read for the next read", () =>
  leavesNoFd(() => {
    using inotify = new Inotify();
    inotify.add(folder, IN_CREATE);
    const names = Array.from({ length: 500 }, (_, i) => `${"x".repeat(200)}${i}`);
    for (const name of names) writeFileSync(join(folder, name), "");
    const got: string[] = [];
    let reads = 0;
    for (let events; (events = inotify.read()).length > 0; reads++) got.push(...events.map(({ name }) => name));
    expect([got, reads > 1]).toEqual([names, true]);
  }));

test("formatInotifyMask names the bits", () => {
  expect(formatInotifyMask(IN_CREATE | IN_ISDIR)).toBe("IN_CREATE|IN_ISDIR");
  expect(formatInotifyMask(IN_ALL_EVENTS).split("|")).toHaveLength(12);
  expect(formatInotifyMask(0)).toBe("0");
});

test("names that are not UTF-8 go in and come out as bytes", () =>
  leavesNoFd(() => {
    using inotify = new Inotify();
    const name = Uint8Array.of(0xff, 0xfe, 0x2e, 0x80);
    const other = Uint8Array.of(0xff, 0xff);
    const path = (...parts: Uint8Array[]): Buffer => Buffer.concat([Buffer.from(`${folder}/`), ...parts]);
    mkdirSync(path(name));
    const wd = inotify.add(path(name), IN_CREATE); // a directory whose name no string can express
    expect(inotify.add(new Uint8Array(path(name)), IN_CREATE)).toBe(wd);
    writeFileSync(path(name, Buffer.from("/"), other), "");
    expect(inotify.read({ encoding: "buffer" })).toEqual([{ wd, mask: IN_CREATE, cookie: 0, name: other }]);
    inotify.add(folder, IN_DELETE);
    rmSync(path(name), { recursive: true });
    const deletion = inotify.read({ encoding: "buffer" }).find(({ mask }) => (mask & IN_DELETE) !== 0);
    expect(deletion?.name).toEqual(name);
    expect(() => writeFileSync(path(deletion?.name as Uint8Array), "")).not.toThrow();
    expect(() => inotify.add(path(other), IN_CREATE)).toThrow("inotify_add_watch ENOENT");
  }));

test("read decodes names as UTF-8 by default, and keeps the bytes of its result", () =>
  leavesNoFd(() => {
    using inotify = new Inotify();
    const wd = inotify.add(folder, IN_CREATE);
    writeFileSync(join(folder, "ö"), "");
    const [first] = inotify.read({ encoding: "buffer" });
    writeFileSync(join(folder, "other"), "");
    expect(inotify.read({ encoding: "utf8" })).toEqual([{ wd, mask: IN_CREATE, cookie: 0, name: "other" }]);
    expect(Buffer.from(first?.name ?? []).toString()).toBe("ö"); // not overwritten by the second read
    expect(inotify.read()).toEqual([]);
    for (const encoding of ["latin1", 5, null]) {
      expect(() => inotify.read({ encoding } as never)).toThrow('encoding must be "utf8" or "buffer"; received ');
    }
  }));

test("rejects invalid paths, masks and watch descriptors", () =>
  leavesNoFd(() => {
    const inotify = new Inotify();
    expect(() => inotify.add(join(folder, "none"), IN_CREATE)).toThrow("ENOENT");
    expect(() => inotify.add(folder, 0)).toThrow("EINVAL");
    writeFileSync(join(folder, "a"), "");
    expect(() => inotify.add(join(folder, "a"), IN_CREATE | IN_ONLYDIR)).toThrow("ENOTDIR");
    expect(() => inotify.add("a\0b", IN_CREATE)).toThrow(TypeError);
    expect(() => inotify.add(Uint8Array.of(97, 0, 98), IN_CREATE)).toThrow("without NUL bytes");
    expect(() => inotify.remove(99)).toThrow("EINVAL");
    inotify.close();
    expect(() => inotify.read()).toThrow("Inotify.read: this Inotify is closed");
  }));
