/*
 * Linux system calls for bun:ffi, and the only code that depends on the memory layout of structs.
 *
 * Every function returns >= 0, or -errno, which is read immediately after the call. No header and no libc file is
 * needed: Bun's cc provides dlsym(), and init() looks up the rest. The target is little-endian LP64: x86-64 and arm64,
 * with glibc or musl, in which the structs below have the same layout.
 *
 * signals.c and bridge-thread.c are compiled together with this file, after it.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long size;

extern void *dlsym(void *handle, const char *name);

/* libc functions, looked up by init(): return type, name, parameters. */
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
  X(void *, malloc, (size))                                     \
  X(void *, realloc, (void *, size))                            \
  X(void, free, (void *))                                       \
  X(int, nanosleep, (const void *, void *))                     \
  X(int, clock_gettime, (int, void *))                          \
  X(int, getrusage, (int, void *))                              \
  X(int, strcmp, (const char *, const char *))                  \
  X(int, poll, (void *, size, int))                             \
  X(int, fcntl, (int, int, ...))                                \
  X(int, open, (const char *, int, ...))                        \
  X(int, ioctl, (int, size, ...))                               \
  X(int, flock, (int, int))                                     \
  X(int, prctl, (int, ...))                                     \
  X(u32, alarm, (u32))                                          \
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
  X(int, __libc_current_sigrtmin, (void))                       \
  X(int, __libc_current_sigrtmax, (void))                       \
  X(int, inet_pton, (int, const char *, void *))                \
  X(const char *, inet_ntop, (int, const void *, char *, u32))  \
  X(u32, if_nametoindex, (const char *))                        \
  X(char *, if_indextoname, (u32, char *))                      \
  X(int, getaddrinfo, (const char *, const char *, const void *, void **)) \
  X(void, freeaddrinfo, (void *))                               \
  X(int, pthread_sigmask, (int, const void *, void *))          \
  X(int, pthread_create, (size *, const void *, void *(*)(void *), void *)) \
  X(int, pthread_join, (size, void **))                         \
  X(int, pthread_mutex_init, (void *, const void *))            \
  X(int, pthread_mutex_lock, (void *))                          \
  X(int, pthread_mutex_unlock, (void *))                        \
  X(int, pthread_cond_init, (void *, const void *))             \
  X(int, pthread_cond_wait, (void *, void *))                   \
  X(int, pthread_cond_signal, (void *))                         \
  X(int, pthread_key_create, (u32 *, void (*)(void *)))         \
  X(int, pthread_key_delete, (u32))                             \
  X(int, pthread_setspecific, (u32, const void *))

