// Descriptors that are closed while they are watched, against the rule: nothing spins, nothing is mistaken for another.

import { expect, setDefaultTimeout, test } from "bun:test";
import { F_DUPFD_CLOEXEC } from "../../src/kernel/constants.ts";
import { syscalls } from "../../src/kernel/ffi.ts";
import { EPOLLIN, EPOLLONESHOT, EPOLLOUT, socketpair, watch } from "../../src/index.ts";
import { iterationsWhile } from "../support/iterations.ts";
import { leavesNothing } from "../support/threads.ts";
import { settled, turns, until } from "../support/turns.ts";

setDefaultTimeout(60_000);

test("a descriptor is closed: it is silent, and its watch can be closed", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    let calls = 0;
    const watcher = watch(ours, EPOLLOUT, () => void calls++);
    ours.close();
    expect(() => watcher.modify(EPOLLIN)).toThrow("EBADF");
    await turns(20);
    watcher.close();
    await settled();
    expect(calls).toBe(0);
    peer.close();
  }));

test("its number is taken and watched again: the old watch is closed, and closing it again harms nobody", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    const fd = ours.fileno();
    let [before, after] = [0, 0];
    const old = watch(fd, EPOLLOUT, () => void before++);
    ours.close();
    const pair = socketpair();
    const mine = pair.find((socket) => socket.fileno() === fd);
    if (mine === undefined) throw new Error("the number is not taken again");
    const watcher = watch(mine, EPOLLOUT, () => void after++);
    expect(old.closed).toBe(true);
    old.close();
    await until(() => after >= 3);
    expect(before).toBe(0);
    expect(after).toBeGreaterThanOrEqual(3);
    watcher.close();
    for (const socket of [...pair, peer]) socket.close();
  }));

test("a duplicate keeps the file open, which epoll reports for ever: others are served, and once its watch is closed nobody spins", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    const [other, otherPeer] = socketpair();
    const [once, oncePeer] = socketpair();
    const duplicate = syscalls().fcntl(ours.fileno(), F_DUPFD_CLOEXEC, 0);
    const calls = { ghost: 0, other: 0, once: 0 };
    const ghost = watch(ours, EPOLLOUT, () => void calls.ghost++);
    using watcher = watch(other, EPOLLIN, () => void (calls.other++, other.recv(10)));
    using spent = watch(once, EPOLLIN | EPOLLONESHOT, () => void calls.once++);
    oncePeer.send("a");
    await until(() => calls.once > 0);
    ours.close();
    ghost.close();
    const before = calls.ghost;
    await settled();
    otherPeer.send("a");
    await until(() => calls.other > 0);
    expect([calls.ghost, calls.other, calls.once]).toEqual([before, 1, 1]);
    await settled();
    // At rest: the thread waits for the hub's epoll, which has nothing to report.
    const iterations = await iterationsWhile(async () => Bun.sleep(30));
    expect(iterations).toBe(0);
    spent.modify(EPOLLIN | EPOLLONESHOT);
    await until(() => calls.once > 1);
    expect(calls.once).toBe(2);
    expect(watcher.closed).toBe(false);
    syscalls().close(duplicate);
    for (const socket of [peer, other, otherPeer, once, oncePeer]) socket.close();
  }));
