// Addresses of netlink, packet, VM and CAN sockets, of any other family as bytes, and AF_UNSPEC.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import {
  type Address,
  type AddressLike,
  decodeAddress,
  encodeAddress,
  formatAddress,
  type NetlinkAddress,
  type VsockAddress,
} from "../../../src/kernel/address.ts";
import {
  AF_CAN,
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  AF_PACKET,
  AF_UNIX,
  AF_UNSPEC,
  AF_VSOCK,
  ETH_P_ALL,
  ETH_P_IP,
  ifIndexToName,
  ifNameToIndex,
  NETLINK_ROUTE,
  PACKET_HOST,
  SOCK_DGRAM,
  SOCK_RAW,
  SOCK_STREAM,
  Socket,
  VMADDR_CID_ANY,
  VMADDR_CID_LOCAL,
  VMADDR_PORT_ANY,
} from "../../../src/index.ts";
import { ErrnoError } from "../../../src/kernel/errors.ts";
import { syscalls } from "../../../src/kernel/ffi.ts";
import { eventually, everySocketIsClosed, failure } from "../../support/sockets.ts";

setDefaultTimeout(60_000);
everySocketIsClosed();

const sys = syscalls();
const uint32 = fc.integer({ min: 0, max: 0xffffffff });
const ifindex = fc.integer({ min: 0, max: 0x7fffffff });
const byte = fc.integer({ min: 0, max: 255 });
const uint16 = fc.integer({ min: 0, max: 0xffff });

function roundTrip(address: AddressLike, family: number): Address {
  return decodeAddress(sys, encodeAddress(sys, address, family));
}

/** Whether the kernel can create such a socket; if not, tests with real sockets are skipped. */
function isSupported(family: number, type: number, protocol = 0): boolean {
  const fd = sys.socket(family, type, protocol);
  if (fd >= 0) sys.close(fd);
  return fd >= 0;
}

describe("an encoded address is decoded to the same address", () => {
  test.each([
    ["netlink", AF_NETLINK, fc.record({ family: fc.constant("netlink" as const), pid: uint32, groups: uint32 })],
    [
      "packet",
      AF_PACKET,
      fc.record({
        family: fc.constant("packet" as const),
        ifindex,
        protocol: uint16,
        packetType: byte,
        hardwareType: uint16,
        hardwareAddress: fc.uint8Array({ maxLength: 8 }),
      }),
    ],
    ["vsock", AF_VSOCK, fc.record({ family: fc.constant("vsock" as const), cid: uint32, port: uint32 })],
    ["CAN", AF_CAN, fc.record({ family: fc.constant("can" as const), ifindex })],
    ["CAN ISO-TP", AF_CAN, fc.record({ family: fc.constant("can" as const), ifindex, rxId: uint32, txId: uint32 })],
    [
      "IPv6 with flow information",
      AF_INET6,
      fc.record({
        address: fc.constant("::1"),
        port: uint16,
        family: fc.constant("IPv6" as const),
        flowInfo: fc.integer({ min: 1, max: 0xffffffff }),
      }),
    ],
  ] as const)("%s", (_, family, addresses) => {
    fc.assert(
      fc.property(addresses as fc.Arbitrary<Address>, (address) => {
        expect(roundTrip(address, family)).toEqual(address);
      }),
    );
  });

  test("any other family, as bytes", () => {
    const known = new Set([AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_VSOCK, AF_CAN]);
    const families = uint16.filter((family) => !known.has(family));
    fc.assert(
      fc.property(families, fc.uint8Array({ maxLength: 126 }), uint16, (family, bytes, socketFamily) => {
        expect(roundTrip({ family, bytes }, socketFamily)).toEqual({ family, bytes });
      }),
    );
  });

  test("vsock flags, and the defaults of what may be omitted", () => {
    expect(roundTrip({ cid: 2, port: 1, flags: 1 }, AF_VSOCK)).toEqual({ family: "vsock", cid: 2, port: 1, flags: 1 });
    expect(roundTrip({}, AF_NETLINK)).toEqual({ family: "netlink", pid: 0, groups: 0 });
    expect(roundTrip({ rxId: 1 }, AF_CAN)).toEqual({ family: "can", ifindex: 0, rxId: 1, txId: 0 });
    expect(roundTrip({ ifname: "lo", protocol: ETH_P_ALL }, AF_PACKET)).toMatchObject({ ifindex: 1, protocol: 3 });
  });
});

