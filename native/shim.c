/*
 * Linux system calls for bun:ffi, and the only code that knows a struct's layout.
 *
 * Every function returns >= 0, or -errno read in the same breath. No header and no libc file is needed:
 * Bun's cc injects dlsym() into the unit, and init() looks up the rest. LP64 little-endian: x86-64 and arm64,
 * glibc and musl, whose structs below agree byte for byte.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long size;

extern void *dlsym(void *handle, const char *name);

/* libc, looked up by init(): type, name, arguments. */
#define LIBC(X)                                                 \
  X(int, epoll_create1, (int))                                  \
  X(int, epoll_ctl, (int, int, int, void *))                    \
  X(int, epoll_wait, (int, void *, int, int))                   \
  X(int, socket, (int, int, int))                               \
  X(int, socketpair, (int, int, int, int *))                    \
  X(int, bind, (int, const void *, u32))                        \
  X(int, listen, (int, int))                                    \
  X(int, accept4, (int, void *, u32 *, int))                    \
  X(int, connect, (int, const void *, u32))                     \
  X(long, recvfrom, (int, void *, size, int, void *, u32 *))    \
  X(long, sendto, (int, const void *, size, int, const void *, u32)) \
  X(long, recvmsg, (int, void *, int))                          \
  X(long, sendmsg, (int, const void *, int))                    \
  X(int, shutdown, (int, int))                                  \
  X(int, getsockopt, (int, int, int, void *, u32 *))            \
  X(int, setsockopt, (int, int, int, const void *, u32))        \
  X(int, getsockname, (int, void *, u32 *))                     \
  X(int, getpeername, (int, void *, u32 *))                     \
  X(long, read, (int, void *, size))                            \
  X(long, write, (int, const void *, size))                     \
  X(int, close, (int))                                          \
  X(int, memcmp, (const void *, const void *, size))            \
  X(int, strcmp, (const char *, const char *))                  \
  X(int, fcntl, (int, int, ...))                                \
  X(int, ioctl, (int, size, ...))                               \
  X(int, eventfd, (u32, int))                                   \
  X(int, pipe2, (int *, int))                                   \
  X(int, timerfd_create, (int, int))                            \
  X(int, timerfd_settime, (int, int, const void *, void *))     \
  X(int, timerfd_gettime, (int, void *))                        \
  X(int, inotify_init1, (int))                                  \
  X(int, inotify_add_watch, (int, const char *, u32))           \
  X(int, inotify_rm_watch, (int, int))                          \
  X(int, memfd_create, (const char *, u32))                     \
  X(int, waitid, (int, u32, void *, int))                       \
  X(long, syscall, (long, ...))                                 \
  X(int, sigaction, (int, const void *, void *))                \
  X(int, inet_pton, (int, const char *, void *))                \
  X(const char *, inet_ntop, (int, const void *, char *, u32))  \
  X(int, getaddrinfo, (const char *, const char *, const void *, void **)) \
  X(void, freeaddrinfo, (void *))                               \
  X(int, pthread_sigmask, (int, const void *, void *))          \
  X(int, pthread_create, (size *, const void *, void *(*)(void *), void *)) \
  X(int, pthread_detach, (size))                                \
  X(size, pthread_self, (void))                                 \
  X(int, pthread_join, (size, void **))

