// Epoll instances registered with other epoll instances: readiness propagates, up to five levels and without cycles.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EPOLLET, EPOLLIN, EPOLLONESHOT, EPOLLOUT } from "../../../src/kernel/constants.ts";
import { Epoll } from "../../../src/io/epoll.ts";
import {
  Ends,
  EventFd,
  everyFdIsClosed,
  interestOf,
  numbersOf,
  readyFds,
  reportOf,
  Several,
} from "../../support/descriptors.ts";
import { failure } from "../../support/sockets.ts";

setDefaultTimeout(60_000);
everyFdIsClosed();

const DEEPEST = 5;

const epolls = (length: number): Several<Epoll> => new Several(length, () => new Epoll());

test("an epoll instance is readable while one of its fds is ready", () => {
  using outer = new Epoll();
  using inner = new Epoll();
  using ends = new Ends();
  outer.register(inner, EPOLLIN);
  inner.register(ends.here, EPOLLIN);
  expect(reportOf(outer, inner)).toBe("nothing");
  ends.there.send("x");
  expect(reportOf(outer, inner)).toBe("EPOLLIN");
  expect(reportOf(outer, inner)).toBe("EPOLLIN");
  expect(reportOf(inner, ends.here)).toBe("EPOLLIN");
  expect(reportOf(outer, inner)).toBe("EPOLLIN"); // reported, but not read
  ends.here.recv(1);
  expect(reportOf(outer, inner)).toBe("nothing");
});

test("propagates readiness that preceded the registration", () => {
  using outer = new Epoll();
  using inner = new Epoll();
  using eventfd = new EventFd(1);
  inner.register(eventfd, EPOLLIN);
  outer.register(inner, EPOLLIN);
  expect(reportOf(outer, inner)).toBe("EPOLLIN");
});

test("an epoll instance is never writable: the outer one reports EPOLLOUT of an inner fd as EPOLLIN", () => {
  using outer = new Epoll();
  using inner = new Epoll();
  using ends = new Ends();
  inner.register(ends.here, EPOLLOUT);
  outer.register(inner, EPOLLIN | EPOLLOUT);
  expect(reportOf(outer, inner)).toBe("EPOLLIN");
});

test("does not propagate events of unregistered fds", () => {
  using outer = new Epoll();
  using inner = new Epoll();
  using eventfd = new EventFd(1);
  inner.register(eventfd, EPOLLIN);
  outer.register(inner, EPOLLIN);
  inner.unregister(eventfd);
  expect(reportOf(outer, inner)).toBe("nothing");
});

test("reports an inner instance registered with EPOLLONESHOT once until it is re-armed", () => {
  using outer = new Epoll();
  using inner = new Epoll();
  using eventfd = new EventFd();
  inner.register(eventfd, EPOLLIN);
  outer.register(inner, EPOLLIN | EPOLLONESHOT);
  for (let i = 0; i < 3; i++) {
    eventfd.add();
    expect(reportOf(outer, inner)).toBe("EPOLLIN");
    eventfd.add();
    expect(reportOf(outer, inner)).toBe("nothing");
    expect(reportOf(inner, eventfd)).toBe("EPOLLIN");
    eventfd.take();
    outer.modify(inner, EPOLLIN | EPOLLONESHOT);
    expect(reportOf(outer, inner)).toBe("nothing");
  }
});

test("reports each inner change once with EPOLLET", () => {
  using outer = new Epoll();
  using inner = new Epoll();
  using ends = new Ends();
  inner.register(ends.here, EPOLLIN);
  outer.register(inner, EPOLLIN | EPOLLET);
  for (let i = 0; i < 3; i++) {
    ends.there.send("x");
    expect(reportOf(outer, inner)).toBe("EPOLLIN");
    expect(reportOf(outer, inner)).toBe("nothing");
    expect(reportOf(inner, ends.here)).toBe("EPOLLIN");
    ends.here.recv(1);
    expect(inner.poll(0)).toEqual([]);
  }
});

test("two epoll instances can watch the same epoll instance", () => {
  using inner = new Epoll();
  using left = new Epoll();
  using right = new Epoll();
  using eventfd = new EventFd(1);
  inner.register(eventfd, EPOLLIN);
  for (const outer of [left, right]) outer.register(inner, EPOLLIN);
  expect(reportOf(left, inner)).toBe("EPOLLIN");
  expect(reportOf(right, inner)).toBe("EPOLLIN");
});

