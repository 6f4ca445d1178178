/** @jsxImportSource preact */
// The kernel's two lists of an epoll instance: the interest list and the ready list.

import type { JSX } from "preact";
import type { View } from "./event-history.ts";
import { formatShortMask } from "./format.ts";

const MAX_ROWS = 32;
const MIN_ROWS = 3;
const ROW_HEIGHT = 34;
const HEADING_HEIGHT = 26;

/** A file descriptor in one of the lists. */
interface Chip {
  fd: number;
  mask: number;
  isReady: boolean;
  row: number;
}

interface KernelListsProps {
  view: View;
  isNumeric: boolean;
  onSelectFd: (fd: number) => void;
}

export function KernelLists({ view, isNumeric, onSelectFd }: KernelListsProps): JSX.Element {
  const ready = new Map(view.ready);
  const registered = view.entries.filter(({ mask, kind }) => mask !== undefined && kind !== "epoll");
  const notReady = registered.filter(({ fd }) => !ready.has(fd));
  // Sorted by fd, so that a chip keeps its element, and moves, when its fd becomes ready.
  const chips: Chip[] = [
    ...notReady.slice(0, MAX_ROWS).map(({ fd, mask }, row) => ({ fd, mask: mask ?? 0, isReady: false, row })),
    ...[...ready].slice(0, MAX_ROWS).map(([fd, mask], row) => ({ fd, mask, isReady: true, row })),
  ].sort((a, b) => a.fd - b.fd);
  const rows = Math.max(MIN_ROWS, Math.min(MAX_ROWS, Math.max(notReady.length, ready.size)));
  const hidden = Math.max(0, notReady.length - MAX_ROWS) + Math.max(0, ready.size - MAX_ROWS);
  return (
    <section class="kernel-lists" aria-label="Kernel lists">
      <h2>Kernel{view.epfd < 0 ? "" : `: epoll fd ${view.epfd}`}</h2>
      <div class="lists" style={{ height: `${HEADING_HEIGHT + rows * ROW_HEIGHT}px` }}>
        <h3 class="left">Interest list ({registered.length})</h3>
        <h3 class="right">Ready list ({ready.size})</h3>
        {chips.map(({ fd, mask, isReady, row }) => (
          <button
            key={fd}
            type="button"
            class={isReady ? "chip is-ready" : "chip"}
            style={{
              transform: `translate(${isReady ? "calc(100% + 8px)" : "0"}, ${HEADING_HEIGHT + row * ROW_HEIGHT}px)`,
            }}
            title={`fd ${fd}: ${isReady ? "ready" : "registered"}, ${formatShortMask(mask, false)}`}
            onClick={() => onSelectFd(fd)}
          >
            <b>{fd}</b> <span>{formatShortMask(mask, isNumeric)}</span>
          </button>
        ))}
      </div>
      {hidden > 0 ? <p class="aside">{hidden} more not shown.</p> : null}
    </section>
  );
}
