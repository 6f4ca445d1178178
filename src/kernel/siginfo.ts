// What the kernel says about a signal: the first 48 bytes of siginfo_t, sigaction(2), on 64-bit Linux.

/** What the kernel says about a signal. Fields that do not apply to `code` are absent. */
export interface SigInfo {
  /**
   * Where the signal comes from: `"SI_USER"` (kill), `"SI_TKILL"` (raise, pthread_kill), `"SI_QUEUE"` (sigqueue),
   * `"SI_KERNEL"`, `"SI_TIMER"`, `"CLD_EXITED"`, …; the number as text if it has no name here.
   */
  code: string;
  /** The process ID of the sender, or of the child process; 0 if it is not visible in this PID namespace. */
  pid?: number;
  /** The real user ID of the sender, or of the child process. */
  uid?: number;
  /** The exit code of the child process, with `CLD_EXITED`; otherwise the signal that changed its state. */
  status?: number;
  /** The value that was queued with the signal: sival_int. */
  value?: number;
  /** The file descriptor that is ready, with `POLL_IN`, …; see fcntl(2), F_SETSIG. */
  fd?: number;
}

export const SIGINFO_BYTES = 48;

const SIGCHLD = 17;
const CODES: ReadonlyMap<number, string> = new Map([
  [0x80, "SI_KERNEL"],
  [0, "SI_USER"],
  [-1, "SI_QUEUE"],
  [-2, "SI_TIMER"],
  [-3, "SI_MESGQ"],
  [-4, "SI_ASYNCIO"],
  [-5, "SI_SIGIO"],
  [-6, "SI_TKILL"],
  [-60, "SI_ASYNCNL"],
]);
const CHILD_CODES = ["", "CLD_EXITED", "CLD_KILLED", "CLD_DUMPED", "CLD_TRAPPED", "CLD_STOPPED", "CLD_CONTINUED"];
const POLL_CODES = ["", "POLL_IN", "POLL_OUT", "POLL_MSG", "POLL_ERR", "POLL_PRI", "POLL_HUP"];
const WITH_SENDER = new Set(["SI_USER", "SI_QUEUE", "SI_MESGQ", "SI_TKILL"]);
const WITH_VALUE = new Set(["SI_QUEUE", "SI_MESGQ", "SI_TIMER"]);

/** Decodes the siginfo_t at `at`: signal, errno, code, padding; then a union, of which each kind of code has its own part. */
export function decodeSigInfo(view: DataView, at: number): SigInfo {
  const signal = view.getInt32(at, true);
  const number = view.getInt32(at + 8, true);
  const isChild = signal === SIGCHLD && number > 0 && number < CHILD_CODES.length;
  const isPoll = !isChild && signal !== SIGCHLD && number > 0 && number < POLL_CODES.length; // of SIGIO, or F_SETSIG
  const code = (isChild ? CHILD_CODES[number] : isPoll ? POLL_CODES[number] : CODES.get(number)) ?? String(number);
  const info: SigInfo = { code };
  if (isChild || WITH_SENDER.has(code)) {
    info.pid = view.getInt32(at + 16, true);
    info.uid = view.getUint32(at + 20, true);
  }
  if (isChild) info.status = view.getInt32(at + 24, true);
  if (WITH_VALUE.has(code)) info.value = view.getInt32(at + 24, true);
  if (isPoll) info.fd = view.getInt32(at + 24, true);
  return info;
}
