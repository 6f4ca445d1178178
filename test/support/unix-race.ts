// One of two servers that race for the path of a unix socket. Each of its system calls may be delayed, to widen every window.

import { EpollServer } from "../../src/index.ts";
import { syscalls, type Syscalls } from "../../src/kernel/ffi.ts";

export type RaceCommand = { listen: string; delays: Partial<Record<keyof Syscalls, number>> } | "stop";
export type RaceReply = { outcome: string } | "stopped";

function reply(message: RaceReply): void {
  process.send?.(message);
}

function delayed(delays: Partial<Record<keyof Syscalls, number>>): Syscalls {
  const sys = { ...syscalls() };
  for (const [name, ms = 0] of Object.entries(delays)) {
    const call = sys[name as keyof Syscalls] as (...args: unknown[]) => number;
    Object.assign(sys, {
      [name]: (...args: unknown[]) => {
        Bun.sleepSync(ms);
        return call(...args);
      },
    });
  }
  return sys;
}

let server: EpollServer | undefined;

async function run(command: RaceCommand): Promise<void> {
  if (command === "stop") {
    await server?.stop({ graceMs: 0 });
    server = undefined;
    return reply("stopped");
  }
  try {
    server = new EpollServer({ unix: command.listen }, delayed(command.delays));
    await server.start();
    reply({ outcome: "listening" });
  } catch (error) {
    reply({ outcome: (error as { code?: string }).code ?? String(error) });
  }
}

process.on("message", (command: RaceCommand) => {
  run(command).catch((error: unknown) => reply({ outcome: String(error) }));
});
process.on("disconnect", () => process.exit(0));
