/** @jsxImportSource preact */
// The kernel's box: what is on its interest list, and what has gone over to the ready list.

import type { JSX } from "preact";
import type { View } from "./event-history.ts";
import { maskText } from "./format.ts";

const MOST = 32;
const ROW_PX = 34;
const HEAD_PX = 26;

interface Chip {
  fd: number;
  mask: number;
  isReady: boolean;
  slot: number;
}

export function KernelLists({
  view,
  isNumeric,
  onFd,
}: {
  view: View;
  isNumeric: boolean;
  onFd: (fd: number) => void;
}): JSX.Element {
  const ready = new Map(view.ready);
  const watched = view.entries.filter(({ mask, kind }) => mask !== undefined && kind !== "epoll");
  const interesting = watched.filter(({ fd }) => !ready.has(fd));
  const chips: Chip[] = [
    ...interesting.slice(0, MOST).map(({ fd, mask }, slot) => ({ fd, mask: mask ?? 0, isReady: false, slot })),
    ...[...ready].slice(0, MOST).map(([fd, mask], slot) => ({ fd, mask, isReady: true, slot })),
  ].sort((a, b) => a.fd - b.fd);
  const rows = Math.max(3, Math.min(MOST, Math.max(interesting.length, ready.size)));
  const hidden = Math.max(0, interesting.length - MOST) + Math.max(0, ready.size - MOST);
  return (
    <section class="kernel" aria-label="The kernel's lists">
      <h2>In the kernel{view.epfd < 0 ? "" : `: epoll instance ${view.epfd}`}</h2>
      <div class="lists" style={{ height: `${HEAD_PX + rows * ROW_PX}px` }}>
        <h3 class="left">interest list ({watched.length})</h3>
        <h3 class="right">ready list ({ready.size})</h3>
        {chips.map(({ fd, mask, isReady, slot }) => (
          <button
            key={fd}
            type="button"
            class={isReady ? "chip ready" : "chip"}
            style={{ transform: `translate(${isReady ? "calc(100% + 8px)" : "0"}, ${HEAD_PX + slot * ROW_PX}px)` }}
            title={`${fd} is ${isReady ? "reported with" : "watched for"} ${maskText(mask, false)}`}
            onClick={() => onFd(fd)}
          >
            <b>{fd}</b> <span>{maskText(mask, isNumeric)}</span>
          </button>
        ))}
      </div>
      {hidden > 0 ? <p class="aside">{hidden} more are not drawn.</p> : null}
    </section>
  );
}