test("an address that the structured form cannot express is decoded as bytes, so that nothing is lost", () => {
  const j1939 = { family: AF_CAN, bytes: new Uint8Array(22).fill(7) };
  const infiniband = { family: AF_PACKET, bytes: new Uint8Array(30).fill(9) };
  const short = { family: AF_INET, bytes: Uint8Array.of(1, 2) };
  expect(roundTrip(j1939, AF_CAN)).toEqual(j1939);
  expect(roundTrip(infiniband, AF_PACKET)).toEqual(infiniband);
  expect(roundTrip(short, AF_INET)).toEqual(short);
});

test("numbers are checked, and named", () => {
  const reject = (address: object, family: number, message: string): void =>
    expect(() => encodeAddress(sys, address as AddressLike, family)).toThrow(message);
  reject({ pid: -1 }, AF_NETLINK, "pid must be an integer from 0 to 4294967295; received -1");
  reject({ groups: 2 ** 32 }, AF_NETLINK, "groups must be an integer from 0 to 4294967295");
  reject({ ifindex: -1 }, AF_PACKET, "ifindex must be an integer from 0 to 2147483647");
  reject({ protocol: 65_536 }, AF_PACKET, "protocol must be an integer from 0 to 65535");
  reject({ hardwareAddress: new Uint8Array(9) }, AF_PACKET, "hardwareAddress is 9 bytes long; it can have at most 8");
  reject({ hardwareAddress: "00" }, AF_PACKET, "hardwareAddress must be a Buffer or a Uint8Array");
  reject({ ifindex: 1, ifname: "lo" }, AF_PACKET, "address has both ifindex and ifname: omit one of them");
  reject({ ifname: "nosuch0" }, AF_PACKET, 'no network interface is named "nosuch0"');
  reject({ ifname: "lo\0" }, AF_PACKET, "no network interface is named");
  reject({ cid: 1 }, AF_VSOCK, "port must be an integer from 0 to 4294967295; received undefined");
  reject({ port: 1 }, AF_VSOCK, "cid must be an integer from 0 to 4294967295; received undefined");
  reject({ family: 70_000 }, AF_INET, "address.family must be an integer from 0 to 65535; received 70000");
  reject(
    { family: 1, bytes: new Uint8Array(127) },
    AF_INET,
    "address.bytes is 127 bytes long; an address can have at most 126",
  );
  reject({ family: 1, bytes: "x" }, AF_INET, "address.bytes must be a Buffer or a Uint8Array");
  reject({ port: 1 }, 38, "the address of a socket of family 38 must be { family, bytes }, with numbers and bytes");
  reject({ address: "::1", port: 1, flowInfo: 2 ** 32 }, AF_INET6, "flowInfo must be an integer from 0 to 4294967295");
});

test.each([
  [{ family: "netlink", pid: 5, groups: 0 }, "netlink 5"],
  [{ family: "netlink", pid: 0, groups: 17 }, "netlink 0 groups 0x11"],
  [{ family: "vsock", cid: 2, port: 80 }, "vsock 2:80"],
  [{ family: "vsock", cid: VMADDR_CID_ANY, port: 80 }, "vsock *:80"],
  [{ family: "can", ifindex: 3 }, "can 3"],
  [{ family: "can", ifindex: 3, rxId: 1, txId: 2 }, "can 3 1/2"],
  [{ family: 0, bytes: new Uint8Array(0) }, "AF_UNSPEC"],
  [{ family: 38, bytes: Uint8Array.of(1, 255) }, "38 01ff"],
  [{ address: "::1", port: 80, family: "IPv6", flowInfo: 1 }, "[::1]:80"],
  [{ path: "\0name" }, "@name"],
] as [Address, string][])("%p is displayed as %p", (address, text) => {
  expect(formatAddress(address)).toBe(text);
});

test("a packet address is displayed with its protocol and hardware address", () => {
  const hardwareAddress = Uint8Array.of(0, 1, 2, 0xab, 0xcd, 0xef);
  const address: Address = {
    family: "packet",
    ifindex: 2,
    protocol: ETH_P_IP,
    packetType: 0,
    hardwareType: 1,
    hardwareAddress,
  };
  expect(formatAddress(address)).toBe("packet 2 0x0800 00:01:02:ab:cd:ef");
});

