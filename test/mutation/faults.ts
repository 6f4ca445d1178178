// Seeded faults: a change of one place in the code, what it breaks, and the tests that must fail because of it.

export interface Fault {
  /** The changed file, from the root of the repository. */
  readonly file: string;
  /** The text that is replaced; it occurs once in the file. */
  readonly text: string;
  readonly replacement: string;
  /** What goes wrong for users. */
  readonly breaks: string;
  /** The test files, of which at least one must fail. */
  readonly tests: readonly string[];
}

type Row = readonly [text: string, replacement: string, breaks: string, ...tests: string[]];

/** Faults by file; test files without `test/` and `.test.ts`. */
const table: Readonly<Record<string, readonly Row[]>> = {
  // ---- C ----
  "native/shim.c": [
    [
      "state[1] = message.flags;",
      "",
      "recvmsg does not return MSG_TRUNC",
      "io/socket/one-message",
      "io/socket/datagram",
      "io/socket/ancillary",
    ],
    [
      "int close(int fd) { return disown(fd), result(c_close(fd)); }",
      "int close(int fd) { return result(c_close(fd)); }",
      "the exit of a Worker closes fds that other owners have reused",
      "watch/ended-workers",
    ],
    [
      "(size)(u32)high << 32 | (u32)low",
      "(u32)low",
      "a file is read from the wrong place beyond 4 GiB",
      "http/files",
      "http/file-ranges",
      "clients/large",
    ],
    [
      "if (would_wait(fd, POLL_IN)) return -ERRNO_EAGAIN;",
      "",
      "reading from an inherited terminal or pipe waits",
      "io/shared-descriptor",
    ],
    [
      "batch->messages[at].sends_control ? batch->messages[at].controllen : 0",
      "batch->messages[at].controllen",
      "a received batch is sent back with the ancillary data of its sender",
      "io/socket/message-batch",
    ],
    [
      "return c_memcmp(bytes + offset, other, length) == 0;",
      "return c_memcmp(bytes + offset, other, length > 8 ? 8 : length) == 0;",
      "two requests that begin alike are taken for the same",
      "http/fast-path",
    ],
  ],
  "native/signals.c": [
    [
      "is_chained[signal] = chains != 0;",
      "is_chained[signal] = 0;",
      "handlers of process.on are not called for caught signals",
      "io/signals",
      "server/signals",
    ],
    [
      "return now.handler == on_signal ? result(c_sigaction(signal, &previous[signal], 0)) : 0;",
      "return 0;",
      "a closed Signals object still swallows its signals",
      "io/signals",
      "server/signals",
    ],
    ["c_write(lost_fd[signal], &one, sizeof one);", "", "signals are lost when the pipe is full", "io/signals"],
  ],
  "native/bridge-thread.c": [
    [
      "if (n == -ERRNO_EINTR) tries = 0;",
      "",
      "the bridge thread gives up after ten interruptions",
      "watch/bridge-failures",
    ],
    [
      'if (c_sendto(bridge->socket, "", 1, 0x4040 /* MSG_NOSIGNAL | MSG_DONTWAIT */, 0, 0) == 1) return 0;',
      'c_sendto(bridge->socket, "", 1, 0x4040, 0, 0); return 0;',
      "an event is lost if the bridge cannot wake the event loop at once",
      "watch/bridge-failures",
    ],
    [
      "for (; event + 3 < end; event++) event[0] = event[3];",
      "",
      "events that follow the thread's own in a batch are lost",
      "watch/bridge-failures",
      "watch/random-sequences",
    ],
  ],
  "native/libuv-host.c": [
    [
      "if (own_host.uses_time[n]) update_time();",
      "",
      "libuv timers of addons fire too early after an idle period",
      "libuv/handles",
      "libuv/idle",
      "libuv/scenarios",
    ],
    [
      "if (poll && events && !(poll->events & events)",
      "if (0 && poll && events && !(poll->events & events)",
      "serialport stalls when both directions are full",
      "libuv/scenarios",
      "libuv/handles",
      "libuv/stress",
    ],
    [
      "if (!loop || loop->is_running || loop->is_requested) return;",
      "return;",
      "what an addon starts in libuv's loop never runs",
      "libuv/handles",
    ],
    [
      "if (had_ref) c_uv_ref(loop->keep);\n  request_run();",
      "request_run();",
      "an addon that runs libuv's loop itself leaves the host's reference unbalanced",
      "libuv/handles",
      "libuv/scenarios",
    ],
  ],
  "native/select-poll.c": [
    ["return 64 * i + bit;", "return bit;", "`why` reports the wrong fd for select", "comparison/measure"],
  ],

  // ---- src/kernel ----
  "src/kernel/address.ts": [
    [
      "isAbstract ? bytes.length : bytes.length + 1",
      "false ? bytes.length : bytes.length + 1",
      "abstract unix addresses get an extra NUL byte",
      "io/socket/path-bytes",
      "io/socket/address-round-trip",
    ],
    [
      "const maxBytes = isAbstract ? UNIX_PATH_MAX : UNIX_PATH_MAX - 1;",
      "const maxBytes = UNIX_PATH_MAX;",
      "a unix path of 108 bytes is cut by the kernel",
      "io/socket/bad-arguments",
      "io/socket/path-bytes",
      "io/socket/address-round-trip",
    ],
    [
      "if (scopeId !== 0) decoded.scopeId = scopeId;",
      "",
      "link-local IPv6 peers lose their interface",
      "io/socket/ipv6",
      "io/socket/address-round-trip",
    ],
  ],
  "src/kernel/byte-arrays.ts": [
    [
      "if (length === 0) checkAttached(bytes, name);",
      "",
      "views of detached memory are accepted",
      "io/lengths",
      "io/socket/buffers",
      "io/random-calls",
    ],
  ],
  "src/kernel/control-messages.ts": [
    [
      "return (length + 7) & ~7;",
      "return (length + 3) & ~3;",
      "the second ancillary item of a message is misread",
      "io/socket/ancillary",
      "io/socket/fd-passing",
      "io/socket/packet-information",
    ],
  ],
  "src/kernel/errno.ts": [
    ['names.set(EAGAIN, "EAGAIN");', "", "EAGAIN is reported as EWOULDBLOCK", "io/socket/errno-names"],
  ],
  "src/kernel/fd.ts": [
    ["flags | FD_CLOEXEC", "flags", "adopted fds leak into child processes", "io/socket/not-inherited", "io/ownership"],
  ],
  "src/kernel/format-mask.ts": [
    [
      "if (rest !== 0) names.push(`0x${rest.toString(16)}`);",
      "",
      "unknown bits of a mask are not shown",
      "io/epoll/masks",
    ],
  ],
  "src/kernel/integers.ts": [
    [
      "value > 0xffffffff",
      "value > 0x7fffffff",
      "masks with EPOLLET as a positive number are refused",
      "io/integer-arguments",
      "io/epoll/masks",
    ],
  ],
  "src/kernel/path-bytes.ts": [
    [
      "const FIRST_ESCAPED = 0x80;",
      "const FIRST_ESCAPED = 0x81;",
      "paths with the byte 0x80 cannot be opened",
      "io/inotify",
      "io/socket/address-round-trip",
      "io/socket/path-bytes",
    ],
  ],
  "src/kernel/tcp-info.ts": [
    [
      "offset + size <= bytes.length ?",
      "offset < bytes.length ?",
      "tcpInfo fails on kernels with a shorter struct",
      "io/socket/tcp",
    ],
  ],

  // ---- src/io ----
  "src/io/descriptor.ts": [
    [
      "if (!isInherited(fd, flags)) return new Descriptor(adoptFd(fd));",
      "if (flags >= 0) return new Descriptor(adoptFd(fd));",
      "the terminal of other processes becomes non-blocking",
      "io/shared-descriptor",
    ],
  ],
  "src/io/epoll.ts": [
    [
      "timeout < 0 ? -1 : Math.max(0, deadline - performance.now())",
      "timeout",
      "a poll that is interrupted again and again never times out",
      "io/epoll/interrupt",
    ],
    [
      "const hint = result === -EPERM ? NOT_WATCHABLE : undefined;",
      "const hint = undefined;",
      "the error for a regular file does not say why",
      "io/epoll/errors",
    ],
  ],
  "src/io/event-list.ts": [
    [
      "return (this.#raw[3 * i + 2] as number) >>> 0;",
      "return this.#raw[3 * i + 2] as number;",
      "tokens above 2^31 are negative",
      "io/epoll/tokens",
    ],
    [
      "Math.ceil(timeoutMs));",
      "Math.floor(timeoutMs));",
      "poll spins during the last millisecond of a timeout",
      "io/epoll/timeout",
    ],
  ],
  "src/io/eventfd.ts": [
    ["options.semaphore ? EFD_SEMAPHORE : 0", "0", "semaphores return the whole count", "io/eventfd"],
  ],
  "src/io/inotify.ts": [
    [
      "const name = padded.subarray(0, end < 0 ? size : end);",
      "const name = padded;",
      "names of files end with NUL characters",
      "io/inotify",
    ],
  ],
  "src/io/memfd.ts": [["MFD_CLOEXEC | MFD_ALLOW_SEALING", "MFD_CLOEXEC", "a memfd cannot be sealed", "io/memfd"]],
  "src/io/message-batch.ts": [
    [
      "state[START] = start;",
      "",
      "the rest of a batch that was sent in part is replaced by its beginning",
      "io/socket/message-batch",
    ],
    [
      "batch.#length = Math.max(0, Math.min(n, capacity));",
      "batch.#length = capacity;",
      "a batch reports messages that were not received",
      "io/socket/message-batch",
    ],
  ],
  "src/io/owned-fd.ts": [
    [
      "const n = this.sys.close(fd);",
      "const n = this.sys.close(fd) && 0;",
      "errors of close are not reported",
      "io/ownership",
      "io/socket/closed",
      "io/epoll/closed",
    ],
    [
      "    this.sys.disown(fd);\n    this.#fd = -1;",
      "    this.#fd = -1;",
      "the exit of a Worker closes a detached fd",
      "watch/ended-workers",
      "io/ownership",
    ],
  ],
  "src/io/pidfd.ts": [
    [
      "if (info.getInt32(8, true) === CLD_EXITED)",
      "if (info.getInt32(8, true) !== 0)",
      "a killed process is reported as one that has exited",
      "io/pidfd",
    ],
  ],
  "src/io/signals.ts": [
    [
      "return [...caught, ...this.#readLost()];",
      "return caught;",
      "signals that did not fit into the pipe are not reported",
      "io/signals",
    ],
  ],
  "src/io/socket.ts": [
    [
      "if (result === -EINPROGRESS || result === -EINTR) return false;",
      "if (result === -EINPROGRESS) return false;",
      "a connect that a signal interrupts fails",
      "io/socket/connect",
      "io/socket/interrupted",
    ],
    [
      "return shared === undefined ? buffer.subarray(0, length) : buffer.slice(0, length);",
      "return buffer.subarray(0, length);",
      "what recv has returned is overwritten by the next call",
      "io/socket/buffers",
      "io/reentrancy",
    ],
  ],
  "src/io/timerfd.ts": [
    ["interval % NS_PER_SECOND,", "0n,", "intervals lose their fraction of a second", "io/timerfd"],
  ],
  "src/io/transfer.ts": [
    ["if (n !== -EINTR) return n;", "return n;", "a signal makes reads and writes fail", "io/socket/interrupted"],
  ],

  // ---- src/event-loop ----
  "src/event-loop/bridge-thread.ts": [
    [
      "sys.disown(bunsEnd); // Bun closes it",
      "",
      "the exit of a Worker closes an fd that Bun has closed before",
      "watch/ended-workers",
    ],
  ],
  "src/event-loop/loop-bridge.ts": [
    [
      "if (++this.#failures !== MAX_FAILURES) return;",
      "this.#failures++; return;",
      "a bridge that never works fails silently",
      "watch/bridge-failures",
    ],
    [
      "if (this.#hasRef === hasRef || this.#isClosed) return;",
      "if (this.#hasRef === hasRef || this.#isClosed || !hasRef) return;",
      "an unref'd watch keeps the process running",
      "watch/process",
    ],
  ],
  "src/event-loop/watch-registry.ts": [
    [
      "const mask = events.mask(i) & (watch.registeredMask | EPOLLERR | EPOLLHUP);",
      "const mask = events.mask(i);",
      "a watch is called for events that a callback before it has turned off",
      "watch/callbacks",
      "watch/random-sequences",
    ],
    [
      "this.#staleTokens.add(token); // the fd was closed first",
      "// the fd was closed first",
      "an fd that was closed while registered, with a duplicate, makes the loop spin",
      "watch/closed-descriptors",
      "watch/random-sequences",
    ],
    [
      "if (mask === 0) continue;\n      try {\n        watch.deliver(mask);\n      } catch (error) {\n        throwUncaught(error);",
      "if (mask === 0) continue;\n      try {\n        watch.deliver(mask);\n      } catch {",
      "errors of callbacks vanish",
      "watch/errors",
    ],
  ],
  "src/event-loop/watch.ts": [
    [
      "return this.#callback === undefined ? this.#mask | EPOLLONESHOT : this.#mask;",
      "return this.#mask;",
      "an iterated watch reports the same readiness while the caller handles it",
      "watch/iteration",
    ],
  ],

  // ---- src/libuv ----
  "src/libuv/elf-file.ts": [
    [
      "if (address + length > segment.fileEnd) throw this.#outside(what, address, length);",
      "",
      "a damaged addon is read beyond its segments",
      "libuv/elf-file",
    ],
    [
      "if (machine !== arch) throw new ElfError(",
      'if (machine === "") throw new ElfError(',
      "an addon for another processor is loaded",
      "libuv/elf-file",
      "libuv/loading",
    ],
  ],
  "src/libuv/embedded-loop.ts": [
    ["if (this.#state.isAlive) this.#bridge.ref();", "", "a process with active libuv handles ends", "libuv/handles"],
  ],

  // ---- src/trace ----
  "src/trace/trace-file.ts": [
    [
      "if (event.seq !== expected) {",
      "if (event.seq < expected) {",
      "lines that are missing in a trace are not noticed",
      "trace/file",
    ],
  ],
  "src/trace/validate-event.ts": [
    [
      "accept: { fd: INTEGER, result: INTEGER, peer: orNull(ADDRESS) },",
      "accept: { fd: INTEGER, result: INTEGER },",
      "a damaged trace crashes its readers",
      "trace/file",
    ],
  ],
  "src/trace/redact.ts": [
    [
      'this.#canContinue = this.#reads === "header" || this.#reads === "space" || this.#reads === "cr";',
      "this.#canContinue = false;",
      "the second line of a folded secret is written to traces",
      "trace/redact",
    ],
  ],
  "src/trace/warnings/ignored-events.ts": [
    [
      "const HANGUP_WAITS = 50;",
      "const HANGUP_WAITS = 5_000_000;",
      "an ignored hang-up is not reported",
      "trace/warnings",
      "trace/broken-programs",
    ],
  ],
  "src/trace/warnings/lost-fds.ts": [
    [
      "if (this.#isUsedElsewhere(fd)) return;",
      "",
      "an fd that a child process uses is called forgotten",
      "trace/warnings",
      "trace/broken-programs",
    ],
  ],

  // ---- src/server ----
  "src/server/run-loop.ts": [
    [
      "if (connection?.token !== token) {",
      "if (connection === undefined) {",
      "an event of a closed connection is handled by the next one with its number",
      "server/stale-events",
    ],
    [
      'this.#sys.shutdown(connection.fd, SHUT_WR);\n      connection.transition("lingering");',
      "return this.#connections.close(connection);",
      "the end of a reply is lost to a reset",
      "http/unread-body",
      "server/connection-state",
      "server/timeouts",
    ],
    [
      "if (connection.bytesDiscarded > MAX_DISCARD_BYTES) this.#connections.close(connection);",
      "",
      "a client can send indefinitely to a connection that has ended",
      "server/bounds",
      "http/limits",
      "server/timeouts",
    ],
    [
      "if (!this.#throttle.canAccept(this.open)) return;",
      "",
      "maxConnections has no effect",
      "server/exhaustion",
      "server/accept-errors",
      "server/bounds",
    ],
  ],
  "src/server/accept-throttle.ts": [
    [
      "const RESOURCE_ERRNOS = new Set([EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSR]);",
      "const RESOURCE_ERRNOS = new Set([EMFILE, ENFILE]);",
      "accept does not recover from a lack of memory for sockets",
      "server/accept-errors",
    ],
    ["if (listener.hasWarned) return;", "", "a failing accept warns again and again", "server/accept-errors"],
  ],
  "src/server/connection.ts": [
    [
      "this.output = new Uint8Array(this.output.subarray(this.outputStart, this.outputEnd));",
      "this.output = this.output.subarray(this.outputStart, this.outputEnd);",
      "a reply that waits for a slow client is overwritten by the next one",
      "server/splits",
      "server/slow-clients",
      "http/fast-path",
      "http/pipelining",
      "server/backpressure",
    ],
    [
      "this.#nextChunk = 0;\n    }\n    this.output = next?.bytes;",
      "}\n    this.output = next?.bytes;",
      "output is skipped after sixteen chunks",
      "server/backpressure",
      "http/streams",
      "http/random-pipelines",
      "socket-protocol/handlers",
    ],
  ],
  "src/server/connection-table.ts": [
    [
      "if (connection.countedAddress !== undefined) this.#uncount(connection.countedAddress);",
      "",
      "an address reaches maxConnectionsPerAddress by reconnecting",
      "server/bounds",
      "server/exhaustion",
    ],
  ],
  "src/server/timeouts.ts": [
    ["member.timeoutQueue?.remove(member);", "", "a connection is in two timeout queues", "server/timeouts"],
    [
      "hasPeerClosed ? this.quiet :",
      "false ? this.quiet :",
      "a stream for a client that has closed its side is never ended",
      "http/disconnects",
      "server/timeouts",
    ],
  ],
  "src/server/shutdown.ts": [
    [
      "if (nowMs >= this.#forceCloseAtMs) this.#connections.closeAll();",
      "",
      "stop waits for slow clients indefinitely",
      "server/stopping",
    ],
  ],
  "src/server/systemd.ts": [
    [
      'if (parseInteger("LISTEN_PID", LISTEN_PID, MAX_INT32) !== process.pid) return [];',
      "",
      "sockets that systemd passed to the parent are used",
      "server/inherited",
      "systemd/activation",
    ],
  ],

  // ---- src/protocols ----
  "src/protocols/http/chunked-decoder.ts": [
    [
      "if (byte !== LF) return undefined;",
      "",
      "a chunk size may end in CR and any byte: request smuggling",
      "http/chunked-decoder",
    ],
    [
      'return this.#size <= Number.MAX_SAFE_INTEGER ? "size" : undefined;',
      'return "size";',
      "a chunk size can overflow",
      "http/chunked-decoder",
    ],
  ],
  "src/protocols/http/validate-fields.ts": [
    [
      'if (contentLength !== undefined || head.minor === 0) return "bad-request";',
      "",
      "Content-Length beside Transfer-Encoding is accepted: request smuggling",
      "http/conformance/conformance",
    ],
    [
      "if (hostCount > 1 || !isAuthority(host))",
      "if (!isAuthority(host))",
      "a second Host is accepted",
      "http/conformance/conformance",
    ],
    [
      'if (!/^(?:0|[1-9]\\d*)$/.test(contentLength)) return "bad-request";',
      "",
      "Content-Length may be a list or have a sign",
      "http/conformance/conformance",
    ],
  ],
  "src/protocols/http/read-head.ts": [
    [
      'if (parsedHead.fieldCount > maxHeaderCount) return "header-too-large";',
      "",
      "maxHeaderCount has no effect",
      "http/limits",
      "http/long-heads",
    ],
  ],
  "src/protocols/http/byte-ranges.ts": [
    [
      "Math.min(size, Number(last) + 1)",
      "Math.min(size, Number(last))",
      "the last byte of a range is missing",
      "http/file-ranges",
    ],
  ],
  "src/protocols/http/preconditions.ts": [
    ["modifiedMs <= since ? 304", "modifiedMs < since ? 304", "an unchanged file is sent again", "http/files"],
  ],
  "src/protocols/http/request-body.ts": [
    [
      'if (this.received > this.#maxBytes) return this.#reject("body-too-large");',
      "",
      "maxBodyBytes has no effect on chunked bodies",
      "http/limits",
    ],
    [
      "if (wasFull && !this.isFull) this.#owner.onBodyDrain();",
      "",
      "an upload that was paused for a slow reader never continues",
      "http/large-bodies",
      "http/streams",
    ],
  ],
  "src/protocols/http/unread-body.ts": [
    [
      "body.remaining > MAX_DISCARDED_BYTES) return",
      "body.remaining < 0) return",
      "the server receives a large upload that the handler has ignored",
      "http/unread-body",
    ],
  ],
  "src/protocols/http/response-sender.ts": [
    [
      'if (exchange.expectation === "expected") return true;',
      "",
      "a client that expects 100 Continue and one that does not are confused about the next request",
      "http/conformance/conformance",
      "http/unread-body",
    ],
  ],
  "src/protocols/websocket/frame-receiver.ts": [
    [
      "if (!this.isDone && !this.isIdle) this.#keep(this._fragments === fragments ? length : 0);",
      "",
      "a message that arrives in parts has bytes of others",
      "websocket/autobahn",
      "websocket/lifecycle",
    ],
  ],
  "src/protocols/websocket/deflate.ts": [
    [
      "if (this.#decompressor === undefined) context.reset();",
      "",
      "connections share the window of their compressed messages",
      "websocket/compression",
    ],
    [
      "return context.transform(Buffer.concat([data, TRAILER]), maxBytes);",
      "return context.transform(Buffer.concat([data, TRAILER]), Infinity);",
      "a small compressed message fills the memory",
      "websocket/compression",
      "websocket/autobahn",
    ],
  ],
  "src/protocols/websocket/topics.ts": [
    [
      "for (const topic of this.#topics.get(member) ?? []) this.#remove(member, topic);",
      "",
      "closed WebSockets stay subscribed",
      "websocket/topics",
    ],
  ],
  "src/protocols/websocket/websocket-connection.ts": [
    [
      "if (this.connection.pending <= backpressureLimit) return true;",
      "return true;",
      "backpressureLimit has no effect",
      "websocket/lifecycle",
      "websocket/state",
      "websocket/bun-serve",
    ],
  ],
  "src/protocols/proxy/proxy-header.ts": [
    [
      'if (text.slice(end, end + 2) !== "\\r\\n") return "malformed";',
      "",
      "a proxy header may end in a bare LF",
      "server/proxy-protocol",
    ],
  ],
  "src/protocols/proxy/address-list.ts": [
    [
      'if (ipv4 !== undefined) return this.#ipv4.check(ipv4, "ipv4");',
      "",
      "an IPv4 proxy is not trusted on a dual-stack socket",
      "server/proxy-protocol",
    ],
  ],
  "src/protocols/socket/server-socket.ts": [
    [
      "connection.write(isOwn ? bytes : new Uint8Array(bytes.subarray(0, length)), length);",
      "connection.write(bytes, length);",
      "a buffer that the handler reuses changes what is sent",
      "socket-protocol/handlers",
      "socket-protocol/bun-listen",
    ],
  ],

  // ---- src/serve, src/npm-epoll, src/workers ----
  "src/serve/route-table.ts": [
    ["values.pop();", "", "a parameter of a route that did not match is passed to the next", "serve/routes"],
  ],
  "src/serve/static-route.ts": [
    ['(method === "GET" || method === "HEAD") &&', "", "POST to a static route can return 304", "serve/routes"],
  ],
  "src/npm-epoll/index.ts": [["    this.#watches.delete(fd);", "", "an fd can be removed twice", "npm-epoll/class"]],
  "src/workers/control-channel.ts": [
    [
      "this.isClosed = isReset;",
      "this.isClosed = true;",
      "messages before a reset are lost",
      "workers/control-channel",
    ],
  ],
  "src/workers/worker-main.ts": [
    [
      "syscalls().end_with_parent(ORPHAN_SECONDS);",
      "",
      "a worker is killed with its supervisor before it has drained",
      "workers/orphans",
    ],
  ],
  "src/workers/worker-slot.ts": [
    [
      "this.#delayMs = Math.min(delayMs * 2, this.#backoff.maxMs);",
      "",
      "a crashing worker is restarted ten times a second",
      "workers/supervisor",
    ],
  ],
  "src/workers/supervisor.ts": [
    [
      'if (state !== "serving" || isHung || !isSilent) continue;',
      "continue;",
      "a worker that hangs is not replaced",
      "workers/hung",
    ],
  ],

  // ---- src/tools ----
  "src/tools/inspector/access-control.ts": [
    [
      "if (!this.#hosts.includes(host)) {",
      'if (host === "") {',
      "a foreign site can reach the inspector by DNS rebinding",
      "inspector/server",
    ],
    [
      'return has(this.controlToken) ? "control" : has(this.viewToken) ? "view" : undefined;',
      'return has(this.controlToken) || has(this.viewToken) ? "control" : undefined;',
      "the token for viewing can control the server",
      "inspector/server",
    ],
  ],
  "src/tools/debugger/log-histogram.ts": [
    [
      "return lowerUs(index + 1) - 1 / UNITS_PER_US;",
      "return lowerUs(index);",
      "percentiles are too low",
      "debugger/sampler",
      "debugger/target",
      "inspector/browser",
    ],
  ],
  "src/tools/debugger/stop-conditions.ts": [
    [
      "if (breakpoint.ignore > 0) {",
      "if (breakpoint.ignore > 1) {",
      "ignore counts one hit too few",
      "debugger/prompt",
      "debugger/step",
      "inspector/commands",
    ],
  ],
  "src/tools/debugger/command-syntax.ts": [
    [
      'if (character === "\\\\") i++;',
      "if (false) i++;",
      "an escaped quote ends a string at the prompt",
      "debugger/command-syntax",
    ],
  ],
  "src/tools/chrome-trace.ts": [
    [
      "if (!isNested) this.#busyUntil.set(tid, ts + dur);",
      "",
      "spans of a lane overlap in the Chrome trace",
      "cli/chrome-trace",
    ],
  ],
  "src/tools/addons/choose-files.ts": [
    [
      "if (list.includes(`!${value}`)) return false;",
      "",
      "an addon that excludes this platform is checked",
      "cli/addon-files",
      "cli/addons",
    ],
  ],
};

/** All faults, in the order of the table. */
export const faults: readonly Fault[] = Object.entries(table).flatMap(([file, rows]) =>
  rows.map(([text, replacement, breaks, ...tests]) => ({
    file,
    text,
    replacement,
    breaks,
    tests: tests.map((name) => `test/${name}.test.ts`),
  })),
);
