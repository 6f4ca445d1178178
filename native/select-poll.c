/*
 * select(2), poll(2) and epoll_wait(2) for `epoll-hello why`: each function calls one of them repeatedly on the same
 * ready set, and finds the readable fd after each call. In C, because one call takes about 100 ns.
 *
 * Every function returns the readable fd, or -errno.
 */
typedef unsigned long word;

extern void *dlsym(void *handle, const char *name);

static int *(*c_errno)(void);
static int (*c_select)(int, void *, void *, void *, void *);
static int (*c_poll)(void *, word, int);
static int (*c_epoll_wait)(int, void *, int, int);

enum { EINVAL = 22, FD_SETSIZE = 1024, WORDS = FD_SETSIZE / 64 };

int select_times(const word *interest, int nfds, int times) {
  word set[WORDS];
  int i, bit = 0, words = (nfds + 63) / 64;
  if (nfds < 1 || nfds > FD_SETSIZE || times < 1) return -EINVAL;
  while (times-- > 0) {
    for (i = 0; i < words; i++) set[i] = interest[i]; /* select overwrites the set */
    if (c_select(nfds, set, 0, 0, 0) < 0) return -*c_errno();
    for (i = 0; !set[i]; i++);
    for (bit = 0; !(set[i] >> bit & 1); bit++);
  }
  return 64 * i + bit;
}

struct pollfd {
  int fd;
  short events, revents;
};

int poll_times(struct pollfd *fds, int n, int times) {
  struct pollfd *ready = fds;
  if (times < 1) return -EINVAL;
  for (; times > 0; times--) {
    if (c_poll(fds, n, -1) < 0) return -*c_errno();
    for (ready = fds; !ready->revents; ready++);
  }
  return ready->fd;
}

/* Packed on x86-64 only. `data` holds the fd. */
struct epoll_event {
  unsigned events;
#ifndef __x86_64__
  unsigned padding;
#endif
  int fd;
  unsigned token;
};

int epoll_wait_times(int epfd, int times) {
  struct epoll_event event;
  if (times < 1) return -EINVAL;
  while (times-- > 0)
    if (c_epoll_wait(epfd, &event, 1, -1) < 0) return -*c_errno();
  return event.fd;
}

static int equals(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

/* Returns the address of a function by its name, or 0. */
word address_of(const char *name) {
  if (!(c_errno = dlsym(0, "__errno_location")) || !(c_select = dlsym(0, "select")) || !(c_poll = dlsym(0, "poll")) ||
      !(c_epoll_wait = dlsym(0, "epoll_wait")))
    return 0;
  if (equals(name, "select_times")) return (word)select_times;
  if (equals(name, "poll_times")) return (word)poll_times;
  if (equals(name, "epoll_wait_times")) return (word)epoll_wait_times;
  return 0;
}