test("interfaces have names and indices", () => {
  expect(ifIndexToName(ifNameToIndex("lo"))).toBe("lo");
  expect(() => ifNameToIndex("nosuch0")).toThrow('no network interface is named "nosuch0"');
  expect(() => ifIndexToName(2_000_000_000)).toThrow(ErrnoError);
  expect(() => ifIndexToName(-1)).toThrow("index must be an integer from 0 to 2147483647; received -1");
});

describe("a netlink socket", () => {
  /** Returns the names of all interfaces: a dump of RTM_GETLINK, rtnetlink(7). */
  function interfaceNames(socket: Socket): string[] {
    const request = new Uint8Array(32); // struct nlmsghdr, struct ifinfomsg
    const header = new DataView(request.buffer);
    header.setUint32(0, request.length, true);
    header.setUint16(4, 18 /* RTM_GETLINK */, true);
    header.setUint16(6, 0x301 /* NLM_F_REQUEST | NLM_F_DUMP */, true);
    header.setUint32(8, 7, true);
    expect(socket.sendto(request, { pid: 0, groups: 0 })).toBe(request.length);
    const names: string[] = [];
    for (;;) {
      const { data, address } = eventually(socket, () => socket.recvfrom(65_536));
      expect(address).toEqual({ family: "netlink", pid: 0, groups: 0 });
      const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
      for (let at = 0; at < data.length; at += (view.getUint32(at, true) + 3) & ~3) {
        if (view.getUint16(at + 4, true) === 3 /* NLMSG_DONE */) return names;
        const end = at + view.getUint32(at, true);
        for (let attribute = at + 32; attribute < end; attribute += (view.getUint16(attribute, true) + 3) & ~3) {
          if (view.getUint16(attribute + 2, true) !== 3 /* IFLA_IFNAME */) continue;
          names.push(
            Buffer.from(data.subarray(attribute + 4, attribute + view.getUint16(attribute, true) - 1)).toString(),
          );
        }
      }
    }
  }

  test("dumps the interfaces, and has an address that can be bound again", () => {
    using socket = new Socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    socket.bind({});
    const address = socket.getsockname() as NetlinkAddress;
    expect(address).toEqual({ family: "netlink", pid: expect.any(Number), groups: 0 });
    expect(address.pid).toBeGreaterThan(0);
    expect(interfaceNames(socket)).toContain("lo");
    using other = new Socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    expect(() => other.bind(address)).toThrow(`bind EADDRINUSE: address already in use netlink ${address.pid}`);
    socket.close();
    other.bind(address);
    expect(other.getsockname()).toEqual(address);
  });

  test("joins groups by bind, and connects to the kernel", () => {
    using socket = new Socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    socket.bind({ groups: 0x11 });
    expect(socket.getsockname()).toMatchObject({ family: "netlink", groups: 0x11 });
    expect(socket.connect({ family: "netlink", pid: 0 })).toBe(true);
    expect(socket.getpeername()).toEqual({ family: "netlink", pid: 0, groups: 0 });
  });
});

describe.skipIf(!isSupported(AF_PACKET, SOCK_DGRAM))("a packet socket (requires CAP_NET_RAW)", () => {
  test("receives the packets of loopback, with addresses that can be bound again", () => {
    using socket = new Socket(AF_PACKET, SOCK_DGRAM);
    socket.bind({ ifname: "lo", protocol: ETH_P_IP });
    const bound = socket.getsockname();
    expect(bound).toMatchObject({
      family: "packet",
      ifindex: ifNameToIndex("lo"),
      protocol: ETH_P_IP,
      hardwareType: 772,
    });
    using receiver = new Socket(AF_INET, SOCK_DGRAM);
    receiver.bind({ address: "127.0.0.1", port: 0 });
    using sender = new Socket(AF_INET, SOCK_DGRAM);
    const text = `packet of ${process.pid}`;
    sender.sendto(text, receiver.getsockname());
    for (;;) {
      const { data, address } = eventually(socket, () => socket.recvfrom(2048));
      if (!Buffer.from(data).includes(text)) continue; // other programs use loopback, too
      expect(address).toMatchObject({
        family: "packet",
        protocol: ETH_P_IP,
        ifindex: ifNameToIndex("lo"),
        hardwareType: 772,
      });
      if (!("packetType" in address) || address.packetType !== PACKET_HOST) continue; // it is also seen as it is sent
      expect(address.hardwareAddress).toEqual(new Uint8Array(6));
      using other = new Socket(AF_PACKET, SOCK_DGRAM);
      other.bind(address);
      expect(other.getsockname()).toEqual(bound);
      expect(other.sendto(data, address)).toBe(data.length);
      break;
    }
  });
});

