// What the kernel says about received packets: timestamps, destination, hop limit, errors, segments, the sender's pidfd.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { closeSync } from "node:fs";
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  EPOLLERR,
  ifNameToIndex,
  IP_PKTINFO,
  IP_RECVERR,
  IP_RECVORIGDSTADDR,
  IP_RECVTOS,
  IP_RECVTTL,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_UDP,
  IPV6_RECVERR,
  IPV6_RECVHOPLIMIT,
  IPV6_RECVORIGDSTADDR,
  IPV6_RECVPKTINFO,
  IPV6_RECVTCLASS,
  MSG_ERRQUEUE,
  PidFd,
  type ReceivedAncillary,
  SO_EE_ORIGIN_ICMP,
  SO_EE_ORIGIN_ICMP6,
  SO_EE_ORIGIN_LOCAL,
  SO_PASSCRED,
  SO_PASSPIDFD,
  SO_RCVBUF,
  SO_RXQ_OVFL,
  SO_TIMESTAMP,
  SO_TIMESTAMPING,
  SO_TIMESTAMPNS,
  SOCK_DGRAM,
  Socket,
  socketpair,
  SOF_TIMESTAMPING_RX_SOFTWARE,
  SOF_TIMESTAMPING_SOFTWARE,
  SOL_SOCKET,
  UDP_GRO,
} from "../../../src/index.ts";
import { decodeAncillary, encodeAncillary } from "../../../src/kernel/control-messages.ts";
import { syscalls } from "../../../src/kernel/ffi.ts";
import { eventually, everySocketIsClosed, failure, Pair, Place, until } from "../../support/sockets.ts";
import { fdFlags, leavesNoFd } from "../../support/fds.ts";

setDefaultTimeout(60_000);
everySocketIsClosed();

/** Sends one datagram to `receiver`, and returns the ancillary data that it arrives with. */
function ancillaryOf(receiver: Socket, send: (to: ReturnType<Socket["getsockname"]>) => void): ReceivedAncillary[] {
  send(receiver.getsockname());
  return eventually(receiver, () => receiver.recvmsg(2000, 512)).ancillary;
}

/** Creates a receiver and a sender, and turns the options of the receiver on. */
function udp(kind: "AF_INET" | "AF_INET6", ...options: [level: number, name: number, value?: number][]) {
  const place = new Place(kind);
  const receiver = place.bound(SOCK_DGRAM);
  const sender = place.bound(SOCK_DGRAM);
  for (const [level, name, value = 1] of options) receiver.setsockopt(level, name, value);
  return {
    receiver,
    sender,
    [Symbol.dispose]() {
      receiver.close();
      sender.close();
      place[Symbol.dispose]();
    },
  };
}

describe("timestamps", () => {
  test.each([
    ["SO_TIMESTAMP", SO_TIMESTAMP],
    ["SO_TIMESTAMPNS", SO_TIMESTAMPNS],
  ])("of %s are the time of arrival in nanoseconds since 1970", (_, option) => {
    using pair = udp("AF_INET", [SOL_SOCKET, option]);
    const before = BigInt(Date.now()) * 1_000_000n;
    const [item] = ancillaryOf(pair.receiver, (to) => pair.sender.sendto("x", to));
    const after = BigInt(Date.now() + 1) * 1_000_000n;
    expect(item).toEqual({ timestamp: expect.any(BigInt) });
    const { timestamp } = item as { timestamp: bigint };
    // The clock may be set meanwhile, but not by a day.
    expect(timestamp).toBeGreaterThan(before - 86_400_000_000_000n);
    expect(timestamp).toBeLessThan(after + 86_400_000_000_000n);
  });

  test("of SO_TIMESTAMPING are those of the kernel and of the hardware", () => {
    const flags = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
    using pair = udp("AF_INET", [SOL_SOCKET, SO_TIMESTAMPING, flags]);
    let items: ReceivedAncillary[] = [];
    // The kernel turns its timestamps on in the background.
    while (items.length === 0) items = ancillaryOf(pair.receiver, (to) => pair.sender.sendto("x", to));
    expect(items).toContainEqual({ timestamps: { software: expect.any(BigInt), hardware: null } });
  });
});

