// Constants of the Linux API, named as in the kernel's headers. Their values are the same on x86-64 and arm64.

// epoll(7), <sys/epoll.h>

/** The fd is readable: data, a connection to accept, or end of stream. */
export const EPOLLIN = 0x001;
/** There is urgent (out-of-band) data or another exceptional condition. */
export const EPOLLPRI = 0x002;
/** The fd is writable. */
export const EPOLLOUT = 0x004;
/** An error condition. Always reported; need not be requested. */
export const EPOLLERR = 0x008;
/** Hang-up: both directions are shut down. Always reported; need not be requested. */
export const EPOLLHUP = 0x010;
/** Never reported by epoll. poll(2) reports it for an invalid fd. */
export const EPOLLNVAL = 0x020;
export const EPOLLRDNORM = 0x040;
export const EPOLLRDBAND = 0x080;
export const EPOLLWRNORM = 0x100;
export const EPOLLWRBAND = 0x200;
/** Ignored by the kernel. */
export const EPOLLMSG = 0x400;
/** The peer closed its side of the connection, or shut down writing. */
export const EPOLLRDHUP = 0x2000;
/** Set by io_uring for its internal wake-ups. */
export const EPOLL_URING_WAKE = 0x08000000;
/** Wakes one or a few of the epoll instances that watch the same fd, not all. Valid only when registering. */
export const EPOLLEXCLUSIVE = 0x10000000;
/** Prevents suspend while the event is handled; requires CAP_BLOCK_SUSPEND. */
export const EPOLLWAKEUP = 0x20000000;
/** Reports one event, then disarms the registration until `modify` is called. */
export const EPOLLONESHOT = 0x40000000;
/** Edge-triggered: reports changes instead of states. Positive, unlike `1 << 31` in JavaScript. */
export const EPOLLET = 0x80000000;

export const EPOLL_CLOEXEC = 0x80000;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;

// socket(2)

export const AF_UNSPEC = 0;
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;
export const AF_CAN = 29;
export const AF_TIPC = 30;
export const AF_BLUETOOTH = 31;
export const AF_ALG = 38;
export const AF_VSOCK = 40;
export const AF_QIPCRTR = 42;
export const AF_XDP = 44;

export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_RDM = 4;
export const SOCK_SEQPACKET = 5;
export const SOCK_NONBLOCK = 0x800;
export const SOCK_CLOEXEC = 0x80000;

export const SHUT_RD = 0;
export const SHUT_WR = 1;
export const SHUT_RDWR = 2;

export const SOMAXCONN = 4096;

// socket(7), getsockopt(2)

export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_TYPE = 3;
export const SO_ERROR = 4;
export const SO_DONTROUTE = 5;
export const SO_BROADCAST = 6;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_KEEPALIVE = 9;
export const SO_OOBINLINE = 10;
export const SO_PRIORITY = 12;
export const SO_LINGER = 13;
export const SO_REUSEPORT = 15;
export const SO_PASSCRED = 16;
export const SO_PEERCRED = 17;
export const SO_RCVLOWAT = 18;
export const SO_SNDLOWAT = 19;
export const SO_RCVTIMEO = 20;
export const SO_SNDTIMEO = 21;
export const SO_BINDTODEVICE = 25;
export const SO_ATTACH_FILTER = 26;
export const SO_DETACH_FILTER = 27;
/** Received messages carry the time of arrival in microseconds. */
export const SO_TIMESTAMP = 29;
export const SO_ACCEPTCONN = 30;
export const SO_PEERSEC = 31;
export const SO_PASSSEC = 34;
/** Received messages carry the time of arrival in nanoseconds. */
export const SO_TIMESTAMPNS = 35;
export const SO_MARK = 36;
/** Timestamps of received and sent packets, by software and hardware: a mask of SOF_TIMESTAMPING_…. */
export const SO_TIMESTAMPING = 37;
export const SO_PROTOCOL = 38;
export const SO_DOMAIN = 39;
/** Received messages carry the number of packets that were dropped because the receive buffer was full. */
export const SO_RXQ_OVFL = 40;
export const SO_PEEK_OFF = 42;
export const SO_BUSY_POLL = 46;
export const SO_INCOMING_CPU = 49;
export const SO_MEMINFO = 55;
export const SO_INCOMING_NAPI_ID = 56;
export const SO_COOKIE = 57;
export const SO_ZEROCOPY = 60;
export const SO_TXTIME = 61;
/** Received messages carry a pidfd of the sender; Linux 6.5. */
export const SO_PASSPIDFD = 76;
/** Returns a pidfd of the peer, which the caller owns; Linux 6.5. */
export const SO_PEERPIDFD = 77;

