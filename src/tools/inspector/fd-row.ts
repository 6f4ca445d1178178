// A row of the table of file descriptors, and its columns: what can be displayed, sorted and filtered.

/** An open fd and one of its registrations. An fd that is registered in two epoll instances has two rows. */
export interface FdRow {
  fd: number;
  /** The process of the fd; undefined: the one that serves the page. */
  pid?: number | undefined;
  /** When the fd was opened, in microseconds since the trace began. Identifies a connection, because numbers of fds are reused. */
  openedUs: number;
  /** The epoll instance of the registration; undefined if the fd is not registered. */
  epfd?: number | undefined;
  kind: "epoll" | "listener" | "connection" | "other";
  state?: string | undefined;
  /** The registered mask. */
  mask?: number | undefined;
  /** The mask in the kernel's interest list; null if the kernel does not watch the fd. Undefined if the kernel was not asked. */
  kernelMask?: number | null | undefined;
  /** Recv-Q: bytes in the receive queue; of a listener, connections in the accept queue. */
  receiveQueue?: number | undefined;
  /** Send-Q: bytes in the send queue; of a listener, the limit of the accept queue. */
  sendQueue?: number | undefined;
  bytesIn: number;
  bytesOut: number;
  /** The time since the fd was opened. */
  ageUs: number;
  /** The time since the fd entered its state. */
  stateUs: number;
  /** The time since the last call on the fd. */
  idleUs: number;
  /** The last call that failed, such as `recv ECONNRESET`. */
  lastError?: string | undefined;
  /** The last start line that was received. */
  line?: string | undefined;
  /** The peer of a connection, or the address of a listener. */
  address: string;
  warning?: { code: string; message: string } | undefined;
}

const COLUMN_NAMES = [
  "fd",
  "pid",
  "type",
  "state",
  "epoll",
  "registered",
  "kernel",
  "recvq",
  "sendq",
  "received",
  "sent",
  "age",
  "instate",
  "idle",
  "error",
  "details",
] as const;

export type FdColumn = (typeof COLUMN_NAMES)[number];

/** The values by which rows are sorted. Missing numbers are -1, missing text is empty. */
export const FD_COLUMNS: Readonly<Record<FdColumn, (row: FdRow) => number | string>> = {
  fd: ({ fd }) => fd,
  pid: ({ pid }) => pid ?? -1,
  type: ({ kind }) => kind,
  state: ({ state }) => state ?? "",
  epoll: ({ epfd }) => epfd ?? -1,
  registered: ({ mask }) => mask ?? -1,
  kernel: ({ kernelMask }) => kernelMask ?? -1,
  recvq: ({ receiveQueue }) => receiveQueue ?? -1,
  sendq: ({ sendQueue }) => sendQueue ?? -1,
  received: ({ bytesIn }) => bytesIn,
  sent: ({ bytesOut }) => bytesOut,
  age: ({ ageUs }) => ageUs,
  instate: ({ stateUs }) => stateUs,
  idle: ({ idleUs }) => idleUs,
  error: ({ lastError }) => lastError ?? "",
  details: ({ address, warning }) => `${warning === undefined ? "b" : "a"} ${address}`, // warnings first
};

export function isFdColumn(name: string): name is FdColumn {
  return (COLUMN_NAMES as readonly string[]).includes(name);
}

/** Whether sorting or filtering by this column needs the kernel's figures of every fd. */
export function needsKernel(column: string): boolean {
  return column === "kernel" || column === "recvq" || column === "sendq";
}

/** Identifies a row across updates. */
export function rowKey({ openedUs, fd, epfd, pid }: FdRow): string {
  return `${openedUs}/${fd}/${epfd ?? ""}/${pid ?? ""}`;
}

/** How long nothing happens on an fd before it counts as stuck. */
const STUCK_US = 1_000_000;

/** The states of EpollServer in which a request or response is incomplete. */
const UNFINISHED_STATES: ReadonlySet<string> = new Set(["head", "body", "handler", "streaming", "sending"]);

/**
 * Returns whether nothing has happened on an fd for a second although there is something to do: data or connections wait in its queue,
 * or a request has not been answered.
 */
export function isStuck({ kind, state, idleUs, receiveQueue = 0, sendQueue = 0, bytesIn, bytesOut }: FdRow): boolean {
  if (idleUs < STUCK_US) return false;
  if (kind === "listener") return receiveQueue > 0;
  if (kind !== "connection") return false;
  const isUnanswered = state === undefined ? bytesIn > 0 && bytesOut === 0 : UNFINISHED_STATES.has(state);
  return receiveQueue > 0 || sendQueue > 0 || isUnanswered;
}