describe("packet information", () => {
  test("of IPv4: the interface, the destination, TTL, type of service", () => {
    using pair = udp(
      "AF_INET",
      ...[IP_PKTINFO, IP_RECVTTL, IP_RECVTOS, IP_RECVORIGDSTADDR].map((name): [number, number] => [IPPROTO_IP, name]),
    );
    const ifindex = ifNameToIndex("lo");
    const destination = pair.receiver.getsockname() as never;
    const items = ancillaryOf(pair.receiver, (to) =>
      pair.sender.sendmsg(["x"], [{ hopLimit: 7 }, { trafficClass: 0x20 }], 0, to),
    );
    expect(items).toContainEqual({ packetInfo: { ifindex, address: "127.0.0.1", localAddress: "127.0.0.1" } });
    expect(items).toContainEqual({ hopLimit: 7 });
    expect(items).toContainEqual({ trafficClass: 0x20 });
    expect(items).toContainEqual({ originalDestination: destination });
  });

  test("of IPv6: the interface, the destination, hop limit, traffic class", () => {
    using pair = udp(
      "AF_INET6",
      ...[IPV6_RECVPKTINFO, IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS, IPV6_RECVORIGDSTADDR].map((name): [number, number] => [
        IPPROTO_IPV6,
        name,
      ]),
    );
    const ifindex = ifNameToIndex("lo");
    const destination = pair.receiver.getsockname() as never;
    const items = ancillaryOf(pair.receiver, (to) =>
      pair.sender.sendmsg(["x"], [{ hopLimit: 9 }, { trafficClass: 0x40 }], 0, to),
    );
    expect(items).toContainEqual({ packetInfo: { ifindex, address: "::1", localAddress: "::1" } });
    expect(items).toContainEqual({ hopLimit: 9 });
    expect(items).toContainEqual({ trafficClass: 0x40 });
    expect(items).toContainEqual({ originalDestination: destination });
  });

  test("a server bound to all addresses replies from the one that the client has sent to", () => {
    using server = new Socket(AF_INET, SOCK_DGRAM);
    server.bind({ port: 0 });
    server.setsockopt(IPPROTO_IP, IP_PKTINFO, 1);
    using client = new Socket(AF_INET, SOCK_DGRAM);
    const address = "127.5.6.7";
    const { port } = server.getsockname() as { port: number };
    client.connect({ address, port });
    client.send("question");
    const message = eventually(server, () => server.recvmsg(100, 100));
    server.sendmsg(["answer"], message.ancillary as never, 0, message.address); // as received
    expect(Buffer.from(eventually(client, () => client.recv(100))).toString()).toBe("answer"); // connected: only from there

    using other = new Socket(AF_INET, SOCK_DGRAM);
    other.bind({ address: "127.0.0.1", port: 0 });
    server.sendmsg(["x"], [{ packetInfo: { ifname: "lo", localAddress: "127.9.9.9" } }], 0, other.getsockname());
    expect(eventually(other, () => other.recvfrom(10)).address).toEqual({ address: "127.9.9.9", port, family: "IPv4" });
  });

  test("an IPv6 packet is sent from the given local address", () => {
    using pair = udp("AF_INET6", [IPPROTO_IPV6, IPV6_RECVPKTINFO]);
    const packetInfo = { localAddress: "::1", ifindex: ifNameToIndex("lo") };
    const items = ancillaryOf(pair.receiver, (to) => pair.sender.sendmsg(["x"], [{ packetInfo }], 0, to));
    expect(items).toEqual([{ packetInfo: { ...packetInfo, address: "::1" } }]);
    const wrong = { localAddress: "2001:db8::1" };
    expect(failure(() => pair.sender.sendmsg(["x"], [{ packetInfo: wrong }], 0, pair.receiver.getsockname()))).toEqual([
      "EINVAL",
      "sendmsg",
    ]);
  });
});

