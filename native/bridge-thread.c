/*
 * The bridge thread: blocks in epoll_wait on behalf of Bun's event loop, which can watch a socket but not an epoll fd.
 * src/event-loop/loop-bridge.ts describes the whole mechanism.
 *
 * Compiled together with shim.c, after it.
 */

/* Each JavaScript thread compiles its own copy of this file, and has at most one bridge thread. */
static size bridge_thread;
static int bridge_epfd, bridge_socket;
static int belongs_to_worker;
static volatile int is_being_joined;

/* Writes the token of each event, 4 bytes, to the socket until an event has token 0 or the socket is shut down. */
static void *forward_events(void *argument) {
  u32 event[4];
  for (;;) {
    int n = epoll_wait(bridge_epfd, event, 1, -1);
    if (n == -4 /* EINTR */) continue;
    if (n != 1 || event[2] == 0) break;
    if (c_sendto(bridge_socket, &event[2], sizeof event[2], 0x4000 /* MSG_NOSIGNAL */, 0, 0) < 0) break;
  }
  c_close(bridge_epfd);
  c_close(bridge_socket);
  if (!is_being_joined) { /* the other end was closed because the Worker or the process ended */
    if (belongs_to_worker) close_tracked_fds();
    c_pthread_detach(c_pthread_self());
  }
  return argument;
}

/*
 * Starts the thread, which waits on `epfd`, writes to `socket`, and closes both when it exits. If its Worker is
 * terminated, it also closes every fd that the Worker left open.
 */
int start_bridge_thread(int epfd, int socket, int is_worker) {
  size all[16], before[16];
  int i, error;
  for (i = 0; i < 16; i++) all[i] = ~(size)0;
  disown(epfd);
  disown(socket);
  bridge_epfd = epfd;
  bridge_socket = socket;
  belongs_to_worker = is_worker;
  is_being_joined = 0;
  c_pthread_sigmask(0 /* SIG_BLOCK */, all, before); /* the new thread inherits it: others handle signals */
  error = c_pthread_create(&bridge_thread, 0, forward_events, 0);
  c_pthread_sigmask(2 /* SIG_SETMASK */, before, 0);
  return -error;
}

/* Stops the thread by shutting down `peer`, the other end of its socket. It has exited and closed its fds on return. */
int stop_bridge_thread(int peer) {
  is_being_joined = 1;
  c_shutdown(peer, 2 /* SHUT_RDWR */);
  return -c_pthread_join(bridge_thread, 0);
}
