// Child processes inherit no sockets.

import { expect, setDefaultTimeout, test } from "bun:test";
import { Socket, socketpair } from "../../../src/io/socket.ts";
import { runBun } from "../../support/children.ts";
import { openFds } from "../../support/fds.ts";
import { Pair, Place } from "../../support/sockets.ts";

setDefaultTimeout(60_000);

test("a child process inherits no new, bound, connected, accepted or paired socket", async () => {
  using place = new Place("AF_INET");
  using fresh = new Socket();
  using listener = place.listening();
  using connected = place.connected();
  using pair = new Pair(...socketpair());
  const all = [fresh, listener, connected.client, connected.server, pair.client, pair.server];
  const open = openFds();
  const own = new Set(all.map((socket) => open.get(socket.fileno()) ?? "missing"));
  expect(own.size).toBe(all.length);
  const { output } = await runBun(`
    import { openFds } from "./test/support/fds.ts";
    console.log(JSON.stringify([...openFds().values()]));`);
  expect(output).toBeArray();
  expect((output as string[]).filter((what) => own.has(what))).toEqual([]);
});