describe.skipIf(!isSupported(AF_VSOCK, SOCK_STREAM))("a VM socket (requires the module vsock)", () => {
  test("binds to an address, listens, and reports it", () => {
    using listener = new Socket(AF_VSOCK, SOCK_STREAM);
    listener.bind({ cid: VMADDR_CID_ANY, port: VMADDR_PORT_ANY });
    listener.listen();
    const address = listener.getsockname() as VsockAddress;
    expect(address).toEqual({ family: "vsock", cid: VMADDR_CID_ANY, port: expect.any(Number) });
    using other = new Socket(AF_VSOCK, SOCK_STREAM);
    expect(failure(() => other.bind(address))).toEqual(["EADDRINUSE", "bind"]);
    using client = new Socket(AF_VSOCK, SOCK_STREAM);
    // Loopback needs the module vsock_loopback; without it, the address is refused by name.
    try {
      client.connect({ cid: VMADDR_CID_LOCAL, port: address.port });
    } catch (error) {
      expect((error as Error).message).toEndWith(`vsock 1:${address.port}`);
    }
  });
});

describe.skipIf(!isSupported(AF_CAN, SOCK_RAW, 1))("a CAN socket (requires the module can_raw)", () => {
  test("binds to all interfaces", () => {
    using socket = new Socket(AF_CAN, SOCK_RAW, 1);
    socket.bind({ ifindex: 0 });
    expect(socket.getsockname()).toEqual({ family: "can", ifindex: 0 });
  });
});

describe("AF_UNSPEC", () => {
  test.each([AF_INET, AF_INET6])("dissolves the association of a connected datagram socket (family %d)", (family) => {
    const address = family === AF_INET ? "127.0.0.1" : "::1";
    using receiver = new Socket(family, SOCK_DGRAM);
    receiver.bind({ address, port: 0 });
    using socket = new Socket(family, SOCK_DGRAM);
    socket.connect(receiver.getsockname());
    expect(socket.getpeername()).toEqual(receiver.getsockname());
    expect(socket.connect({ family: AF_UNSPEC })).toBe(true);
    expect(failure(() => socket.getpeername())).toEqual(["ENOTCONN", "getpeername"]);
    expect(failure(() => socket.send("x"))).toEqual(["EDESTADDRREQ", "send"]);
    expect(socket.sendto("y", receiver.getsockname())).toBe(1);
    expect(eventually(receiver, () => receiver.recv(10))).toEqual(Uint8Array.of(0x79));
  });

  test("of a unix datagram socket", () => {
    using receiver = new Socket(AF_UNIX, SOCK_DGRAM);
    receiver.bind({ path: `\0epoll-hello unspec ${process.pid}` });
    using socket = new Socket(AF_UNIX, SOCK_DGRAM);
    socket.connect(receiver.getsockname());
    socket.connect({ family: AF_UNSPEC, bytes: new Uint8Array(14) });
    expect(failure(() => socket.getpeername())).toEqual(["ENOTCONN", "getpeername"]);
  });
});

test("an address as bytes is passed to the kernel as it is", () => {
  using receiver = new Socket(AF_INET, SOCK_DGRAM);
  receiver.bind({ family: AF_INET, bytes: Uint8Array.of(0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0) });
  expect(receiver.getsockname()).toMatchObject({ address: "127.0.0.1", family: "IPv4" });
  using socket = new Socket(AF_INET, SOCK_DGRAM);
  expect(() => socket.bind({ family: AF_INET, bytes: Uint8Array.of(1) })).toThrow(
    "bind EINVAL: invalid argument AF_INET 01",
  );
});
