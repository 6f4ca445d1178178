// A preload that kills every process a test run leaves running, whether the run ends normally, by Ctrl-C or by SIGKILL.

const MARKER = "EPOLL_HELLO_TEST_RUN";
const id = crypto.randomUUID();

// All descendants inherit the marker. The watchdog runs in its own session, where Ctrl-C does not reach it, and reads
// from a pipe whose write end only this process holds. At end of file, it kills every process that has the marker.
const watchdog = `
  cat >/dev/null
  for round in 1 2 3; do
    for environ in /proc/[0-9]*/environ; do
      if grep -qs "${MARKER}=${id}" "$environ" 2>/dev/null; then
        pid=\${environ#/proc/}
        kill -KILL "\${pid%/environ}" 2>/dev/null
      fi
    done
  done
`;
const { [MARKER]: _, ...env } = process.env;
Bun.spawn(["sh", "-c", watchdog], { env, stdin: "pipe", stdout: "ignore", stderr: "ignore", detached: true }).unref();
process.env[MARKER] = id;
