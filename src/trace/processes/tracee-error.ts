// class TraceeError: a program that cannot be started, or a process that cannot be traced, and what to do.

import { EACCES, ENOENT, ENOSYS, EPERM, errnoMessage, errnoName } from "../../kernel/errno.ts";
import { nodeFs } from "../../kernel/node-fs.ts";

const ESRCH = 3;

export class TraceeError extends Error {
  override readonly name: string = "TraceeError";
  /** The name of the error, such as `EPERM`. */
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** What /proc says about a process; undefined if there is none. */
interface Status {
  state: string;
  tracer: number;
  uid: number;
  kernelThread: boolean;
  group: number;
}

function statusOf(pid: number): Status | undefined {
  const text = readProc(pid, "status");
  if (text === undefined) return undefined;
  const field = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, "m").exec(text)?.[1] ?? "";
  return {
    state: field("State")[0] ?? "",
    tracer: Number(field("TracerPid")),
    uid: Number(field("Uid").split(/\s+/)[0]),
    kernelThread:
      field("Kthread") === "1" || (readProc(pid, "stat")?.split(") ")[1]?.split(" ")[6] ?? "0") === "2129984",
    group: Number(field("Tgid")),
  };
}

function readProc(pid: number | "self", name: string): string | undefined {
  try {
    return nodeFs().readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch {
    return undefined;
  }
}

/** Returns the name of a process's program, for messages. */
function nameOf(pid: number): string {
  const name = readProc(pid, "comm")?.trim();
  return name === undefined ? `process ${pid}` : `process ${pid} (${name})`;
}

/**
 * Checks whether a process can be traced, as far as that can be told beforehand.
 *
 * @throws {TraceeError} with one sentence that says what to do
 */
export function checkTraceable(pid: number): void {
  const status = statusOf(pid);
  if (status === undefined)
    throw new TraceeError("ESRCH", `there is no process ${pid}; ps -e lists those that are running`);
  const { state, tracer, group } = status;
  if (group === process.pid) {
    throw new TraceeError(
      "EINVAL",
      `process ${pid} is epoll-hello itself, which cannot trace itself; pass the pid of another process`,
    );
  }
  if (group !== pid) {
    throw new TraceeError(
      "EINVAL",
      `${pid} is a thread of process ${group}; pass ${group}: all of its threads are traced`,
    );
  }
  if (state === "Z" || state === "X") {
    throw new TraceeError("ESRCH", `${nameOf(pid)} has ended already; its parent has not yet collected its exit code`);
  }
  if (isKernelThread(pid)) {
    throw new TraceeError(
      "EPERM",
      `${nameOf(pid)} is a thread of the kernel, which makes no system calls; pass the pid of a program`,
    );
  }
  if (tracer !== 0) {
    throw new TraceeError(
      "EPERM",
      `${nameOf(pid)} is already traced by ${nameOf(tracer)}, and a process can have one tracer; end that one first`,
    );
  }
  if (is32Bit(pid)) {
    throw new TraceeError(
      "ENOEXEC",
      `${nameOf(pid)} is a 32-bit program; only 64-bit programs can be traced: use strace -f -p ${pid}`,
    );
  }
}

/** A kernel thread has no program, no memory and no command line. */
function isKernelThread(pid: number): boolean {
  if (readProc(pid, "cmdline") !== "") return false;
  return !/^VmSize:/m.test(readProc(pid, "status") ?? "VmSize:");
}

/** Returns whether a process runs a 32-bit program: byte 4 of an ELF file is 1. */
export function is32Bit(pid: number): boolean {
  const fs = nodeFs();
  try {
    const fd = fs.openSync(`/proc/${pid}/exe`, "r");
    try {
      const header = new Uint8Array(5);
      return fs.readSync(fd, header, 0, 5, 0) === 5 && header[0] === 0x7f && header[4] === 1;
    } finally {
      fs.closeSync(fd);
    }
  } catch {
    return false;
  }
}

/** Returns the error of a process that could not be attached to. */
export function attachError(errno: number, pid: number): TraceeError {
  const code = errnoName(errno);
  if (errno === ESRCH) return new TraceeError(code, `there is no process ${pid} anymore; it has just ended`);
  if (errno !== EPERM && errno !== EACCES) {
    return new TraceeError(code, `${nameOf(pid)} cannot be traced: ${errnoMessage(errno)}`);
  }
  return new TraceeError(code, `${nameOf(pid)} cannot be traced: ${whyNotPermitted(pid)}`);
}

/** Returns the reason for EPERM of PTRACE_SEIZE. @see ptrace(2), "Ptrace access mode checking"; Documentation/admin-guide/LSM/Yama.rst */
function whyNotPermitted(pid: number): string {
  const status = statusOf(pid);
  if (status !== undefined && status.tracer !== 0) {
    return `it is traced by ${nameOf(status.tracer)}, and a process can have one tracer; end that one first`;
  }
  const isRoot = process.getuid?.() === 0;
  const scope = yamaScope();
  if (scope === 3) {
    return "kernel.yama.ptrace_scope is 3, which forbids tracing until the next boot; set it to 1 in /etc/sysctl.d, and boot";
  }
  if (isRoot) {
    return (
      "this process lacks the capability CAP_SYS_PTRACE; in a container, start it with --cap-add=SYS_PTRACE, " +
      "and trace processes of the same container"
    );
  }
  const uid = process.getuid?.();
  if (status !== undefined && status.uid !== uid) {
    return `it belongs to the user ${userName(status.uid)}; run the command as that user, or with sudo`;
  }
  if (scope === 2) return "kernel.yama.ptrace_scope is 2, which requires root; run the command with sudo";
  if (scope === 1) {
    return (
      "kernel.yama.ptrace_scope is 1, which permits tracing only programs that you start: start the program with " +
      "epoll-hello --trace -- COMMAND, or run the command with sudo, or run sudo sysctl kernel.yama.ptrace_scope=0"
    );
  }
  return (
    "the kernel does not permit it: the program has more privileges than you, or has forbidden it with prctl(PR_SET_DUMPABLE); " +
    "run the command with sudo"
  );
}

function yamaScope(): number | undefined {
  try {
    return Number(nodeFs().readFileSync("/proc/sys/kernel/yama/ptrace_scope", "utf8"));
  } catch {
    return undefined;
  }
}

function userName(uid: number): string {
  try {
    const line = nodeFs()
      .readFileSync("/etc/passwd", "utf8")
      .split("\n")
      .find((each) => each.split(":")[2] === String(uid));
    return line?.split(":")[0] ?? String(uid);
  } catch {
    return String(uid);
  }
}

/** Returns the error of a command that could not be started. */
export function startError(errno: number, command: string): TraceeError {
  const code = errnoName(errno);
  const quoted = JSON.stringify(command);
  if (errno === ENOENT) {
    const isScript = nodeFs().existsSync(command);
    const why = isScript
      ? "its interpreter, which its first line names, does not exist"
      : "no such file; check the spelling and PATH";
    return new TraceeError(code, `${quoted} cannot be started: ${why}`);
  }
  if (errno === EACCES) {
    return new TraceeError(code, `${quoted} cannot be started: it is not an executable file; chmod +x makes it one`);
  }
  if (errno === EPERM || errno === ENOSYS) {
    const why =
      yamaScope() === 3
        ? "kernel.yama.ptrace_scope is 3, which forbids tracing until the next boot"
        : "ptrace(2) is not permitted here; in a container, start it with --cap-add=SYS_PTRACE or --security-opt seccomp=unconfined";
    return new TraceeError(code, `${quoted} cannot be traced: ${why}`);
  }
  return new TraceeError(code, `${quoted} cannot be started: ${errnoMessage(errno)}`);
}
