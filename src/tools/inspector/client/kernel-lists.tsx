/** @jsxImportSource preact */
// The kernel's view of the epoll instances: interest lists and ready fds; and what the last epoll_wait returned.

import type { JSX } from "preact";
import { type FdKey, fdKey } from "../../../trace/fd-key.ts";
import type { KernelInstance, KernelResponse } from "../messages.ts";
import type { View } from "./event-history.ts";
import { formatCount, formatShortMask } from "./format.ts";

const MAX_CHIPS = 20;

interface KernelListsProps {
  view: View;
  /** The kernel's present lists; undefined for the past or a saved trace, where only the trace is known. */
  kernel: KernelResponse | undefined;
  isNumeric: boolean;
  onSelectFd: (key: FdKey) => void;
}

interface Chip {
  fd: number;
  mask: number;
  /** The events that it is ready for; 0: none. */
  ready: number;
}

export function KernelLists({ view, kernel, isNumeric, onSelectFd }: KernelListsProps): JSX.Element {
  const chips = { isNumeric, onSelectFd };
  const hasSeveral = new Set(kernel?.instances.map(({ pid }) => pid)).size > 1;
  return (
    <section class="kernel-lists" aria-label="Kernel lists">
      {kernel === undefined ? (
        <RegisteredList view={view} {...chips} />
      ) : kernel.instances.length === 0 ? (
        <h2>Kernel: no epoll instance</h2>
      ) : (
        kernel.instances.map((instance) => (
          <Instance key={fdKey(instance.epfd, instance.pid)} instance={instance} hasSeveral={hasSeveral} {...chips} />
        ))
      )}
      <h3 title="The events that epoll_wait has returned: the program handles these">
        Returned by the last epoll_wait ({formatCount(view.ready.length)})
      </h3>
      <Chips
        name="returned"
        pid={view.pid}
        entries={view.ready.map(([fd, mask]) => ({ fd, mask, ready: mask }))}
        total={view.ready.length}
        {...chips}
      />
    </section>
  );
}

interface ChipProps {
  isNumeric: boolean;
  onSelectFd: (key: FdKey) => void;
}

function Instance({
  instance,
  hasSeveral,
  ...chips
}: { instance: KernelInstance; hasSeveral: boolean } & ChipProps): JSX.Element {
  const { pid, epfd, interest, ready, isReadyComplete, entries } = instance;
  const readyEntries = entries.filter((entry) => entry.ready !== 0);
  return (
    <>
      <h2>
        Kernel: {hasSeveral ? `process ${pid}, ` : ""}epoll fd {epfd}
      </h2>
      <h3 title="The fds in the kernel's interest list, from /proc. Those that are ready are marked.">
        Interest list ({formatCount(interest)})
      </h3>
      <Chips name="interest" pid={pid} entries={entries} total={interest} {...chips} />
      <h3 title="The fds of the interest list that are ready now, asked from the kernel with poll, which consumes nothing. An edge-triggered fd among them is reported only when something new happens.">
        Ready now ({isReadyComplete ? "" : "at least "}
        {formatCount(ready)})
      </h3>
      <Chips
        name="ready"
        pid={pid}
        entries={readyEntries.map((entry) => ({ ...entry, mask: entry.ready }))}
        total={ready}
        {...chips}
      />
    </>
  );
}

/** What the program has registered, as far as the trace says. */
function RegisteredList({ view, ...chips }: { view: View } & ChipProps): JSX.Element {
  const returned = new Map(view.ready);
  const entries = view.entries
    .filter(({ mask, kind, pid }) => mask !== undefined && kind !== "epoll" && pid === view.pid)
    .map(({ fd, mask }) => ({ fd, mask: mask ?? 0, ready: returned.get(fd) ?? 0 }));
  return (
    <>
      <h2>Registrations{view.epfd < 0 ? "" : `: epoll fd ${view.epfd}`}</h2>
      <h3>Interest list ({formatCount(entries.length)})</h3>
      <Chips name="interest" pid={view.pid} entries={entries} total={entries.length} {...chips} />
    </>
  );
}

interface ChipsProps extends ChipProps {
  name: string;
  /** The process of the fds; undefined: the one that serves the page. */
  pid: number | undefined;
  entries: readonly Chip[];
  /** How many there are, of which `entries` may be a part. */
  total: number;
}

function Chips({ name, pid, entries, total, isNumeric, onSelectFd }: ChipsProps): JSX.Element {
  const shown = entries.slice(0, MAX_CHIPS).toSorted((a, b) => a.fd - b.fd);
  return (
    <div class="chips" data-list={name}>
      {shown.map(({ fd, mask, ready }) => (
        <button
          key={fd}
          type="button"
          class={ready !== 0 ? "chip is-ready" : "chip"}
          title={`fd ${fd}: ${formatShortMask(mask, false)}${ready === 0 ? "" : `, ready for ${formatShortMask(ready, false)}`}`}
          onClick={() => onSelectFd(fdKey(fd, pid))}
        >
          <b>{fd}</b> <span>{formatShortMask(mask, isNumeric)}</span>
        </button>
      ))}
      {total > shown.length ? <span class="aside">{formatCount(total - shown.length)} more</span> : null}
      {total === 0 ? <span class="aside">none</span> : null}
    </div>
  );
}
