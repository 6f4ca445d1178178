// File descriptors that are closed before their watch: no busy loop, and no event for the wrong watch.

import { expect, setDefaultTimeout, test } from "bun:test";
import { F_DUPFD_CLOEXEC } from "../../src/kernel/constants.ts";
import { syscalls } from "../../src/kernel/ffi.ts";
import { EPOLLIN, EPOLLONESHOT, EPOLLOUT, socketpair, watch } from "../../src/index.ts";
import { untilWaiting } from "../support/bridge-state.ts";
import { countWaits } from "../support/count-waits.ts";
import { leavesNothing } from "../support/threads.ts";
import { runIterations, settled, until } from "../support/event-loop.ts";

setDefaultTimeout(60_000);

test("a watch whose fd has been closed gets no events and can be closed", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    let calls = 0;
    const watcher = watch(ours, EPOLLOUT, () => void calls++);
    ours.close();
    expect(() => watcher.modify(EPOLLIN)).toThrow("EBADF");
    await runIterations(20);
    watcher.close();
    await settled();
    expect(calls).toBe(0);
    peer.close();
  }));

test("watching a reused fd closes the old watch, whose close() then has no effect", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    const fd = ours.fileno();
    let [before, after] = [0, 0];
    const old = watch(fd, EPOLLOUT, () => void before++);
    ours.close();
    const pair = socketpair();
    const mine = pair.find((socket) => socket.fileno() === fd);
    if (mine === undefined) throw new Error("the fd was not reused");
    const watcher = watch(mine, EPOLLOUT, () => void after++);
    expect(old.closed).toBe(true);
    old.close();
    await until(() => after >= 3);
    expect(before).toBe(0);
    expect(after).toBeGreaterThanOrEqual(3);
    watcher.close();
    for (const socket of [...pair, peer]) socket.close();
  }));

test("a stale registration kept by a duplicate is dropped, without losing events of other watches", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    const [other, otherPeer] = socketpair();
    const [once, oncePeer] = socketpair();
    const duplicate = syscalls().fcntl(ours.fileno(), F_DUPFD_CLOEXEC, 0);
    const calls = { stale: 0, other: 0, once: 0 };
    const stale = watch(ours, EPOLLOUT, () => void calls.stale++);
    using watcher = watch(other, EPOLLIN, () => void (calls.other++, other.recv(10)));
    using disarmed = watch(once, EPOLLIN | EPOLLONESHOT, () => void calls.once++);
    oncePeer.send("a");
    await until(() => calls.once > 0);
    ours.close();
    stale.close();
    const before = calls.stale;
    await settled();
    otherPeer.send("a");
    await until(() => calls.other > 0);
    expect([calls.stale, calls.other, calls.once]).toEqual([before, 1, 1]);
    await settled();
    // Idle: the bridge thread waits for the registry's epoll instance, which has no events.
    await untilWaiting(1);
    const waits = await countWaits(async () => Bun.sleep(30));
    expect(waits).toBe(0);
    disarmed.modify(EPOLLIN | EPOLLONESHOT);
    await until(() => calls.once > 1);
    expect(calls.once).toBe(2);
    expect(watcher.closed).toBe(false);
    syscalls().close(duplicate);
    for (const socket of [peer, other, otherPeer, once, oncePeer]) socket.close();
  }));

test("when a stale registration is dropped, a watch of a closed fd is closed, and does not watch the fd's next owner", () =>
  leavesNothing(async () => {
    const fcntl = syscalls().fcntl;
    const [ours, peer] = socketpair();
    const [lost, lostPeer] = socketpair();
    const [kept, keptPeer] = socketpair();
    const calls = { stale: 0, lost: 0, kept: 0 };
    const stale = watch(ours, EPOLLOUT, () => void calls.stale++);
    const lostWatch = watch(lost, EPOLLIN, () => void calls.lost++);
    using _ = watch(kept, EPOLLIN, () => void (calls.kept++, kept.recv(10)));
    // Duplicates keep the registrations of both. The number of the second is reused, by a socket that is readable.
    const duplicates = [ours, lost].map((socket) => fcntl(socket.fileno(), F_DUPFD_CLOEXEC, 0));
    const fd = lost.fileno();
    lost.close();
    const strangers = socketpair();
    expect(strangers.map((socket) => socket.fileno())).toContain(fd);
    for (const stranger of strangers) stranger.send("a");
    ours.close();
    stale.close();
    keptPeer.send("a");
    await until(() => calls.kept === 1);
    await settled();
    expect(lostWatch.closed).toBe(true);
    keptPeer.send("b");
    await until(() => calls.kept === 2);
    expect(calls.lost).toBe(0);
    for (const duplicate of duplicates) syscalls().close(duplicate);
    for (const socket of [peer, lostPeer, kept, keptPeer, ...strangers]) socket.close();
  }));
