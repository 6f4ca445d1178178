// WarningLog: one report for each subject, then counts, and a limit for many fds with the same mistake at the same line.

import { expect, setDefaultTimeout, test } from "bun:test";
import { formatEvent } from "../../src/index.ts";
import { StackSite } from "../../src/trace/caller-line.ts";
import { type StampedWarning, WarningLog } from "../../src/trace/warnings/warning-log.ts";

setDefaultTimeout(60_000);

function createLog(): { log: WarningLog; events: StampedWarning[] } {
  const events: StampedWarning[] = [];
  const log = new WarningLog((event) => {
    event.seq = events.push(event);
  });
  return { log, events };
}

test("reports a mistake once, then each time the count has grown tenfold, and the total at the end", () => {
  const { log, events } = createLog();
  const subject = {};
  for (let i = 0; i < 250; i++) log.add(subject, { code: "undrained", fd: 7, message: "fd 7 is edge-triggered" });
  log.finish();
  log.finish();
  expect(events.map(({ count, updates }) => [count, updates])).toEqual([
    [1, undefined],
    [10, 1],
    [100, 1],
    [250, 1],
  ]);
  expect(events.map((event) => formatEvent(event)?.trim())).toEqual([
    "warning: fd 7 is edge-triggered (undrained)",
    "warning: fd 7: 10 times so far (undrained)",
    "warning: fd 7: 100 times so far (undrained)",
    "warning: fd 7: 250 times so far (undrained)",
  ]);
});

test("reports twenty fds with the same mistake at the same line one by one, and counts the others", () => {
  const { log, events } = createLog();
  const site = new StackSite();
  for (let fd = 1; fd <= 250; fd++) log.add({ fd }, { code: "fd-leak", fd, message: `fd ${fd} is open`, site });
  log.finish();
  const reports = events.filter(({ updates }) => updates === undefined);
  expect(reports.map(({ fd }) => fd)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  expect(events.flatMap(({ fds }) => fds ?? [])).toEqual([100, 250]);
  expect(formatEvent(events.at(-1) as StampedWarning)).toMatch(
    /^ +warning: .*warning-log\.test\.ts:\d+: the same for 250 fds so far \(fd-leak\)$/,
  );
  log.add({}, { code: "fd-leak", fd: 1, message: "elsewhere", site: new StackSite() });
  expect(events.at(-1)).toMatchObject({ message: "elsewhere", count: 1 });
});