export const IPPROTO_IP = 0;
export const IPPROTO_ICMP = 1;
export const IPPROTO_IGMP = 2;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
export const IPPROTO_IPV6 = 41;
export const IPPROTO_GRE = 47;
export const IPPROTO_ESP = 50;
export const IPPROTO_AH = 51;
export const IPPROTO_ICMPV6 = 58;
export const IPPROTO_SCTP = 132;
export const IPPROTO_UDPLITE = 136;
export const IPPROTO_RAW = 255;
export const IPPROTO_MPTCP = 262;

// ip(7)

export const IP_TOS = 1;
export const IP_TTL = 2;
export const IP_HDRINCL = 3;
export const IP_OPTIONS = 4;
export const IP_RECVOPTS = 6;
/** Received messages carry their destination address and interface. */
export const IP_PKTINFO = 8;
export const IP_MTU_DISCOVER = 10;
/** Errors are queued: receive them with MSG_ERRQUEUE. */
export const IP_RECVERR = 11;
export const IP_RECVTTL = 12;
export const IP_RECVTOS = 13;
export const IP_MTU = 14;
export const IP_FREEBIND = 15;
export const IP_TRANSPARENT = 19;
export const IP_ORIGDSTADDR = 20;
export const IP_RECVORIGDSTADDR = 20;
export const IP_MINTTL = 21;
export const IP_BIND_ADDRESS_NO_PORT = 24;
export const IP_MULTICAST_IF = 32;
export const IP_MULTICAST_TTL = 33;
export const IP_MULTICAST_LOOP = 34;
export const IP_ADD_MEMBERSHIP = 35;
export const IP_DROP_MEMBERSHIP = 36;
export const IP_ADD_SOURCE_MEMBERSHIP = 39;
export const IP_MULTICAST_ALL = 49;
export const IP_PMTUDISC_DONT = 0;
export const IP_PMTUDISC_WANT = 1;
export const IP_PMTUDISC_DO = 2;
export const IP_PMTUDISC_PROBE = 3;

// ipv6(7), RFC 3542

export const IPV6_UNICAST_HOPS = 16;
export const IPV6_MULTICAST_IF = 17;
export const IPV6_MULTICAST_HOPS = 18;
export const IPV6_MULTICAST_LOOP = 19;
export const IPV6_JOIN_GROUP = 20;
export const IPV6_LEAVE_GROUP = 21;
export const IPV6_MTU_DISCOVER = 23;
export const IPV6_MTU = 24;
/** Errors are queued: receive them with MSG_ERRQUEUE. */
export const IPV6_RECVERR = 25;
export const IPV6_V6ONLY = 26;
/** Received messages carry their destination address and interface. */
export const IPV6_RECVPKTINFO = 49;
export const IPV6_PKTINFO = 50;
export const IPV6_RECVHOPLIMIT = 51;
export const IPV6_HOPLIMIT = 52;
export const IPV6_RECVTCLASS = 66;
export const IPV6_TCLASS = 67;
export const IPV6_DONTFRAG = 62;
export const IPV6_AUTOFLOWLABEL = 70;
export const IPV6_ORIGDSTADDR = 74;
export const IPV6_RECVORIGDSTADDR = 74;
export const IPV6_FREEBIND = 78;

// udp(7)

export const UDP_CORK = 1;
/** Segments a large datagram into several of this size (GSO). */
export const UDP_SEGMENT = 103;
/** Receives several datagrams of the same size as one (GRO). */
export const UDP_GRO = 104;

