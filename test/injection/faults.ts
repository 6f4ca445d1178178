// The faults that strace(1) injects into system calls, and how many requests each may cost.

export interface InjectedFault {
  /** The system call, as strace names it. */
  call: string;
  /** What happens to it: see strace(1), `--inject`. */
  what: string;
  /** `hit`: a request may be lost for each call that was hit. `none`: no request may be lost. `all`: none can be answered meanwhile. */
  costs: "hit" | "none" | "all";
  /** Bun makes the same call for itself, and aborts if that fails. */
  mayAbortBun?: boolean;
}

const FIRST = "when=1..3";
const ALWAYS = "when=1+";
const DELAY = "delay_enter=20000:when=1..20";

function errors(call: string, costs: InjectedFault["costs"], ...names: string[]): InjectedFault[] {
  return names.map((name) => ({ call, what: `error=${name}:${FIRST}`, costs }));
}

/** Faults of a server that serves. Its calls are those of docs/reliability.md. */
export const servingFaults: readonly InjectedFault[] = [
  // accept(2): the connection stays in the backlog.
  ...errors("accept4", "none", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "ECONNABORTED", "EPROTO", "EINTR", "EAGAIN", "EPERM"), // prettier-ignore
  { call: "accept4", what: `error=EMFILE:${ALWAYS}`, costs: "all" },
  { call: "accept4", what: `error=ENOMEM:${ALWAYS}`, costs: "all" },
  { call: "accept4", what: `error=EBADF:${ALWAYS}`, costs: "all" },
  ...errors("recvfrom", "none", "EINTR", "EAGAIN"),
  ...errors("recvfrom", "hit", "ECONNRESET", "ETIMEDOUT", "ENOMEM", "EHOSTUNREACH"),
  { call: "recvfrom", what: `retval=0:${FIRST}`, costs: "hit" },
  ...errors("sendto", "none", "EINTR", "EAGAIN"),
  ...errors("sendto", "hit", "ECONNRESET", "EPIPE", "ENOBUFS", "ENOMEM", "EHOSTUNREACH"),
  ...errors("epoll_wait", "none", "EINTR"),
  { call: "epoll_wait", what: `retval=0:${FIRST}`, costs: "none" },
  { call: "epoll_wait", what: "error=EINTR:when=1..50", costs: "none" },
  ...errors("epoll_ctl", "hit", "ENOMEM", "ENOSPC"),
  ...errors("shutdown", "none", "ENOTCONN", "ENOBUFS"),
  ...errors("setsockopt", "none", "ENOMEM", "EINVAL"),
  ...errors("getsockname", "none", "ENOBUFS"),
  ...errors("close", "none", "EINTR", "EIO"),
  ...errors("openat2", "hit", "EAGAIN", "ENOSYS", "EPERM", "EACCES", "EMFILE", "ENOMEM"),
  ...errors("statx", "hit", "ENOSYS", "EIO", "ENOMEM"),
  ...errors("preadv2", "hit", "EIO", "EAGAIN", "EOPNOTSUPP", "EINTR"),
  ...errors("read", "none", "EINTR", "EAGAIN"),
  ...["accept4", "recvfrom", "sendto", "epoll_wait", "epoll_ctl", "close", "openat2", "preadv2", "futex"].map(
    (call): InjectedFault => ({ call, what: DELAY, costs: "none" }),
  ),
  // Signals that are ignored by default interrupt calls nevertheless, if a handler is installed.
  ...["accept4", "recvfrom", "sendto", "epoll_wait"].map((call): InjectedFault => ({
    call,
    what: `signal=SIGWINCH:${FIRST}`,
    costs: "none",
  })),
];

/** Faults while a server is created and begins to serve: it works, or says what failed. */
export const startingFaults: readonly InjectedFault[] = (
  [
    ["socket", "EMFILE", "ENFILE", "ENOBUFS", "EACCES"],
    ["bind", "EADDRINUSE", "EACCES"],
    ["listen", "EADDRINUSE"],
    ["setsockopt", "ENOMEM", "ENOPROTOOPT"],
    ["getsockname", "ENOBUFS"],
    ["epoll_create1", "EMFILE", "ENFILE", "ENOMEM"],
    ["epoll_ctl", "ENOMEM", "ENOSPC"],
    ["eventfd2", "EMFILE", "ENOMEM"],
    ["pipe2", "EMFILE", "ENFILE"],
    ["socketpair", "EMFILE", "ENFILE"],
    ["fcntl", "EINTR", "EMFILE"],
    ["memfd_create", "EMFILE", "ENOMEM", "EPERM"],
    ["clone3", "EAGAIN"],
    ["rt_sigaction", "EINVAL"],
    ["prctl", "EINVAL"],
  ] as const
).flatMap(([call, ...names]) =>
  names.flatMap((name) =>
    [1, 2].map((nth): InjectedFault => ({ call, what: `error=${name}:when=${nth}`, costs: "all" })),
  ),
);
