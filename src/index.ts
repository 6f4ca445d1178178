// The public API of the package: exports only.

/// <reference lib="esnext.disposable" preserve="true" />

export { Epoll, type EpollOptions } from "./io/epoll.ts";
export { EventList } from "./io/event-list.ts";
export { formatEvents, formatMask } from "./kernel/format-mask.ts";
export { Socket, socketpair } from "./io/socket.ts";
export type { DatagramInfo, Message, MessageInfo } from "./io/socket-messages.ts";
export { MessageBatch, type MessageBatchOptions, type OutgoingMessage } from "./io/message-batch.ts";
export { WOULD_BLOCK } from "./io/transfer.ts";
export type {
  Address,
  AddressLike,
  CanAddress,
  InternetAddress,
  NetlinkAddress,
  PacketAddress,
  RawAddress,
  UnixAddress,
  VsockAddress,
} from "./kernel/address.ts";
export { decodePath, encodePath } from "./kernel/path-bytes.ts";
export { ifIndexToName, ifNameToIndex } from "./io/interfaces.ts";
export {
  type Ancillary,
  CMSG_LEN,
  CMSG_SPACE,
  type Credentials,
  type ExtendedError,
  type PacketInfo,
  type PacketTimestamps,
  type RawAncillary,
  type ReceivedAncillary,
} from "./kernel/control-messages.ts";
export type { TcpInfo, TcpState } from "./kernel/tcp-info.ts";
export { Descriptor, pipe } from "./io/descriptor.ts";
export { EventFd } from "./io/eventfd.ts";
export { formatInotifyMask, Inotify, type InotifyEvent, type InotifyReadOptions } from "./io/inotify.ts";
export { MemFd } from "./io/memfd.ts";
export { PidFd, type ProcessEnd } from "./io/pidfd.ts";
export { type CaughtSignal, Signals } from "./io/signals.ts";
export type { SigInfo } from "./kernel/siginfo.ts";
export type { SignalName } from "./kernel/signal-names.ts";
export { TimerFd, type TimerSetting } from "./io/timerfd.ts";
export type { OwnedFd } from "./io/owned-fd.ts";
export type { FdLike } from "./kernel/fd.ts";
export { ClosedError, type ErrnoDetails, ErrnoError, LookupError } from "./kernel/errors.ts";
export * from "./kernel/constants.ts";

export { watch, type Watch, type WatchCallback, type WatchOptions } from "./event-loop/watch.ts";

export { serve } from "./serve/serve.ts";
export type { BunServer, ServeOptions, ServerExtras } from "./serve/serve-types.ts";
export { EpollServer } from "./server/server.ts";
export type { EpollServerOptions } from "./server/options.ts";
export type { MetricsOptions } from "./server/metrics-options.ts";
export type { FetchHandler, Heartbeat, ServerHandle, ServerStats, ServerWarning, StopOptions } from "./server/types.ts";
export type { StopSignal } from "./server/stop-signals.ts";
export type { StaticResponse } from "./protocols/http/static-response.ts";
export type { RequestInfo } from "./protocols/http/request-info.ts";
export type { RejectionCounts, RejectionReason } from "./protocols/http/rejection.ts";
export type { ProxyOptions } from "./protocols/proxy/proxy-options.ts";
export type { BinaryType, ServerWebSocket, WebSocketData } from "./protocols/websocket/server-websocket.ts";
export type { WebSocketHandlers } from "./protocols/websocket/websocket-options.ts";
export type { WebSocketCompressor } from "./protocols/websocket/deflate-settings.ts";
export type { UpgradeOptions } from "./protocols/websocket/upgrade-options.ts";
export { ServerSocket, type SocketHandlers } from "./protocols/socket/server-socket.ts";
export { listenFds, type ListenFd, notify, type ServiceState, watchdogIntervalMs } from "./server/systemd.ts";

export {
  type AcceptEvent,
  type BeginEvent,
  type CloseEvent,
  type BindEvent,
  type CallEvent,
  type ConnectEvent,
  type CreateEvent,
  type CtlEvent,
  type DroppedEvent,
  type FrameEvent,
  type IterationEvent,
  type ListenEvent,
  type OpenEvent,
  type OptionEvent,
  type ProcessEvent,
  type ReceiveCall,
  type ResetEvent,
  type SendCall,
  type ShutdownEvent,
  type StateEvent,
  TRACE_VERSION,
  type TraceDetail,
  type TraceEvent,
  type TraceListener,
  type TraceMoment,
  type TraceOptions,
  type TransferEvent,
  type WaitCall,
  type WaitEvent,
  type WarningCode,
  type WarningEvent,
} from "./trace/events.ts";
export { parseTrace, readTrace, TraceError } from "./trace/trace-file.ts";
export { explainReadiness, type RegistrationInfo } from "./trace/explain-readiness.ts";
export type { AcceptQueue } from "./trace/kernel-queries.ts";
export { type FdInfo, inspectFd } from "./trace/fd-info.ts";
export { compareInterest, type Interest, type InterestDifference, interestList } from "./trace/interest-list.ts";
export { formatEvent, type TextOptions } from "./trace/format.ts";