// tcp(7)

export const TCP_NODELAY = 1;
export const TCP_CORK = 3;
export const TCP_KEEPIDLE = 4;
export const TCP_KEEPINTVL = 5;
export const TCP_KEEPCNT = 6;
export const TCP_DEFER_ACCEPT = 9;
export const TCP_INFO = 11;
export const TCP_QUICKACK = 12;
export const TCP_CONGESTION = 13;
export const TCP_USER_TIMEOUT = 18;
export const TCP_FASTOPEN = 23;
export const TCP_FASTOPEN_CONNECT = 30;

// unix(7), cmsg(3)

export const SCM_RIGHTS = 1;
export const SCM_CREDENTIALS = 2;
export const SCM_SECURITY = 3;
export const SCM_PIDFD = 4;
export const SCM_TIMESTAMP = 29;
export const SCM_TIMESTAMPNS = 35;
export const SCM_TIMESTAMPING = 37;
export const SCM_TXTIME = 61;

// SO_TIMESTAMPING: <linux/net_tstamp.h>

export const SOF_TIMESTAMPING_TX_HARDWARE = 0x1;
export const SOF_TIMESTAMPING_TX_SOFTWARE = 0x2;
export const SOF_TIMESTAMPING_RX_HARDWARE = 0x4;
export const SOF_TIMESTAMPING_RX_SOFTWARE = 0x8;
export const SOF_TIMESTAMPING_SOFTWARE = 0x10;
export const SOF_TIMESTAMPING_SYS_HARDWARE = 0x20;
export const SOF_TIMESTAMPING_RAW_HARDWARE = 0x40;
export const SOF_TIMESTAMPING_OPT_ID = 0x80;
export const SOF_TIMESTAMPING_TX_SCHED = 0x100;
export const SOF_TIMESTAMPING_TX_ACK = 0x200;
export const SOF_TIMESTAMPING_OPT_CMSG = 0x400;
export const SOF_TIMESTAMPING_OPT_TSONLY = 0x800;
export const SOF_TIMESTAMPING_OPT_STATS = 0x1000;
export const SOF_TIMESTAMPING_OPT_PKTINFO = 0x2000;
export const SOF_TIMESTAMPING_OPT_TX_SWHW = 0x4000;
export const SOF_TIMESTAMPING_BIND_PHC = 0x8000;
export const SOF_TIMESTAMPING_OPT_ID_TCP = 0x10000;
export const SOF_TIMESTAMPING_OPT_RX_FILTER = 0x20000;

// Extended errors, ip(7): <linux/errqueue.h>

export const SO_EE_ORIGIN_NONE = 0;
export const SO_EE_ORIGIN_LOCAL = 1;
export const SO_EE_ORIGIN_ICMP = 2;
export const SO_EE_ORIGIN_ICMP6 = 3;
export const SO_EE_ORIGIN_TXSTATUS = 4;
export const SO_EE_ORIGIN_TIMESTAMPING = 4;
export const SO_EE_ORIGIN_ZEROCOPY = 5;
export const SO_EE_ORIGIN_TXTIME = 6;

// netlink(7)

export const NETLINK_ROUTE = 0;
export const NETLINK_SOCK_DIAG = 4;
export const NETLINK_CONNECTOR = 11;
export const NETLINK_NETFILTER = 12;
export const NETLINK_KOBJECT_UEVENT = 15;
export const NETLINK_GENERIC = 16;

// packet(7)

export const ETH_P_ALL = 0x0003;
export const ETH_P_IP = 0x0800;
export const ETH_P_ARP = 0x0806;
export const ETH_P_IPV6 = 0x86dd;
export const PACKET_HOST = 0;
export const PACKET_BROADCAST = 1;
export const PACKET_MULTICAST = 2;
export const PACKET_OTHERHOST = 3;
export const PACKET_OUTGOING = 4;
export const SOL_PACKET = 263;
export const PACKET_ADD_MEMBERSHIP = 1;
export const PACKET_AUXDATA = 8;

