/*
 * Bridge threads: each blocks in epoll_wait on behalf of Bun's event loop, which can watch a socket but not an epoll fd.
 * src/event-loop/loop-bridge.ts describes the whole mechanism.
 *
 * Compiled together with shim.c, after it.
 */

/*
 * The thread's end of its socket pair is registered in the instance with this token and fd -1, which no other
 * registration has, and an empty mask: it reports EPOLLHUP when either end is shut down or closed, and nothing else.
 */
enum { BRIDGE_TOKEN = 0x62726467, BRIDGE_FD = -1 };

/* The number of attempts of a failing call, with pauses of 1, 2, 4, ... 100 ms: 0.4 seconds in total. */
enum { MAX_TRIES = 10 };

/*
 * WAITING: the thread is in epoll_wait, or about to be. The batch is its own.
 * HANDED_OVER: the batch holds events that JavaScript has not taken yet. The thread is parked.
 * PARKED: the batch has been taken.
 */
enum state { WAITING, HANDED_OVER, PARKED };

/* A thread and the events that it hands over. The mutex protects the fields after it. */
struct bridge {
  size thread;
  int epfd;
  int max;
  size mutex[8];   /* a pthread_mutex_t is up to 48 bytes long */
  size changed[8]; /* so is a pthread_cond_t */
  int state;
  volatile int must_exit;
  int is_joined;
  int socket; /* the thread's end; -1 once the thread has closed it */
  int error;  /* the errno that made the thread exit; 0 if it was told to */
  int count;  /* the number of events in the batch */
  u32 batch[4];
};

/* Each JavaScript thread compiles its own copy of this file, and so has its own bridges. */
static struct bridge **bridges;
static int bridge_slots;

/* Sleeps before the next attempt of a call that has failed `tries` times. */
static void pause_after(int tries) {
  long time[2];
  time[0] = 0;
  time[1] = (tries < 8 ? 1L << (tries - 1) : 100L) * 1000000L;
  c_nanosleep(time, 0);
}

/* Waits for events. Returns their number, or -errno if waiting is impossible or keeps failing. */
static int wait_for_events(struct bridge *bridge) {
  int tries, n = -ERRNO_EINTR;
  for (tries = 1; tries <= MAX_TRIES && !bridge->must_exit; tries++) {
    n = epoll_wait(bridge->epfd, bridge->batch, bridge->max, -1);
    if (n > 0) return n;
    if (n == -ERRNO_EBADF || n == -ERRNO_EINVAL) break; /* it is not an open epoll instance */
    pause_after(tries);
    if (n == -ERRNO_EINTR) tries = 0; /* not a failure: SIGSTOP and SIGCONT, a debugger; see signal(7) */
  }
  return n;
}

/* Removes the event of the thread's own socket from the batch. Returns whether there was one. */
static int remove_own_event(struct bridge *bridge) {
  u32 *event = bridge->batch, *end = event + 3 * bridge->count;
  for (; event < end; event += 3) {
    if (event[1] != (u32)BRIDGE_FD || event[2] != BRIDGE_TOKEN) continue;
    for (; event + 3 < end; event++) event[0] = event[3];
    bridge->count--;
    return 1;
  }
  return 0;
}

/* Wakes Bun's event loop. Returns 0, or the errno if that is impossible or keeps failing. */
static int wake_event_loop(struct bridge *bridge) {
  int tries, error = 0;
  for (tries = 1; tries <= MAX_TRIES && !bridge->must_exit; tries++) {
    if (c_sendto(bridge->socket, "", 1, 0x4040 /* MSG_NOSIGNAL | MSG_DONTWAIT */, 0, 0) == 1) return 0;
    error = *c_errno();
    if (error == ERRNO_EPIPE) break;
    pause_after(tries);
  }
  return error;
}

/* The thread: waits, hands the events over, wakes Bun's event loop, and is parked until it may wait again. */
static void *wait_and_hand_over(void *argument) {
  struct bridge *bridge = argument;
  int error = 0;
  for (;;) {
    int n = wait_for_events(bridge), is_lost = 0;
    c_pthread_mutex_lock(bridge->mutex);
    if (n < 0) error = -n;
    bridge->count = n < 0 ? 0 : n;
    if (bridge->count > 0) is_lost = remove_own_event(bridge);
    if (bridge->count > 0) bridge->state = HANDED_OVER;
    n = bridge->count;
    c_pthread_mutex_unlock(bridge->mutex);
    if (is_lost) error = ERRNO_EPIPE; /* Bun has closed its end, or the thread was told to exit */
    if (error == 0 && n > 0) error = wake_event_loop(bridge);
    c_pthread_mutex_lock(bridge->mutex);
    while (error == 0 && !bridge->must_exit && bridge->state != WAITING)
      c_pthread_cond_wait(bridge->changed, bridge->mutex);
    if (error != 0 || bridge->must_exit) break;
    c_pthread_mutex_unlock(bridge->mutex);
  }
  if (!bridge->must_exit) bridge->error = error;
  c_epoll_ctl(bridge->epfd, 2 /* EPOLL_CTL_DEL */, bridge->socket, 0);
  c_close(bridge->socket); /* Bun's end reports it */
  bridge->socket = -1;
  c_pthread_mutex_unlock(bridge->mutex);
  return 0;
}

