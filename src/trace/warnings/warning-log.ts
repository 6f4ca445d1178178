// class WarningLog: reports each mistake once, and then how often it has happened.

import type { CallSite } from "../caller-line.ts";
import type { TraceMoment, WarningCode, WarningEvent } from "../events.ts";
import { UNSTAMPED } from "../traced-syscalls.ts";

/** This many fds with the same mistake at the same line are reported one by one. The others are only counted. */
const MAX_FDS_PER_LINE = 20;
/** The maximum number of reports whose totals are given at the end of the trace. */
const MAX_TOTALS = 1_000;

export interface Finding {
  code: WarningCode;
  fd: number | null;
  message: string;
  epfd?: number;
  /** How often it has happened so far; default: once more than at the last report. */
  count?: number;
  /** The call in the program. */
  site?: CallSite | undefined;
}

export type StampedWarning = TraceMoment & WarningEvent;

/** A mistake that has been reported. */
interface Report {
  event: StampedWarning;
  count: number;
  /** The count in the last event about it. */
  reportedCount: number;
}

/** The fds with the same mistake at the same line of the program. */
interface Line {
  first: Report | undefined;
  fds: number;
  reportedFds: number;
}

export class WarningLog {
  readonly #notify: (event: StampedWarning) => void;
  /** By what the mistake is about: a registration, an fd, or a line. */
  readonly #reports = new WeakMap<object, Map<WarningCode, Report>>();
  readonly #lines = new Map<string, Line>();
  readonly #totals = new Set<Report>();
  /** The `seq` of the event that is being observed. */
  cause: number = 0;

  constructor(notify: (event: StampedWarning) => void) {
    this.#notify = notify;
  }

  /** Reports that a mistake has happened, or has happened again. */
  add(subject: object, finding: Finding): void {
    const { code, count } = finding;
    if (this.count(subject, code, count)) return;
    let byCode = this.#reports.get(subject);
    if (byCode === undefined) this.#reports.set(subject, (byCode = new Map()));
    byCode.set(code, this.#addFirst(finding));
  }

  /**
   * Sets how often a mistake has happened, if it has been reported before. Returns whether it has.
   *
   * @param count default: once more than before
   */
  count(subject: object, code: WarningCode, count?: number): boolean {
    const report = this.#reports.get(subject)?.get(code);
    if (report === undefined) return false;
    report.count = count ?? report.count + 1;
    if (report.reportedCount > 0 && report.count >= 10 * report.reportedCount) this.#update(report);
    return true;
  }

  /** Returns whether a mistake has been reported. */
  has(subject: object, code: WarningCode): boolean {
    return this.#reports.get(subject)?.has(code) === true;
  }

  /** Reports the totals, at the end of the trace. */
  finish(): void {
    for (const report of this.#totals) if (report.count > report.reportedCount) this.#update(report);
    for (const { first, fds, reportedFds } of this.#lines.values()) {
      if (first !== undefined && fds > Math.max(MAX_FDS_PER_LINE, reportedFds)) this.#update(first, fds);
    }
  }

  #addFirst({ code, fd, message, epfd, count = 1, site }: Finding): Report {
    const at = site?.line;
    const key = `${code} ${at}`;
    let line = this.#lines.get(key);
    if (line === undefined) this.#lines.set(key, (line = { first: undefined, fds: 0, reportedFds: 0 }));
    line.fds++;
    const event: StampedWarning = { ...UNSTAMPED, type: "warning", code, fd, message, count, cause: this.cause };
    if (epfd !== undefined) event.epfd = epfd;
    if (at !== undefined) event.at = at;
    const report: Report = { event, count, reportedCount: count };
    line.first ??= report;
    if (line.fds <= MAX_FDS_PER_LINE) {
      if (this.#totals.size < MAX_TOTALS) this.#totals.add(report);
      this.#notify(event);
    } else {
      report.reportedCount = 0; // never updated
      if (line.fds < 10 * Math.max(line.reportedFds, MAX_FDS_PER_LINE / 2)) return report;
      line.reportedFds = line.fds;
      this.#update(line.first, line.fds);
    }
    return report;
  }

  #update(report: Report, fds?: number): void {
    const { event: first, count } = report;
    report.reportedCount = count;
    const event: StampedWarning = { ...first, ...UNSTAMPED, count, cause: this.cause, updates: first.seq };
    if (fds !== undefined) event.fds = fds;
    this.#notify(event);
  }
}