// vsock(7)

export const VMADDR_CID_ANY = 0xffffffff;
export const VMADDR_CID_HYPERVISOR = 0;
export const VMADDR_CID_LOCAL = 1;
export const VMADDR_CID_HOST = 2;
export const VMADDR_PORT_ANY = 0xffffffff;
export const VMADDR_FLAG_TO_HOST = 1;

// <linux/can.h>

export const CAN_RAW = 1;
export const CAN_BCM = 2;
export const CAN_ISOTP = 6;
export const CAN_J1939 = 7;

// recv(2), send(2)

export const MSG_OOB = 0x1;
export const MSG_PEEK = 0x2;
export const MSG_DONTROUTE = 0x4;
export const MSG_CTRUNC = 0x8;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_EOR = 0x80;
export const MSG_WAITALL = 0x100;
export const MSG_CONFIRM = 0x800;
/** Receives from the error queue; see IP_RECVERR. */
export const MSG_ERRQUEUE = 0x2000;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_MORE = 0x8000;
/** recvmmsg: do not wait after the first message. */
export const MSG_WAITFORONE = 0x10000;
export const MSG_ZEROCOPY = 0x4000000;
export const MSG_FASTOPEN = 0x20000000;
export const MSG_CMSG_CLOEXEC = 0x40000000;

// open(2), fcntl(2)

export const O_NONBLOCK = 0x800;
export const O_CLOEXEC = 0x80000;
export const F_GETFD = 1;
export const F_SETFD = 2;
export const F_GETFL = 3;
export const F_SETFL = 4;
export const F_DUPFD_CLOEXEC = 1030;
export const FD_CLOEXEC = 1;

// eventfd(2)

export const EFD_SEMAPHORE = 1;
export const EFD_NONBLOCK = 0x800;
export const EFD_CLOEXEC = 0x80000;

// timerfd_create(2)

export const CLOCK_REALTIME = 0;
export const CLOCK_MONOTONIC = 1;
export const CLOCK_BOOTTIME = 7;
export const TFD_TIMER_ABSTIME = 1;
export const TFD_TIMER_CANCEL_ON_SET = 2;

// inotify(7)

export const IN_ACCESS = 0x1;
export const IN_MODIFY = 0x2;
export const IN_ATTRIB = 0x4;
export const IN_CLOSE_WRITE = 0x8;
export const IN_CLOSE_NOWRITE = 0x10;
export const IN_OPEN = 0x20;
export const IN_MOVED_FROM = 0x40;
export const IN_MOVED_TO = 0x80;
export const IN_CREATE = 0x100;
export const IN_DELETE = 0x200;
export const IN_DELETE_SELF = 0x400;
export const IN_MOVE_SELF = 0x800;
export const IN_UNMOUNT = 0x2000;
export const IN_Q_OVERFLOW = 0x4000;
export const IN_IGNORED = 0x8000;
export const IN_CLOSE = 0x18;
export const IN_MOVE = 0xc0;
export const IN_ALL_EVENTS = 0xfff;
export const IN_ONLYDIR = 0x1000000;
export const IN_DONT_FOLLOW = 0x2000000;
export const IN_EXCL_UNLINK = 0x4000000;
export const IN_MASK_CREATE = 0x10000000;
export const IN_MASK_ADD = 0x20000000;
export const IN_ISDIR = 0x40000000;
export const IN_ONESHOT = 0x80000000;

// memfd_create(2), fcntl(2): seals

export const MFD_CLOEXEC = 0x1;
export const MFD_ALLOW_SEALING = 0x2;
export const F_ADD_SEALS = 1033;
export const F_GET_SEALS = 1034;
export const F_SEAL_SEAL = 0x1;
export const F_SEAL_SHRINK = 0x2;
export const F_SEAL_GROW = 0x4;
export const F_SEAL_WRITE = 0x8;

// signal(7)

export const SIGINT = 2;
export const SIGTERM = 15;
export const SIGHUP = 1;
export const SIGUSR1 = 10;
export const SIGUSR2 = 12;
export const SIGCHLD = 17;
