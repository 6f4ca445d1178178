// The face of the package: exports only.

/// <reference lib="esnext.disposable" preserve="true" />

export type { Address, AddressLike, InternetAddress, UnixAddress } from "./address.ts";
export { type Ancillary, CMSG_LEN, CMSG_SPACE, type Credentials, type ReceivedAncillary } from "./ancillary.ts";
export * from "./constants.ts";
export { Descriptor, pipe } from "./descriptors/descriptor.ts";
export { EventFd } from "./descriptors/eventfd.ts";
export { formatInotifyMask, Inotify, type InotifyEvent } from "./descriptors/inotify.ts";
export { MemFd } from "./descriptors/memfd.ts";
export { PidFd, type ProcessEnd } from "./descriptors/pidfd.ts";
export { type SignalCount, type SignalName, Signals } from "./descriptors/signals.ts";
export { TimerFd, type TimerSetting } from "./descriptors/timerfd.ts";
export { Epoll, type EpollOptions } from "./epoll.ts";
export { ClosedError, ErrnoError, LookupError } from "./errno.ts";
export { EventList } from "./events.ts";
export type { FdLike } from "./fd.ts";
export type { StaticResponse } from "./http/reply.ts";
export type { RequestInfo } from "./http/info.ts";
export type { RefusalCounts, RefusalReason } from "./http/refusal.ts";
export type { EpollServerOptions, FetchHandler, Heartbeat, ServerWarning } from "./server/options.ts";
export { EpollServer, type ServerStats, type StopOptions } from "./server/server.ts";
export type { StopSignal } from "./server/signals.ts";
export { ServerSocket, type SocketHandlers } from "./sockets.ts";
export { type Message, Socket, socketpair, WOULD_BLOCK } from "./socket.ts";
export type { TcpInfo, TcpState } from "./tcp-info.ts";
export { listenFds, type ListenFd, notify, type ServiceState, watchdogIntervalMs } from "./systemd.ts";
export {
  TRACE_VERSION,
  type TraceDetail,
  type TraceEvent,
  type TraceListener,
  type TraceMoment,
  type TraceOptions,
  type WarningCode,
} from "./trace/event.ts";
export { parseTrace, readTrace, TraceError } from "./trace/file.ts";
export {
  type Difference,
  differences,
  explain,
  type Interest,
  interestList,
  type Look,
  lookAt,
} from "./trace/kernel.ts";
export { formatEvent, type TextOptions } from "./trace/text.ts";
export { watch, type Watch, type WatchCallback, type WatchOptions } from "./watch.ts";