describe("the error queue", () => {
  test.each([
    ["AF_INET", IPPROTO_IP, IP_RECVERR, SO_EE_ORIGIN_ICMP, 3, 3, "127.0.0.1"],
    ["AF_INET6", IPPROTO_IPV6, IPV6_RECVERR, SO_EE_ORIGIN_ICMP6, 1, 4, "::1"],
  ] as const)(
    "of %s has the ICMP error, who reported it, and the datagram",
    (kind, level, option, origin, type, code, host) => {
      using pair = udp(kind, [level, option]);
      const gone = pair.sender.getsockname();
      pair.sender.close();
      pair.receiver.sendto("lost", gone);
      until(pair.receiver, EPOLLERR);
      const message = pair.receiver.recvmsg(100, 512, MSG_ERRQUEUE);
      expect(Buffer.from(message?.data ?? []).toString()).toBe("lost");
      expect(message?.address).toEqual(gone); // where the datagram was sent to
      expect(message?.flags).toBe(MSG_ERRQUEUE);
      const error = { code: "ECONNREFUSED", errno: -111, origin, icmpType: type, icmpCode: code, info: 0, data: 0 };
      const offender = { address: host, port: 0, family: kind === "AF_INET" ? "IPv4" : "IPv6" } as const;
      expect(message?.ancillary).toEqual([{ error: { ...error, offender } }]);
      expect(pair.receiver.recvmsg(100, 512, MSG_ERRQUEUE)).toBeNull();
    },
  );

  test("has local errors, without an offender", () => {
    using pair = udp("AF_INET", [IPPROTO_IP, IP_RECVERR]);
    const tooLong = new Uint8Array(65_508); // the largest datagram is 65507 bytes long
    expect(failure(() => pair.receiver.sendto(tooLong, pair.sender.getsockname()))).toEqual(["EMSGSIZE", "sendto"]);
    const [item, ...others] = pair.receiver.recvmsg(10, 512, MSG_ERRQUEUE)?.ancillary ?? [];
    expect(item).toMatchObject({ error: { code: "EMSGSIZE", errno: -90, origin: SO_EE_ORIGIN_LOCAL, offender: null } });
    expect(others).toEqual([]);
  });
});

test("UDP_SEGMENT splits a large buffer into datagrams, and UDP_GRO merges them", () => {
  using pair = udp("AF_INET");
  const data = Buffer.alloc(2500, "abcdefg");
  pair.sender.sendmsg([data], [{ segmentSize: 1000 }], 0, pair.receiver.getsockname());
  const parts = Array.from({ length: 3 }, () => eventually(pair.receiver, () => pair.receiver.recv(5000)));
  expect(parts.map(({ length }) => length)).toEqual([1000, 1000, 500]);
  expect(Buffer.concat(parts)).toEqual(data);

  pair.receiver.setsockopt(IPPROTO_UDP, UDP_GRO, 1);
  pair.sender.sendmsg([data], [{ segmentSize: 1000 }], 0, pair.receiver.getsockname());
  let received = Buffer.alloc(0);
  while (received.length < data.length) {
    const message = eventually(pair.receiver, () => pair.receiver.recvmsg(5000, 100));
    received = Buffer.concat([received, message.data]);
    if (message.data.length > 1000) expect(message.ancillary).toEqual([{ segmentSize: 1000 }]);
  }
  expect(received).toEqual(data);
});

test("SO_RXQ_OVFL counts the datagrams that were dropped", () => {
  using pair = udp("AF_INET", [SOL_SOCKET, SO_RXQ_OVFL], [SOL_SOCKET, SO_RCVBUF, 1]);
  const to = pair.receiver.getsockname();
  for (let i = 0; i < 100; i++) pair.sender.sendto(new Uint8Array(1000), to);
  const drain = (): void => {
    while (pair.receiver.recv(2000) !== null);
  };
  drain();
  const [item] = ancillaryOf(pair.receiver, () => pair.sender.sendto("x", to));
  expect(item).toEqual({ dropped: expect.any(Number) });
  expect((item as { dropped: number }).dropped).toBeGreaterThan(0);
});

/** Whether the kernel has SO_PASSPIDFD, Linux 6.5. */
function hasPidfd(): boolean {
  using pair = new Pair(...socketpair());
  try {
    pair.client.setsockopt(SOL_SOCKET, SO_PASSPIDFD, 1);
    return true;
  } catch {
    return false;
  }
}