/* Returns a free index of `bridges`, or -1 if there is no memory. */
static int free_slot(void) {
  struct bridge **all;
  int slot = 0;
  while (slot < bridge_slots && bridges[slot]) slot++;
  if (slot < bridge_slots) return slot;
  all = c_realloc(bridges, (slot + 16) * sizeof *all);
  if (!all) return -1;
  bridges = all;
  for (bridge_slots = slot + 16; slot < bridge_slots; slot++) all[slot] = 0;
  return bridge_slots - 16;
}

/*
 * Starts a thread that waits for up to `max` events of `epfd` and reports them by a byte to `socket`, which it owns from
 * then on. Returns the number of the bridge.
 */
int bridge_start(int epfd, int socket, int max) {
  struct epoll_event own;
  struct bridge *bridge;
  size all[16], before[16];
  int i, error, slot = free_slot();
  if (slot < 0 || !(bridge = c_malloc(sizeof *bridge + 16 * (size)max))) return -ERRNO_ENOMEM;
  bridge->epfd = epfd;
  bridge->max = max;
  bridge->state = WAITING;
  bridge->must_exit = bridge->is_joined = bridge->error = bridge->count = 0;
  bridge->socket = socket;
  c_pthread_mutex_init(bridge->mutex, 0);
  c_pthread_cond_init(bridge->changed, 0);
  own.events = 0;
  own.fd = BRIDGE_FD;
  own.token = BRIDGE_TOKEN;
  if (c_epoll_ctl(epfd, 1 /* EPOLL_CTL_ADD */, socket, &own) < 0) {
    error = *c_errno();
    c_free(bridge);
    return -error;
  }
  for (i = 0; i < 16; i++) all[i] = ~(size)0;
  c_pthread_sigmask(0 /* SIG_BLOCK */, all, before); /* the new thread inherits it: others handle signals */
  error = c_pthread_create(&bridge->thread, 0, wait_and_hand_over, bridge);
  c_pthread_sigmask(2 /* SIG_SETMASK */, before, 0);
  if (error != 0) {
    c_epoll_ctl(epfd, 2 /* EPOLL_CTL_DEL */, socket, 0);
    c_free(bridge);
    return -error;
  }
  disown(socket);
  bridges[slot] = bridge;
  return slot;
}

/* Copies the events that the thread has handed over to `out`, and returns their number; -EAGAIN if there are none. */
int bridge_take(int number, u32 *out, int max) {
  struct bridge *bridge = bridges[number];
  int i, n = -ERRNO_EAGAIN;
  c_pthread_mutex_lock(bridge->mutex);
  if (bridge->state == HANDED_OVER) {
    n = bridge->count < max ? bridge->count : max;
    for (i = 0; i < 3 * n; i++) out[i] = bridge->batch[i];
    bridge->state = PARKED;
  }
  c_pthread_mutex_unlock(bridge->mutex);
  return n;
}

/* Lets a parked thread wait again. */
int bridge_resume(int number) {
  struct bridge *bridge = bridges[number];
  c_pthread_mutex_lock(bridge->mutex);
  bridge->state = WAITING;
  c_pthread_mutex_unlock(bridge->mutex);
  return -c_pthread_cond_signal(bridge->changed);
}

/*
 * Makes the thread exit, and returns when it has. The events that it has handed over can still be taken. Returns the
 * errno that made it exit earlier, or 0.
 */
int bridge_stop(int number) {
  struct bridge *bridge = bridges[number];
  struct epoll_event own;
  if (bridge->is_joined) return bridge->error;
  c_pthread_mutex_lock(bridge->mutex);
  bridge->must_exit = 1;
  if (bridge->socket >= 0 && c_shutdown(bridge->socket, 2 /* SHUT_RDWR */) < 0) {
    own.events = 4; /* EPOLLOUT: always ready */
    own.fd = BRIDGE_FD;
    own.token = BRIDGE_TOKEN;
    c_epoll_ctl(bridge->epfd, 3 /* EPOLL_CTL_MOD */, bridge->socket, &own);
  }
  c_pthread_mutex_unlock(bridge->mutex);
  c_pthread_cond_signal(bridge->changed);
  c_pthread_join(bridge->thread, 0);
  bridge->is_joined = 1;
  return bridge->error;
}

/* Stops the thread, and frees the bridge and its number. */
int bridge_free(int number) {
  bridge_stop(number);
  c_free(bridges[number]);
  bridges[number] = 0;
  return 0;
}

static void free_bridges(void) {
  int number;
  for (number = 0; number < bridge_slots; number++)
    if (bridges[number]) bridge_free(number);
}
