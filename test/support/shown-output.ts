// Makes the outputs of two runs of a program comparable: fds, ports, pids, times and dates differ each time.

/** Replaces everything that differs from run to run. */
export function normalizeOutput(text: string): string {
  return nameFds(
    text
      .replace(/(127\.0\.0\.1|localhost|0\.0\.0\.0|\[::1?\]):\d+/g, "$1:PORT")
      .replace(/\bport: \d+/g, "port: PORT")
      .replace(/\b[0-9a-f]{32}\b/g, "TOKEN")
      .replace(/\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\b/g, "DATE")
      .replace(/\b\d{4}-\d\d-\d\dT[\d:.]+Z\b/g, "DATE")
      .replace(/(process |\bpid"?:? ?)\d+/g, "$1PID")
      .replace(/\+\d+\.\d{3}s/g, "+TIME")
      .replace(/\b\d[\d,]*(?:\.\d+)? (?:ns|µs|ms|s)\b/g, "TIME")
      .replace(/"us":\d+/g, '"us":TIME')
      .replace(
        /(epoll_wait\(\d+, )(\d+)\)/g,
        (_, call: string, ms: string) => `${call}${Math.ceil(Number(ms) / 1000)}s)`,
      )
      .replace(/^(> .*\.ts):\d+$/gm, "$1:LINE")
      .replace(/(?<![\w.])\/\S*\/(?=[\w.-]+\.ts\b)/g, "")
      .replace(/^ *warning: .*\(slow-handler\)\n/gm, "") // the machine is busy
      .replace(/[ \t]+/g, " ")
      .replace(/ $/gm, ""),
  ).trim();
}

/** Names fds in the order in which they first appear: fd1, fd2, … */
function nameFds(text: string): string {
  const names = new Map<string, string>();
  const fd =
    /(?<=\b(?:epoll_wait|accept4|recv|send|read|write|close|listen|shutdown|connect)\()\d+|(?<=\bepoll_ctl\()\d+(?=,)|(?<=\bepoll_ctl\([^,\n]+, (?:ADD|MOD|DEL), )\d+|(?<=(?:accept4\([^)\n]*\)|epoll_create1\([^)\n]*\)) = )\d+|(?<=[[ ]\()\d+(?=, )|^ *\d+(?=: \w+ -> | is (?:a|an|not) )/gm;
  return text.replace(fd, (number) => {
    const key = number.trim();
    const name = names.get(key) ?? `fd${names.size + 1}`;
    names.set(key, name);
    return number.replace(key, name);
  });
}