test.skipIf(!hasPidfd())("SO_PASSPIDFD gives a pidfd of the sender, which is among the received fds", () =>
  leavesNoFd(() => {
    using pair = new Pair(...socketpair(AF_UNIX, SOCK_DGRAM));
    pair.server.setsockopt(SOL_SOCKET, SO_PASSPIDFD, 1);
    pair.client.send("x");
    const [item, ...others] = pair.server.recvmsg(1, 100)?.ancillary ?? [];
    expect(others).toEqual([]);
    expect(item).toEqual({ fds: [expect.any(Number)], pidfd: expect.any(Number) });
    const { fds, pidfd } = item as { fds: number[]; pidfd: number };
    expect(fds).toEqual([pidfd]);
    expect(fdFlags(pidfd) & 0o2000000).toBe(0o2000000);
    const process = PidFd.fromfd(pidfd);
    process.kill(0);
    process.close();

    // Code that closes all received fds, without knowing of pidfds, leaks none.
    pair.server.setsockopt(SOL_SOCKET, SO_PASSCRED, 1);
    pair.client.sendFds("x", [0]);
    const items = pair.server.recvmsg(1, 200)?.ancillary ?? [];
    const received = items.flatMap((each) => ("fds" in each ? each.fds : []));
    expect(received).toHaveLength(2);
    for (const fd of received) closeSync(fd);
  }),
);

describe("decodeAncillary", () => {
  const sys = syscalls();

  test("returns unknown items, and those that are too short, as bytes", () => {
    const items = [
      { level: 1, type: 99, data: Uint8Array.of(1, 2, 3) },
      { level: 12345, type: 1, data: new Uint8Array(0) },
      { level: SOL_SOCKET, type: SO_TIMESTAMP, data: new Uint8Array(15) },
      { level: SOL_SOCKET, type: SO_TIMESTAMPING, data: new Uint8Array(47) },
      { level: SOL_SOCKET, type: 2 /* SCM_CREDENTIALS */, data: new Uint8Array(11) },
      { level: SOL_SOCKET, type: 4 /* SCM_PIDFD */, data: new Uint8Array(Int32Array.of(-3).buffer) }, // -ESRCH
      { level: IPPROTO_IP, type: IP_PKTINFO, data: new Uint8Array(11) },
      { level: IPPROTO_IP, type: IP_RECVERR, data: new Uint8Array(15) },
      { level: IPPROTO_IPV6, type: 50 /* IPV6_PKTINFO */, data: new Uint8Array(19) },
      { level: IPPROTO_UDP, type: UDP_GRO, data: new Uint8Array(2) },
    ];
    const bytes = encodeAncillary(sys, items, AF_UNIX);
    expect(decodeAncillary(sys, bytes, bytes.length)).toEqual(items);
  });

  test("stays within the buffer, whatever length and sizes the kernel reports", () => {
    const item = { level: 1, type: 99, data: Uint8Array.of(1, 2, 3, 4) };
    const bytes = encodeAncillary(sys, [item], AF_UNIX);
    expect(decodeAncillary(sys, bytes, 1000)).toEqual([item]);
    expect(decodeAncillary(sys, bytes, 18)).toEqual([{ ...item, data: Uint8Array.of(1, 2) }]);
    expect(decodeAncillary(sys, bytes, 15)).toEqual([]);
    new DataView(bytes.buffer).setUint32(0, 0xffffffff, true);
    expect(decodeAncillary(sys, bytes, bytes.length)).toEqual([
      { ...item, data: Uint8Array.of(1, 2, 3, 4, 0, 0, 0, 0) },
    ]);
    new DataView(bytes.buffer).setUint32(0, 15, true);
    expect(decodeAncillary(sys, bytes, bytes.length)).toEqual([]);
  });

  test("of a multicast IPv6 packet has no local address to reply from", () => {
    const data = new Uint8Array(20);
    data.set([0xff, 0x02]);
    const bytes = encodeAncillary(sys, [{ level: IPPROTO_IPV6, type: 50, data }], AF_INET6);
    expect(decodeAncillary(sys, bytes, bytes.length)).toEqual([{ packetInfo: { ifindex: 0, address: "ff02::" } }]);
  });
});
