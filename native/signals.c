/*
 * Signals as records in a pipe: the handler writes the siginfo_t of the signal. The thread that
 * watches the pipe returns from epoll_wait, whichever thread the kernel delivers the signal to.
 *
 * Several threads may run the handler at the same time, and TinyCC has no atomic operations. So the handler shares no
 * memory: a write of up to PIPE_BUF bytes to a pipe is atomic, and so is adding to an eventfd. If the pipe is full, the
 * delivery is only counted, in the eventfd of its signal. Both are non-blocking.
 *
 * Compiled together with shim.c, after it.
 */

struct sigaction { /* libc's, not the kernel's; the same in glibc and musl */
  void (*handler)(int, void *, void *);
  size mask[16];
  int flags;
  void (*restorer)(void);
};

enum { SIGNALS = 65, SA_SIGINFO = 4, SA_ONSTACK = 0x08000000, SA_RESTART = 0x10000000 };
enum { SIGINFO_BYTES = 48 }; /* the part of siginfo_t that sources other than faults use */

static struct sigaction previous[SIGNALS];
static u8 is_chained[SIGNALS]; /* whether on_signal() also calls the previous handler */
static u8 previous_is_set[SIGNALS];
static int pipe_fd[SIGNALS];
static int lost_fd[SIGNALS];
static const u8 nothing[SIGINFO_BYTES];

static void on_signal(int signal, void *info, void *context) {
  size one = 1;
  int saved = *c_errno();
  void (*next)(int, void *, void *) = previous[signal].handler;
  if (c_write(pipe_fd[signal], info, SIGINFO_BYTES) < 0) {
    c_write(lost_fd[signal], &one, sizeof one);
    c_write(pipe_fd[signal], nothing, SIGINFO_BYTES); /* the pipe may have been emptied: it must be readable */
  }
  if (is_chained[signal] && (size)next > 1 /* neither SIG_DFL nor SIG_IGN */) next(signal, info, context);
  *c_errno() = saved;
}

/*
 * Writes the first 48 bytes of siginfo_t to `pipe` on each delivery of `signal`, until signal_release(). If the pipe is
 * full, adds 1 to the eventfd `lost` instead. With `chains`, the previous handler is called as well.
 */
int signal_catch(int signal, int pipe, int lost, int chains) {
  struct sigaction action = {on_signal};
  if (signal < 1 || signal >= SIGNALS) return -22; /* EINVAL */
  if (previous_is_set[signal]) return -16;         /* EBUSY: on_signal would call itself */
  action.flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  pipe_fd[signal] = pipe;
  lost_fd[signal] = lost;
  is_chained[signal] = chains != 0;
  /* Read first: the signal may be delivered before sigaction() has returned. */
  if (c_sigaction(signal, 0, &previous[signal]) < 0 || c_sigaction(signal, &action, 0) < 0) return result(-1);
  return previous_is_set[signal] = 1, 0;
}

/* Restores the handler that signal_catch() replaced, unless another one has been installed since. */
int signal_release(int signal) {
  struct sigaction now;
  if (signal < 1 || signal >= SIGNALS || !previous_is_set[signal]) return -22; /* EINVAL */
  previous_is_set[signal] = 0;
  if (c_sigaction(signal, 0, &now) < 0) return result(-1);
  return now.handler == on_signal ? result(c_sigaction(signal, &previous[signal], 0)) : 0;
}

/* Returns the first real-time signal that libc does not use itself: 34 in glibc, 35 in musl. */
int signal_rtmin(void) { return c___libc_current_sigrtmin(); }

int signal_rtmax(void) { return c___libc_current_sigrtmax(); }

/* ---- the end of the parent process ---- */

enum { PR_SET_PDEATHSIG = 1, SIGKILL = 9, SIGALRM = 14, PARENT_EXITED = 62 /* a real-time signal that nothing else uses */ };

static u32 seconds_after_parent;

static void on_parent_exit(int signal, void *info, void *context) {
  struct sigaction terminate = {0}; /* SIG_DFL */
  int saved = *c_errno();
  c_sigaction(SIGALRM, &terminate, 0);
  c_alarm(seconds_after_parent);
  *c_errno() = saved;
}

/*
 * Makes the kernel end this process when its parent has exited, whatever this process is doing then: immediately if `seconds`
 * is 0, otherwise that long after. The parent is the thread that started the process.
 */
int end_with_parent(int seconds) {
  struct sigaction action = {on_parent_exit};
  if (seconds == 0) return result(c_prctl(PR_SET_PDEATHSIG, (size)SIGKILL, 0L, 0L, 0L));
  seconds_after_parent = seconds;
  action.flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  if (c_sigaction(PARENT_EXITED, &action, 0) < 0) return result(-1);
  return result(c_prctl(PR_SET_PDEATHSIG, (size)PARENT_EXITED, 0L, 0L, 0L));
}
