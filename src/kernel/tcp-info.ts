// The state and statistics of a TCP connection: struct tcp_info of <linux/tcp.h>, the same on all 64-bit platforms.

/** The state of a TCP connection, as ss(8) shows it. */
export type TcpState =
  | "ESTABLISHED"
  | "SYN_SENT"
  | "SYN_RECV"
  | "FIN_WAIT1"
  | "FIN_WAIT2"
  | "TIME_WAIT"
  | "CLOSE"
  | "CLOSE_WAIT"
  | "LAST_ACK"
  | "LISTEN"
  | "CLOSING"
  | "NEW_SYN_RECV";

/** Indexed by the numbers in the kernel's tcp_states.h. */
const STATES: readonly (TcpState | "")[] = [
  "",
  "ESTABLISHED",
  "SYN_SENT",
  "SYN_RECV",
  "FIN_WAIT1",
  "FIN_WAIT2",
  "TIME_WAIT",
  "CLOSE",
  "CLOSE_WAIT",
  "LAST_ACK",
  "LISTEN",
  "CLOSING",
  "NEW_SYN_RECV",
];

/** Size of the buffer for struct tcp_info; longer than all fields below. */
export const TCP_INFO_BYTES: number = 256;

/**
 * Statistics of a TCP connection. The names of times end with their unit. Rates are in bytes per second. Windows are in
 * bytes, except `congestionWindow` and `sendSsthresh`, which are in segments. Fields that the kernel does not have are
 * undefined.
 *
 * @see tcp(7), linux/tcp.h: struct tcp_info
 */
export interface TcpInfo {
  /** The state of the connection. */
  state: TcpState;
  sendWindowScale: number;
  receiveWindowScale: number;
  congestionState: number | undefined;
  retransmits: number | undefined;
  probes: number | undefined;
  backoff: number | undefined;
  options: number | undefined;
  rtoUs: number | undefined;
  atoUs: number | undefined;
  sendMss: number | undefined;
  receiveMss: number | undefined;
  unacked: number | undefined;
  sacked: number | undefined;
  lost: number | undefined;
  retransmitted: number | undefined;
  lastDataSentMs: number | undefined;
  lastDataReceivedMs: number | undefined;
  lastAckReceivedMs: number | undefined;
  pathMtu: number | undefined;
  receiveSsthresh: number | undefined;
  rttUs: number | undefined;
  rttVarianceUs: number | undefined;
  sendSsthresh: number | undefined;
  congestionWindow: number | undefined;
  advertisedMss: number | undefined;
  reordering: number | undefined;
  receiveRttUs: number | undefined;
  receiveSpace: number | undefined;
  totalRetransmitted: number | undefined;
  pacingRate: number | undefined;
  maxPacingRate: number | undefined;
  bytesAcked: number | undefined;
  bytesReceived: number | undefined;
  segmentsOut: number | undefined;
  segmentsIn: number | undefined;
  notSentBytes: number | undefined;
  minRttUs: number | undefined;
  dataSegmentsIn: number | undefined;
  dataSegmentsOut: number | undefined;
  deliveryRate: number | undefined;
  busyTimeUs: number | undefined;
  receiveWindowLimitedUs: number | undefined;
  sendBufferLimitedUs: number | undefined;
  delivered: number | undefined;
  deliveredCe: number | undefined;
  bytesSent: number | undefined;
  bytesRetransmitted: number | undefined;
  dsackDuplicates: number | undefined;
  reorderingSeen: number | undefined;
  outOfOrderPackets: number | undefined;
  sendWindow: number | undefined;
  receiveWindow: number | undefined;
}

type NumericField = Exclude<keyof TcpInfo, "state" | "sendWindowScale" | "receiveWindowScale">;

const fields: Record<NumericField, readonly [offset: number, size: 1 | 4 | 8]> = {
  congestionState: [1, 1],
  retransmits: [2, 1],
  probes: [3, 1],
  backoff: [4, 1],
  options: [5, 1],
  rtoUs: [8, 4],
  atoUs: [12, 4],
  sendMss: [16, 4],
  receiveMss: [20, 4],
  unacked: [24, 4],
  sacked: [28, 4],
  lost: [32, 4],
  retransmitted: [36, 4],
  lastDataSentMs: [44, 4],
  lastDataReceivedMs: [52, 4],
  lastAckReceivedMs: [56, 4],
  pathMtu: [60, 4],
  receiveSsthresh: [64, 4],
  rttUs: [68, 4],
  rttVarianceUs: [72, 4],
  sendSsthresh: [76, 4],
  congestionWindow: [80, 4],
  advertisedMss: [84, 4],
  reordering: [88, 4],
  receiveRttUs: [92, 4],
  receiveSpace: [96, 4],
  totalRetransmitted: [100, 4],
  pacingRate: [104, 8],
  maxPacingRate: [112, 8],
  bytesAcked: [120, 8],
  bytesReceived: [128, 8],
  segmentsOut: [136, 4],
  segmentsIn: [140, 4],
  notSentBytes: [144, 4],
  minRttUs: [148, 4],
  dataSegmentsIn: [152, 4],
  dataSegmentsOut: [156, 4],
  deliveryRate: [160, 8],
  busyTimeUs: [168, 8],
  receiveWindowLimitedUs: [176, 8],
  sendBufferLimitedUs: [184, 8],
  delivered: [192, 4],
  deliveredCe: [196, 4],
  bytesSent: [200, 8],
  bytesRetransmitted: [208, 8],
  dsackDuplicates: [216, 4],
  reorderingSeen: [220, 4],
  outOfOrderPackets: [224, 4],
  sendWindow: [228, 4],
  receiveWindow: [232, 4],
};

/**
 * Decodes a struct tcp_info.
 *
 * @param bytes the part of the buffer that the kernel wrote
 */
export function decodeTcpInfo(bytes: Uint8Array): TcpInfo {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const info: Record<string, unknown> = {
    state: STATES[view.getUint8(0)] ?? `${view.getUint8(0)}`,
    sendWindowScale: view.getUint8(6) & 15,
    receiveWindowScale: view.getUint8(6) >> 4,
  };
  for (const [name, [offset, size]] of Object.entries(fields)) {
    info[name] = offset + size <= bytes.length ? read(view, offset, size) : undefined;
  }
  return info as unknown as TcpInfo;
}

function read(view: DataView, offset: number, size: 1 | 4 | 8): number {
  if (size === 1) return view.getUint8(offset);
  return size === 4 ? view.getUint32(offset, true) : Number(view.getBigUint64(offset, true));
}
