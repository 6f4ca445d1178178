// SIGPIPE and the limit of open file descriptors, each in a separate process.

import { expect, setDefaultTimeout, test } from "bun:test";
import { runBun } from "../../support/children.ts";

setDefaultTimeout(60_000);

test.each(["send", "sendto", "sendmsg"])("%s to a closed peer fails with EPIPE, without SIGPIPE", async (call) => {
  const ending = await runBun(`
    import { dlopen } from "bun:ffi";
    import { socketpair, AF_UNIX, SOCK_STREAM, SOCK_DGRAM, SHUT_WR, Socket } from "./src/index.ts";
    // Bun ignores SIGPIPE: restore the default action, which terminates the process.
    const { signal } = dlopen("libc.so.6", { signal: { args: ["i32", "ptr"], returns: "ptr" } }).symbols;
    signal(13, null);
    const [a, b] = socketpair();
    b.close();
    const calls = {
      send: () => a.send("x"),
      sendmsg: () => a.sendmsg(["x"]),
      sendto: () => {
        using socket = new Socket(2);
        socket.sendto("x", { address: "127.0.0.1", port: 1 });
      },
    };
    try {
      calls[${JSON.stringify(call)}]();
    } catch ({ code, syscall }) {
      console.log(JSON.stringify([code, syscall]));
    }`);
  expect(ending).toEqual({ output: ["EPIPE", call], stderr: "", exitCode: 0, signal: null });
});

test("without MSG_NOSIGNAL, SIGPIPE terminates the process", async () => {
  const ending = await runBun(`
    import { dlopen } from "bun:ffi";
    import { syscalls } from "./src/kernel/ffi.ts";
    import { socketpair } from "./src/index.ts";
    dlopen("libc.so.6", { signal: { args: ["i32", "ptr"], returns: "ptr" } }).symbols.signal(13, null);
    const [a, b] = socketpair();
    b.close();
    syscalls().send(a.fileno(), new Uint8Array(1), 0, 1, 0);
    console.log("alive");`);
  expect(ending.signal).toBe("SIGPIPE");
});

test("accept fails with EMFILE at the fd limit, and accepts the connection when an fd is available", async () => {
  const ending = await runBun(
    `
    import { Socket, socketpair, Epoll, EPOLLIN } from "./src/index.ts";
    const listener = new Socket();
    listener.bind({ address: "127.0.0.1", port: 0 });
    listener.listen();
    const client = new Socket();
    client.connect(listener.getsockname());
    const epoll = new Epoll();
    epoll.register(listener, EPOLLIN);
    epoll.poll(20_000);
    const spare = [];
    const codes = [];
    const attempt = (call) => {
      try {
        return call();
      } catch ({ code, errno, syscall }) {
        codes.push([code, errno, syscall]);
      }
    };
    while (codes.length === 0) spare.push(attempt(() => new Socket()));
    attempt(() => listener.accept());
    attempt(() => new Epoll());
    attempt(() => socketpair());
    spare[0].close();
    const taken = listener.accept();
    console.log(JSON.stringify({ codes, taken: taken?.address.address }));`,
    { maxFds: 100 },
  );
  expect(ending).toEqual({
    output: {
      codes: [
        ["EMFILE", -24, "socket"],
        ["EMFILE", -24, "accept4"],
        ["EMFILE", -24, "epoll_create1"],
        ["EMFILE", -24, "socketpair"],
      ],
      taken: "127.0.0.1",
    },
    stderr: "",
    exitCode: 0,
    signal: null,
  });
});

test("socketpair with one fd left does not leak it", async () => {
  const ending = await runBun(
    `
    import { Socket, socketpair } from "./src/index.ts";
    const spare = [];
    try {
      for (;;) spare.push(new Socket());
    } catch {}
    spare.pop().close();
    try {
      socketpair();
    } catch ({ code }) {
      new Socket();
      console.log(JSON.stringify(code));
    }`,
    { maxFds: 100 },
  );
  expect(ending.output).toBe("EMFILE");
});