#define DECLARE(type, name, parameters) static type(*c_##name) parameters;
#define LOOK_UP(type, name, parameters) \
  if (!(c_##name = dlsym(0, #name))) return -1;

static int *(*c_errno)(void);
LIBC(DECLARE)

static int init(void) {
  if (!(c_errno = dlsym(0, "__errno_location"))) return -1;
  LIBC(LOOK_UP)
  return 0;
}

/* Calls for which not every libc has a wrapper. The last four have the same numbers on both architectures. */
#ifdef __x86_64__
enum { SYS_RECVMMSG = 299, SYS_SENDMMSG = 307, SYS_PREADV2 = 327, SYS_PWRITEV2 = 328, SYS_STATX = 332 };
#else
enum { SYS_RECVMMSG = 243, SYS_SENDMMSG = 269, SYS_PREADV2 = 286, SYS_PWRITEV2 = 287, SYS_STATX = 291 };
#endif
enum { SYS_PIDFD_SEND_SIGNAL = 424, SYS_PIDFD_OPEN = 434, SYS_OPENAT2 = 437, SYS_EPOLL_PWAIT2 = 441 };

enum { ERRNO_EINTR = 4, ERRNO_EBADF = 9, ERRNO_EAGAIN = 11, ERRNO_ENOMEM = 12, ERRNO_EINVAL = 22, ERRNO_EPIPE = 32 };
enum { ERRNO_ENOSYS = 38, ERRNO_EOPNOTSUPP = 95 };

static int result(long n) { return n < 0 ? -*c_errno() : (int)n; }

/* ---- fds opened by this thread and not closed yet ----

   A Worker that is terminated runs no more JavaScript, so it cannot close them. A destructor does, when its thread exits. */

enum { MAX_TRACKED_FDS = 1 << 20 }; /* the kernel's default for fs.nr_open, which ulimit -n cannot exceed */
static u8 is_tracked[MAX_TRACKED_FDS / 8];

static int track_fd(long n) {
  if (n >= 0 && n < MAX_TRACKED_FDS) is_tracked[n / 8] |= 1 << n % 8;
  return result(n);
}

static int track_pair(int n, const int *fds) {
  if (n == 0) track_fd(fds[0]), track_fd(fds[1]);
  return result(n);
}

/* Tracks an fd that was opened elsewhere: this thread owns it from now on. */
int own(int fd) { return track_fd(fd), 0; }

/* Stops tracking an fd: another owner closes it from now on. */
int disown(int fd) {
  if (fd >= 0 && fd < MAX_TRACKED_FDS) is_tracked[fd / 8] &= ~(1 << fd % 8);
  return 0;
}

static u32 exit_key;
static void free_bridges(void);

/* The destructor. The code that cc has compiled stays mapped as long as the process runs. */
static void on_thread_exit(void *argument) {
  int i, fd;
  free_bridges(); /* first: they wait on epoll instances that are closed below */
  for (i = 0; i < MAX_TRACKED_FDS / 8; i++)
    for (fd = 8 * i; is_tracked[i]; fd++)
      if (is_tracked[i] >> fd % 8 & 1) disown(fd), c_close(fd);
  c_pthread_key_delete(exit_key); /* a process has 1024 keys */
}

/* Closes what this thread has opened and not closed when it exits, however that happens. For Workers. */
int close_fds_at_thread_exit(void) {
  int error = c_pthread_key_create(&exit_key, on_thread_exit);
  return -(error ? error : c_pthread_setspecific(exit_key, &exit_key));
}

/* Returns 1 if `length` bytes at `offset` equal those of `other`, else 0. Eight times as fast as in JavaScript. */
int equal(const u8 *bytes, int offset, const u8 *other, int length) {
  return c_memcmp(bytes + offset, other, length) == 0;
}

/* ---- epoll(7) ---- */

/* 12 bytes on x86-64, where the kernel packs it; 16 bytes elsewhere. */
struct epoll_event {
  u32 events;
#ifndef __x86_64__
  u32 padding;
#endif
  int fd;    /* lower half of data: the registered fd */
  u32 token; /* upper half of data: a number chosen by the caller */
};

int epoll_create1(int flags) { return track_fd(c_epoll_create1(flags)); }

int epoll_ctl(int epfd, int op, int fd, u32 events, u32 token) {
  struct epoll_event event;
  event.events = events;
  event.fd = fd;
  event.token = token;
  return result(c_epoll_ctl(epfd, op, fd, &event));
}

/* Converts `n` events in `out` to triples of 32-bit numbers: events, fd, token. Returns `n`. */
static int unpack_events(u32 *out, int n) {
#ifndef __x86_64__
  struct epoll_event *event = (struct epoll_event *)out;
  int i;
  for (i = 0; i < n; i++) { /* in place: a triple is never written beyond the struct that it is read from */
    u32 events = event[i].events, fd = (u32)event[i].fd, token = event[i].token;
    out[3 * i] = events;
    out[3 * i + 1] = fd;
    out[3 * i + 2] = token;
  }
#endif
  return n;
}

/* Fills `out` (16 bytes for each of `max` events) with triples of 32-bit numbers: events, fd, token. */
int epoll_wait(int epfd, u32 *out, int max, int timeout) {
  return unpack_events(out, result(c_epoll_wait(epfd, out, max, timeout)));
}

/* Like epoll_wait(), with a timeout in nanoseconds. */
int epoll_pwait2(int epfd, u32 *out, int max, int seconds, int nanoseconds) {
  long timeout[2];
  timeout[0] = seconds;
  timeout[1] = nanoseconds;
  return unpack_events(out, result(c_syscall((long)SYS_EPOLL_PWAIT2, (long)epfd, out, (long)max, timeout, 0L, 0L)));
}

/* Returns `n`. Called with the `n` events that the bridge thread has received from epoll_wait, so that they can be traced. */
int handed_over(int epfd, const u32 *out, int n, int max) { return n; }

/* ---- sockets ---- */

/* An address as JavaScript passes it: the length, then the sockaddr. */
struct address {
  u32 length;
  u8 sockaddr[128];
};

int socket(int family, int type, int protocol) { return track_fd(c_socket(family, type, protocol)); }

int socketpair(int family, int type, int protocol, int *fds) {
  return track_pair(c_socketpair(family, type, protocol, fds), fds);
}

int bind(int fd, struct address *address) { return result(c_bind(fd, address->sockaddr, address->length)); }

int listen(int fd, int backlog) { return result(c_listen(fd, backlog)); }

int accept4(int fd, struct address *peer, int flags) {
  peer->length = sizeof peer->sockaddr;
  return track_fd(c_accept4(fd, peer->sockaddr, &peer->length, flags));
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

struct msghdr { /* the same layout in musl, where iovlen and controllen are 32 bits, followed by padding */
  void *name;
  u32 namelen;
  struct iovec *iov;
  size iovlen;
  void *control;
  size controllen;
  int flags;
};

/* Sets element `index` of an array of buffers. */
int set_iovec(struct iovec *iovecs, int index, u8 *bytes, int offset, int length) {
  iovecs[index].base = bytes + offset;
  iovecs[index].length = length;
  return 0;
}

/* `control` holds control messages, cmsg(3). If the length of `to` is 0, no address is passed. */
int sendmsg(int fd, struct iovec *iovecs, int count, struct address *to, u8 *control, int controllen, int flags) {
  struct msghdr message = {to->length ? to->sockaddr : 0, to->length, iovecs, count, controllen ? control : 0, controllen, 0};
  return result(c_sendmsg(fd, &message, flags));
}

/*
 * `state` is { size of control, flags }. Sets it to { bytes of control messages, returned flags: MSG_TRUNC, MSG_CTRUNC, ... }.
 */
int recvmsg(int fd, struct iovec *iovecs, int count, struct address *from, u8 *control, int *state) {
  struct msghdr message = {from->sockaddr, sizeof from->sockaddr, iovecs, count, state[0] ? control : 0, state[0], 0};
  int n = result(c_recvmsg(fd, &message, state[1]));
  from->length = message.namelen;
  state[0] = (int)message.controllen;
  state[1] = message.flags;
  return n;
}

struct mmsghdr {
  struct msghdr header;
  u32 length;
};

/* What JavaScript passes to sendmmsg() and recvmmsg(), and what they return. */
struct batch {
  int flags, control_size /* of each message */, start, reserved;
  struct {
    int length, flags, controllen, sends_control;
  } messages[];
};

/* musl's sendmmsg() makes a call for each message, so both are called by their numbers. */

/* Sends messages start ... start + count - 1. Returns how many were sent. `headers` is memory for `count` structs. */
int sendmmsg(int fd, struct mmsghdr *headers, struct iovec *iovecs, struct address *addresses, u8 *control,
             struct batch *batch, int count) {
  int i;
  for (i = 0; i < count; i++) {
    int at = batch->start + i;
    struct msghdr *header = &headers[i].header;
    header->name = addresses[at].length ? addresses[at].sockaddr : 0;
    header->namelen = addresses[at].length;
    header->iov = &iovecs[at];
    header->iovlen = 1;
    /* A received message can be sent as it is, without its ancillary data. */
    header->controllen = batch->messages[at].sends_control ? batch->messages[at].controllen : 0;
    header->control = header->controllen ? control + (size)at * batch->control_size : 0;
    header->flags = 0;
    headers[i].length = 0;
  }
  return result(c_syscall((long)SYS_SENDMMSG, (long)fd, headers, (long)count, (long)batch->flags));
}

/* Receives up to `count` messages. Returns how many were received, and describes them in `batch` and `addresses`. */
int recvmmsg(int fd, struct mmsghdr *headers, struct iovec *iovecs, struct address *addresses, u8 *control,
             struct batch *batch, int count) {
  int i, n;
  for (i = 0; i < count; i++) {
    struct msghdr *header = &headers[i].header;
    header->name = addresses[i].sockaddr;
    header->namelen = sizeof addresses[i].sockaddr;
    header->iov = &iovecs[i];
    header->iovlen = 1;
    header->control = batch->control_size ? control + (size)i * batch->control_size : 0;
    header->controllen = batch->control_size;
    header->flags = 0;
    headers[i].length = 0;
  }
  n = result(c_syscall((long)SYS_RECVMMSG, (long)fd, headers, (long)count, (long)batch->flags, 0L));
  for (i = 0; i < n; i++) {
    addresses[i].length = headers[i].header.namelen;
    batch->messages[i].length = (int)headers[i].length;
    batch->messages[i].flags = headers[i].header.flags;
    batch->messages[i].controllen = (int)headers[i].header.controllen;
    batch->messages[i].sends_control = 0;
  }
  return n;
}

int shutdown(int fd, int how) { return result(c_shutdown(fd, how)); }

/* Returns the number of bytes that the kernel wrote to `value`. */
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

/* Returns the index of a network interface. */
int if_nametoindex(const char *name) {
  u32 index = c_if_nametoindex(name);
  return index ? (int)index : result(-1);
}

/* Writes the name of a network interface, with a terminating NUL, to `name`, 16 bytes. */
int if_indextoname(int index, char *name) { return c_if_indextoname(index, name) ? 0 : result(-1); }

struct addrinfo {
  int flags, family, socktype, protocol;
  u32 addrlen;
  u8 *addr;
  char *canonname;
  struct addrinfo *next;
};

/* Writes up to `max` addresses of a host, for stream sockets. Returns how many, or a negative EAI_ code. */
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

/* ---- any fd ---- */

int read(int fd, u8 *bytes, int offset, int length) { return result(c_read(fd, bytes + offset, length)); }

int write(int fd, const u8 *bytes, int offset, int length) { return result(c_write(fd, bytes + offset, length)); }

/* ---- an fd that shares its open file description with other processes, and therefore stays blocking ---- */

enum { POLL_IN = 1, POLL_OUT = 4, RWF_NOWAIT = 8, PIPE_BYTES = 4096 };

struct pollfd {
  int fd;
  short events, revents;
};

/* `fds` is an array of `count` structs. Returns how many are ready. */
int poll(struct pollfd *fds, int count, int timeout) { return result(c_poll(fds, count, timeout)); }

static int would_wait(int fd, short events) {
  struct pollfd poll = {fd, events, 0};
  return c_poll(&poll, 1, 0) == 0;
}

/* Terminals and FIFOs do not support RWF_NOWAIT. Then poll(2) says whether a call would wait, unless another process reads or writes in between. */
static int lacks_nowait(long n) { return n < 0 && (*c_errno() == ERRNO_EOPNOTSUPP || *c_errno() == ERRNO_ENOSYS); }

int read_nowait(int fd, u8 *bytes, int offset, int length) {
  struct iovec part = {bytes + offset, length};
  long n;
  if (would_wait(fd, POLL_IN)) return -ERRNO_EAGAIN;
  n = c_syscall((long)SYS_PREADV2, (long)fd, &part, 1L, -1L, -1L, (long)RWF_NOWAIT);
  return lacks_nowait(n) ? read(fd, bytes, offset, length) : result(n);
}

/* A pipe that is ready has space for one page. A longer write could wait for more. */
int write_nowait(int fd, const u8 *bytes, int offset, int length) {
  struct iovec part = {(u8 *)bytes + offset, length};
  long n;
  if (would_wait(fd, POLL_OUT)) return -ERRNO_EAGAIN;
  n = c_syscall((long)SYS_PWRITEV2, (long)fd, &part, 1L, -1L, -1L, (long)RWF_NOWAIT);
  if (!lacks_nowait(n)) return result(n);
  return write(fd, bytes, offset, length < PIPE_BYTES ? length : PIPE_BYTES);
}

int close(int fd) { return disown(fd), result(c_close(fd)); }

int fcntl(int fd, int command, int argument) { return result(c_fcntl(fd, command, argument)); }

/* For requests that return one int: FIONREAD, SIOCOUTQ. */
int ioctl(int fd, int request) {
  int value = 0;
  int n = c_ioctl(fd, request, &value);
  return n < 0 ? result(n) : value;
}

int flock(int fd, int operation) { return result(c_flock(fd, operation)); }

int eventfd(int initial, int flags) { return track_fd(c_eventfd(initial, flags)); }

int pipe2(int *fds, int flags) { return track_pair(c_pipe2(fds, flags), fds); }

/* struct itimerspec is four 64-bit numbers: the seconds and nanoseconds of the interval, then those of the value. */
int timerfd_create(int clock, int flags) { return track_fd(c_timerfd_create(clock, flags)); }

int timerfd_settime(int fd, int flags, const u8 *new, u8 *old) { return result(c_timerfd_settime(fd, flags, new, old)); }

int timerfd_gettime(int fd, u8 *now) { return result(c_timerfd_gettime(fd, now)); }

int inotify_init1(int flags) { return track_fd(c_inotify_init1(flags)); }

int inotify_add_watch(int fd, const char *path, int mask) { return result(c_inotify_add_watch(fd, path, mask)); }

int inotify_rm_watch(int fd, int wd) { return result(c_inotify_rm_watch(fd, wd)); }

int memfd_create(const char *name, int flags) { return track_fd(c_memfd_create(name, flags)); }

int pidfd_open(int pid, int flags) { return track_fd(c_syscall((long)SYS_PIDFD_OPEN, (long)pid, (long)flags)); }

int pidfd_send_signal(int fd, int signal) { return result(c_syscall((long)SYS_PIDFD_SEND_SIGNAL, (long)fd, (long)signal, 0L, 0L)); }

/* Waits for the process of a pidfd. `info` is a siginfo_t, 128 bytes. */
int waitid(int pidfd, u8 *info, int options) { return result(c_waitid(3 /* P_PIDFD */, pidfd, info, options)); }

/* ---- files ---- */

enum { CURRENT_DIRECTORY = -100 /* AT_FDCWD */ };

int open(const char *path, int flags) { return track_fd(c_open(path, flags, 0)); }

int openat2(const char *path, int flags, int resolve) {
  size how[3] = {(u32)flags, 0, (u32)resolve}; /* struct open_how */
  return track_fd(c_syscall((long)SYS_OPENAT2, (long)CURRENT_DIRECTORY, path, how, sizeof how));
}

/* `out` is 256 bytes, a struct statx. Does not wait for a file server. */
int statx(int fd, u8 *out) {
  long flags = 0x1000 /* AT_EMPTY_PATH */ | 0x4000 /* AT_STATX_DONT_SYNC */;
  return result(c_syscall((long)SYS_STATX, (long)fd, "", flags, 0x7ffL /* STATX_BASIC_STATS */, out));
}

/* Reads at a position, given as two halves. */
int preadv2(int fd, u8 *bytes, int length, int low, int high, int flags) {
  struct iovec part = {bytes, length};
  long position = (long)((size)(u32)high << 32 | (u32)low);
  return result(c_syscall((long)SYS_PREADV2, (long)fd, &part, 1L, position, 0L, (long)flags));
}

/* ---- the time of this thread ---- */

enum { THREAD_CPU_CLOCK = 3 /* CLOCK_THREAD_CPUTIME_ID */, THREAD_USAGE = 1 /* RUSAGE_THREAD */, SCHEDSTAT_BYTES = 64 };

struct thread_times {
  int cpu_s, cpu_ns;       /* on a CPU */
  int queued_s, queued_ns; /* ready to run, but waiting for a CPU; -1 if not asked for, or if the kernel does not say */
  int sleeps;              /* how often the thread has blocked */
  int preemptions;         /* how often the kernel has taken the CPU from it */
};

/* Parses the second number of /proc/thread-self/schedstat: nanoseconds in the run queue. */
static long parse_queued(const char *text, long length) {
  long n = 0, i = 0;
  while (i < length && text[i] != ' ') i++;
  if (i == length) return -1;
  for (i++; i < length && text[i] >= '0' && text[i] <= '9'; i++) n = 10 * n + (text[i] - '0');
  return n;
}

/* `with_queue`: also reads a file of /proc, which takes ten times as long. */
int thread_times(struct thread_times *out, int with_queue) {
  long time[2], usage[34], queued = -1; /* struct timespec; struct rusage, which is longer in musl */
  char text[SCHEDSTAT_BYTES];
  int fd;
  if (c_clock_gettime(THREAD_CPU_CLOCK, time) < 0 || c_getrusage(THREAD_USAGE, usage) < 0) return result(-1);
  fd = with_queue ? c_open("/proc/thread-self/schedstat", 02000000 /* O_CLOEXEC */, 0) : -1;
  if (fd >= 0) {
    queued = parse_queued(text, c_read(fd, text, sizeof text));
    c_close(fd);
  }
  out->cpu_s = (int)time[0];
  out->cpu_ns = (int)time[1];
  out->queued_s = queued < 0 ? -1 : (int)(queued / 1000000000);
  out->queued_ns = queued < 0 ? -1 : (int)(queued % 1000000000);
  out->sleeps = (int)usage[16];
  out->preemptions = (int)usage[17];
  return 0;
}

/* ---- lookup by name ---- */

int signal_catch(int signal, int pipe, int lost, int chains);
int signal_release(int signal);
int signal_rtmin(void);
int signal_rtmax(void);
int end_with_parent(int seconds);
int bridge_start(int epfd, int socket, int max);
int bridge_take(int number, u32 *out, int max);
int bridge_resume(int number);
int bridge_stop(int number);
int bridge_free(int number);

#define EXPORTED(X) X(own) X(disown) X(equal) X(epoll_create1) X(epoll_ctl) X(epoll_wait) X(epoll_pwait2) X(socket) \
  X(socketpair) X(bind) X(listen) X(accept4) X(connect) X(recv) X(send) X(recvfrom) X(sendto) X(set_iovec) X(sendmsg) \
  X(recvmsg) X(sendmmsg) X(recvmmsg) X(shutdown) X(getsockopt) X(setsockopt) X(getsockname) X(getpeername) X(inet_pton) \
  X(inet_ntop) X(getaddrinfo) X(if_nametoindex) X(if_indextoname) X(read) X(write) X(read_nowait) X(write_nowait) \
  X(close) X(fcntl) X(ioctl) X(eventfd) X(pipe2) X(timerfd_create) X(timerfd_settime) X(timerfd_gettime) \
  X(inotify_init1) X(inotify_add_watch) X(inotify_rm_watch) X(memfd_create) X(pidfd_open) X(pidfd_send_signal) \
  X(poll) X(thread_times) \
  X(open) X(openat2) X(statx) X(preadv2) X(flock) X(waitid) X(signal_catch) X(signal_release) X(signal_rtmin) \
  X(signal_rtmax) X(end_with_parent) X(close_fds_at_thread_exit) X(handed_over) X(bridge_start) X(bridge_take) \
  X(bridge_resume) X(bridge_stop) X(bridge_free)

#define FIND(function) \
  if (c_strcmp(name, #function) == 0) return (size)function;

/* Returns the address of a function, or 0. The only symbol requested from cc, because each symbol costs 0.5 ms. */
size address_of(const char *name) {
  if (!c_errno && init() < 0) return 0;
  EXPORTED(FIND)
  return 0;
}