#define DECLARE(type, name, arguments) static type(*c_##name) arguments;
#define LOOK_UP(type, name, arguments) \
  if (!(c_##name = dlsym(0, #name))) return -1;

static int *(*c_errno)(void);
LIBC(DECLARE)

static int init(void) {
  if (!(c_errno = dlsym(0, "__errno_location"))) return -1;
  LIBC(LOOK_UP)
  return 0;
}

static int result(long n) { return n < 0 ? -*c_errno() : (int)n; }

/* ---- what was opened here and not closed yet: a terminated Worker can no longer close it ---- */

enum { TRACKED = 65536 };
static u8 is_ours[TRACKED];

static int opened(long n) {
  if (n >= 0 && n < TRACKED) is_ours[n] = 1;
  return result(n);
}

static int opened_pair(int n, const int *fds) {
  if (n == 0) opened(fds[0]), opened(fds[1]);
  return result(n);
}

/* It is somebody else's to close from now on. */
int disown(int fd) {
  if (fd >= 0 && fd < TRACKED) is_ours[fd] = 0;
  return 0;
}

/* Whether `length` bytes from `offset` on are those of `other`: the engine's own way takes eight times as long. */
int equal(const u8 *bytes, int offset, const u8 *other, int length) {
  return c_memcmp(bytes + offset, other, length) == 0;
}

/* ---- epoll(7) ---- */

/* 12 bytes on x86-64, where the kernel packs it; 16 elsewhere. */
struct epoll_event {
  u32 events;
#ifndef __x86_64__
  u32 padding;
#endif
  int fd;    /* data, low half: what the caller registered it under */
  u32 token; /* data, high half: the caller's own number */
};

int epoll_create1(int flags) { return opened(c_epoll_create1(flags)); }

int epoll_ctl(int epfd, int op, int fd, u32 events, u32 token) {
  struct epoll_event event;
  event.events = events;
  event.fd = fd;
  event.token = token;
  return result(c_epoll_ctl(epfd, op, fd, &event));
}

/* Fill `out` (16 bytes for each of `max`) with triples of 32-bit numbers: events, fd, token. */
int epoll_wait(int epfd, u32 *out, int max, int timeout) {
  int n = result(c_epoll_wait(epfd, out, max, timeout));
#ifndef __x86_64__
  struct epoll_event *event = (struct epoll_event *)out;
  int i;
  for (i = 0; i < n; i++) { /* in place: a triple never overtakes the struct that it is read from */
    u32 events = event[i].events, fd = (u32)event[i].fd, token = event[i].token;
    out[3 * i] = events;
    out[3 * i + 1] = fd;
    out[3 * i + 2] = token;
  }
#endif
  return n;
}

/* ---- sockets ---- */

/* How an address crosses over: its length, then the sockaddr. */
struct address {
  u32 length;
  u8 sockaddr[128];
};

int socket(int family, int type, int protocol) { return opened(c_socket(family, type, protocol)); }

int socketpair(int family, int type, int protocol, int *fds) {
  return opened_pair(c_socketpair(family, type, protocol, fds), fds);
}

int bind(int fd, struct address *address) { return result(c_bind(fd, address->sockaddr, address->length)); }

int listen(int fd, int backlog) { return result(c_listen(fd, backlog)); }

int accept4(int fd, struct address *peer, int flags) {
  peer->length = sizeof peer->sockaddr;
  return opened(c_accept4(fd, peer->sockaddr, &peer->length, flags));
}

int connect(int fd, struct address *address) { return result(c_connect(fd, address->sockaddr, address->length)); }

int recv(int fd, u8 *bytes, int offset, int length, int flags) {
  return result(c_recvfrom(fd, bytes + offset, length, flags, 0, 0));
}

int send(int fd, const u8 *bytes, int offset, int length, int flags) {
  return result(c_sendto(fd, bytes + offset, length, flags, 0, 0));
}

int recvfrom(int fd, u8 *bytes, int offset, int length, int flags, struct address *from) {
  from->length = sizeof from->sockaddr;
  return result(c_recvfrom(fd, bytes + offset, length, flags, from->sockaddr, &from->length));
}

int sendto(int fd, const u8 *bytes, int offset, int length, int flags, struct address *to) {
  return result(c_sendto(fd, bytes + offset, length, flags, to->sockaddr, to->length));
}

struct iovec {
  u8 *base;
  size length;
};

struct msghdr { /* musl's 32-bit iovlen and controllen, each with its padding, read the same */
  void *name;
  u32 namelen;
  struct iovec *iov;
  size iovlen;
  void *control;
  size controllen;
  int flags;
};

/* `control` is the ancillary data, see cmsg(3); `to` may have length 0: no address. */
int sendmsg(int fd, u8 *bytes, int length, struct address *to, u8 *control, int controllen, int flags) {
  struct iovec part = {bytes, length};
  struct msghdr message = {to->length ? to->sockaddr : 0, to->length, &part, 1, controllen ? control : 0, controllen, 0};
  return result(c_sendmsg(fd, &message, flags));
}

/* out[0]: bytes of ancillary data; out[1]: the flags that came back (MSG_TRUNC, MSG_CTRUNC, ...). */
int recvmsg(int fd, u8 *bytes, int length, struct address *from, u8 *control, int controllen, int *out, int flags) {
  struct iovec part = {bytes, length};
  struct msghdr message = {from->sockaddr, sizeof from->sockaddr, &part, 1, controllen ? control : 0, controllen, 0};
  int n = result(c_recvmsg(fd, &message, flags));
  from->length = message.namelen;
  out[0] = (int)message.controllen;
  out[1] = message.flags;
  return n;
}

int shutdown(int fd, int how) { return result(c_shutdown(fd, how)); }

/* Returns how many bytes of `value` the kernel wrote. */
int getsockopt(int fd, int level, int name, u8 *value, int length) {
  u32 written = length;
  int n = result(c_getsockopt(fd, level, name, value, &written));
  return n < 0 ? n : (int)written;
}

int setsockopt(int fd, int level, int name, const u8 *value, int length) {
  return result(c_setsockopt(fd, level, name, value, length));
}

int getsockname(int fd, struct address *address) {
  address->length = sizeof address->sockaddr;
  return result(c_getsockname(fd, address->sockaddr, &address->length));
}

int getpeername(int fd, struct address *address) {
  address->length = sizeof address->sockaddr;
  return result(c_getpeername(fd, address->sockaddr, &address->length));
}

/* ---- names: inet_pton(3), inet_ntop(3), getaddrinfo(3) ---- */

int inet_pton(int family, const char *text, u8 *out, int offset) { return c_inet_pton(family, text, out + offset); }

int inet_ntop(int family, const u8 *from, int offset, char *text, int length) {
  return c_inet_ntop(family, from + offset, text, length) ? 0 : result(-1);
}

struct addrinfo {
  int flags, family, socktype, protocol;
  u32 addrlen;
  u8 *addr;
  char *canonname;
  struct addrinfo *next;
};

/* Write up to `max` addresses of a host for stream sockets; returns how many, or a (negative) EAI_ code. */
int getaddrinfo(const char *host, struct address *out, int max) {
  struct addrinfo hints = {0, 0, 1 /* SOCK_STREAM */}, *list = 0, *each;
  int n = 0, i, error = c_getaddrinfo(host, 0, &hints, (void **)&list);
  if (error) return error < 0 ? error : -error;
  for (each = list; each && n < max; each = each->next) {
    if (each->addrlen > sizeof out->sockaddr) continue;
    out[n].length = each->addrlen;
    for (i = 0; i < (int)each->addrlen; i++) out[n].sockaddr[i] = each->addr[i];
    n++;
  }
  c_freeaddrinfo(list);
  return n;
}

/* ---- any descriptor ---- */

int read(int fd, u8 *bytes, int offset, int length) { return result(c_read(fd, bytes + offset, length)); }

int write(int fd, const u8 *bytes, int offset, int length) { return result(c_write(fd, bytes + offset, length)); }

int close(int fd) { return disown(fd), result(c_close(fd)); }

int fcntl(int fd, int command, int argument) { return result(c_fcntl(fd, command, argument)); }

/* For requests that answer with one int: FIONREAD, SIOCOUTQ. */
int ioctl(int fd, int request) {
  int value = 0;
  int n = c_ioctl(fd, request, &value);
  return n < 0 ? result(n) : value;
}

int eventfd(int initial, int flags) { return opened(c_eventfd(initial, flags)); }

int pipe2(int *fds, int flags) { return opened_pair(c_pipe2(fds, flags), fds); }

/* A struct itimerspec is four 64-bit numbers: the interval's seconds and nanoseconds, then the value's. */
int timerfd_create(int clock, int flags) { return opened(c_timerfd_create(clock, flags)); }

int timerfd_settime(int fd, int flags, const u8 *new, u8 *old) { return result(c_timerfd_settime(fd, flags, new, old)); }

int timerfd_gettime(int fd, u8 *now) { return result(c_timerfd_gettime(fd, now)); }

int inotify_init1(int flags) { return opened(c_inotify_init1(flags)); }

int inotify_add_watch(int fd, const char *path, int mask) { return result(c_inotify_add_watch(fd, path, mask)); }

int inotify_rm_watch(int fd, int wd) { return result(c_inotify_rm_watch(fd, wd)); }

int memfd_create(const char *name, int flags) { return opened(c_memfd_create(name, flags)); }

/* By number, the same on both architectures: musl has no function for them. */
int pidfd_open(int pid, int flags) { return opened(c_syscall(434L, (long)pid, (long)flags)); }

int pidfd_send_signal(int fd, int signal) { return result(c_syscall(424L, (long)fd, (long)signal, 0L, 0L)); }

/* `info` has 128 bytes, a siginfo_t; id is a pidfd: P_PIDFD. */
int waitid(int fd, u8 *info, int options) { return result(c_waitid(3, fd, info, options)); }

/* ---- signals: a handler that writes an eventfd, so that whichever thread takes the signal, epoll_wait wakes ---- */

struct sigaction { /* as libc has it, the same in glibc and musl */
  void (*handler)(int, void *, void *);
  size mask[16];
  int flags;
  void (*restorer)(void);
};

enum { SIGNALS = 32, SA_SIGINFO = 4, SA_ONSTACK = 0x08000000, SA_RESTART = 0x10000000 };

static struct sigaction previous[SIGNALS];
static u8 previous_is_set[SIGNALS];
static int caught[SIGNALS]; /* how often since it was last asked */
static int wake_fd[SIGNALS];

static void on_signal(int signal, void *info, void *context) {
  size one = 1;
  int saved = *c_errno();
  void (*next)(int, void *, void *) = previous[signal].handler;
  caught[signal]++;
  c_write(wake_fd[signal], &one, sizeof one);
  if ((size)next > 1) next(signal, info, context); /* not SIG_DFL, not SIG_IGN: whoever listened before us still hears it */
  *c_errno() = saved;
}

/* Count `signal` and write to the eventfd `fd` from now on, until signal_release(). */
int signal_catch(int signal, int fd) {
  struct sigaction action = {on_signal};
  if (signal < 1 || signal >= SIGNALS) return -22; /* EINVAL */
  if (previous_is_set[signal]) return -16;         /* EBUSY: it would come to call itself */
  action.flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  caught[signal] = 0;
  wake_fd[signal] = fd;
  if (c_sigaction(signal, &action, &previous[signal]) < 0) return result(-1);
  return previous_is_set[signal] = 1, 0;
}

/* Put back what signal_catch() found, unless somebody has listened since: then it is theirs. */
int signal_release(int signal) {
  struct sigaction now;
  if (signal < 1 || signal >= SIGNALS || !previous_is_set[signal]) return -22;
  previous_is_set[signal] = 0;
  if (c_sigaction(signal, 0, &now) < 0) return result(-1);
  return now.handler == on_signal ? result(c_sigaction(signal, &previous[signal], 0)) : 0;
}

/* How often `signal` came since the last call. */
int signal_take(int signal) {
  int n;
  if (signal < 1 || signal >= SIGNALS) return -22;
  n = caught[signal];
  caught[signal] -= n;
  return n;
}

/* ---- a thread that waits in the stead of Bun's event loop, which can watch a socket but no epoll ---- */

static size waiter;
static volatile int waiter_is_joined;
static int is_worker;

/* Both descriptors are its own. */
static void *wait_and_tell(void *both) {
  int epfd = (int)(size)both, out = (int)((size)both >> 32), n;
  u32 event[4];
  for (;;) {
    n = epoll_wait(epfd, event, 1, -1);
    if (n == -4 /* EINTR */) continue;
    if (n != 1 || event[2] == 0) break;
    if (c_sendto(out, &event[2], sizeof event[2], 0x4000 /* MSG_NOSIGNAL */, 0, 0) < 0) break;
  }
  c_close(epfd);
  c_close(out);
  if (!waiter_is_joined) { /* its Worker was terminated: nobody else is left */
    for (n = 0; is_worker && n < TRACKED; n++)
      if (is_ours[n]) c_close(n);
    c_pthread_detach(c_pthread_self());
  }
  return 0;
}

/* Start it: it sends the token of each event of `epfd` to `out`, 4 bytes each, until one has token 0. It takes both over; and, in a
   Worker that is terminated, whatever was opened there. */
int bridge(int epfd, int out, int worker) {
  size all[16], before[16];
  int i, error;
  for (i = 0; i < 16; i++) all[i] = ~(size)0;
  disown(epfd);
  disown(out);
  is_worker = worker;
  waiter_is_joined = 0;
  c_pthread_sigmask(0 /* SIG_BLOCK */, all, before); /* signals are for the others */
  error = c_pthread_create(&waiter, 0, wait_and_tell, (void *)((size)epfd | (size)out << 32));
  c_pthread_sigmask(2 /* SIG_SETMASK */, before, 0);
  return -error;
}

/* End it, by shutting the socket that it tells: when this returns, it is gone, and its descriptors are closed. */
int bridge_end(int in) {
  waiter_is_joined = 1;
  c_shutdown(in, 2 /* SHUT_RDWR */);
  return -c_pthread_join(waiter, 0);
}

/* ---- what there is ---- */

#define OURS(X) X(disown) X(equal) X(epoll_create1) X(epoll_ctl) X(epoll_wait) X(socket) X(socketpair) X(bind) \
  X(listen) X(accept4) X(connect) X(recv) X(send) X(recvfrom) X(sendto) X(sendmsg) X(recvmsg) X(shutdown) \
  X(getsockopt) X(setsockopt) X(getsockname) X(getpeername) X(inet_pton) X(inet_ntop) X(getaddrinfo) X(read) \
  X(write) X(close) X(fcntl) X(ioctl) X(eventfd) X(pipe2) X(timerfd_create) X(timerfd_settime) X(timerfd_gettime) \
  X(inotify_init1) X(inotify_add_watch) X(inotify_rm_watch) X(memfd_create) X(pidfd_open) X(pidfd_send_signal) \
  X(waitid) X(signal_catch) X(signal_release) X(signal_take) X(bridge) X(bridge_end)

#define FIND(function) \
  if (c_strcmp(name, #function) == 0) return (size)function;

/* The address of a function by its name, or 0. The only one that cc is asked for: each one costs it half a millisecond. */
size address_of(const char *name) {
  if (!c_errno && init() < 0) return 0;
  OURS(FIND)
  return 0;
}