test("an fd registered with both the inner and the outer instance is reported by both", () => {
  using outer = new Epoll();
  using inner = new Epoll();
  using eventfd = new EventFd(1);
  inner.register(eventfd, EPOLLIN);
  outer.register(inner, EPOLLIN);
  outer.register(eventfd, EPOLLIN);
  expect(readyFds(outer)).toEqual(numbersOf([inner, eventfd]));
  expect(reportOf(inner, eventfd)).toBe("EPOLLIN");
});

test("closing an inner epoll instance removes its registration", () => {
  using outer = new Epoll();
  using eventfd = new EventFd(1);
  const inner = new Epoll();
  inner.register(eventfd, EPOLLIN);
  outer.register(inner, EPOLLIN);
  inner.close();
  expect(outer.poll(0)).toEqual([]);
  expect(interestOf(outer)).toEqual([]);
});

test("readiness propagates through five levels", () => {
  using chain = epolls(DEEPEST);
  using eventfd = new EventFd();
  chain.at(0).register(eventfd, EPOLLIN);
  for (let i = 1; i < DEEPEST; i++) chain.at(i).register(chain.at(i - 1), EPOLLIN);
  expect(chain.at(-1).poll(0)).toEqual([]);
  eventfd.add();
  for (let i = DEEPEST - 1; i > 0; i--) expect(reportOf(chain.at(i), chain.at(i - 1))).toBe("EPOLLIN");
  expect(reportOf(chain.at(0), eventfd)).toBe("EPOLLIN");
});

test("adding a sixth level at the outside fails with ELOOP", () => {
  using chain = epolls(DEEPEST + 1);
  for (let i = 1; i < DEEPEST; i++) chain.at(i).register(chain.at(i - 1), EPOLLIN);
  expect(failure(() => chain.at(DEEPEST).register(chain.at(DEEPEST - 1), EPOLLIN))).toEqual(["ELOOP", "epoll_ctl"]);
});

test("adding a sixth level at the inside fails with ELOOP", () => {
  using chain = epolls(DEEPEST + 1);
  for (let i = 1; i < DEEPEST; i++) chain.at(i + 1).register(chain.at(i), EPOLLIN);
  expect(failure(() => chain.at(1).register(chain.at(0), EPOLLIN))).toEqual(["ELOOP", "epoll_ctl"]);
});

test("registering two instances with each other fails with ELOOP", () => {
  using first = new Epoll();
  using second = new Epoll();
  first.register(second, EPOLLIN);
  expect(failure(() => second.register(first, EPOLLIN))).toEqual(["ELOOP", "epoll_ctl"]);
  expect(interestOf(second)).toEqual([]);
});

test("a cycle of three instances fails with ELOOP", () => {
  using chain = epolls(3);
  chain.at(1).register(chain.at(0), EPOLLIN);
  chain.at(2).register(chain.at(1), EPOLLIN);
  expect(failure(() => chain.at(0).register(chain.at(2), EPOLLIN))).toEqual(["ELOOP", "epoll_ctl"]);
});

test("the reverse registration succeeds after the first one is removed", () => {
  using first = new Epoll();
  using second = new Epoll();
  first.register(second, EPOLLIN);
  first.unregister(second);
  second.register(first, EPOLLIN);
  expect(interestOf(second)).toHaveLength(1);
});

test("too many wake-up paths from one fd fail with EINVAL", () => {
  using tower = epolls(DEEPEST - 1);
  using wide = epolls(11);
  using eventfd = new EventFd();
  for (let i = 1; i < tower.all.length; i++) tower.at(i).register(tower.at(i - 1), EPOLLIN);
  for (const epoll of wide.all) epoll.register(eventfd, EPOLLIN);
  for (const epoll of wide.all.slice(1)) tower.at(0).register(epoll, EPOLLIN); // ten paths of five instances each
  expect(failure(() => tower.at(0).register(wide.at(0), EPOLLIN))).toEqual(["EINVAL", "epoll_ctl"]);
});
