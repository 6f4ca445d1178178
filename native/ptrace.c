/*
 * Follows the system calls of other processes with ptrace(2).
 *
 * Linux wants all ptrace calls of a tracee to come from one thread. That thread, the tracer, runs here. It waits for stops,
 * copies what a call was given and what it returned into a ring of records, and lets the tracee go on. It decodes nothing:
 * JavaScript says in a table which calls are followed and which memory of the tracee belongs to them, takes the records out of
 * the ring in batches, and sends commands. If the ring is full, the tracer waits, and so do the tracees: no record is lost.
 *
 * Compiled on its own, without headers; see shim.c. src/trace/processes/engine.ts describes the whole mechanism.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long size;
typedef long word;

extern void *dlsym(void *handle, const char *name);

#define LIBC(X)                                                                        \
  X(word, ptrace, (int, int, void *, void *))                                          \
  X(int, wait4, (int, int *, int, void *))                                             \
  X(word, process_vm_readv, (int, const void *, size, const void *, size, size))       \
  X(int, clone, (int (*)(void *), void *, int, void *, ...))                           \
  X(word, syscall, (word, ...))                                                        \
  X(int, prctl, (int, ...))                                                            \
  X(int, execve, (const char *, char **, char **))                                     \
  X(void, _exit, (int))                                                                \
  X(int, pause, (void))                                                                \
  X(int, chdir, (const char *))                                                        \
  X(int, dup2, (int, int))                                                             \
  X(int, fcntl, (int, int, ...))                                                       \
  X(int, setpgid, (int, int))                                                          \
  X(int, kill, (int, int))                                                             \
  X(int, open, (const char *, int, ...))                                               \
  X(word, read, (int, void *, size))                                                   \
  X(int, close, (int))                                                                 \
  X(int, nanosleep, (const void *, void *))                                            \
  X(int, clock_gettime, (int, void *))                                                 \
  X(int, timerfd_create, (int, int))                                                   \
  X(int, timerfd_settime, (int, int, const void *, void *))                            \
  X(int, sigaction, (int, const void *, void *))                                       \
  X(int, pthread_sigmask, (int, const void *, void *))                                 \
  X(int, pthread_create, (size *, const void *, void *(*)(void *), void *))            \
  X(int, pthread_join, (size, void **))                                                \
  X(int, pthread_mutex_init, (void *, const void *))                                   \
  X(int, pthread_mutex_lock, (void *))                                                 \
  X(int, pthread_mutex_unlock, (void *))                                               \
  X(int, pthread_cond_init, (void *, const void *))                                    \
  X(int, pthread_cond_wait, (void *, void *))                                          \
  X(int, pthread_cond_signal, (void *))                                                \
  X(void *, malloc, (size))                                                            \
  X(void *, calloc, (size, size))                                                      \
  X(void *, realloc, (void *, size))                                                   \
  X(void, free, (void *))                                                              \
  X(void *, memcpy, (void *, const void *, size))                                      \
  X(void *, memset, (void *, int, size))                                               \
  X(int, memcmp, (const void *, const void *, size))                                   \
  X(char *, strchr, (const char *, int))                                               \
  X(char *, strstr, (const char *, const char *))                                      \
  X(size, strlen, (const char *))                                                      \
  X(int, strcmp, (const char *, const char *))                                         \
  X(size, strtoul, (const char *, char **, int))

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

#ifdef __x86_64__
enum { SYS_RESTART = 219, SYS_GETTID = 186, SYS_GETDENTS64 = 217, SYS_STATX = 332 };
enum { AUDIT_ARCH = 0xc000003e, REGS = 27 };
enum { REG_PC = 16, REG_SP = 19, REG_FP = 4, REG_RESULT = 10, REG_NUMBER = 15 };
#else
enum { SYS_RESTART = 128, SYS_GETTID = 178, SYS_GETDENTS64 = 61, SYS_STATX = 291 };
enum { AUDIT_ARCH = 0xc00000b7, REGS = 34 };
enum { REG_PC = 32, REG_SP = 31, REG_FP = 29, REG_LINK = 30, REG_RESULT = 0 };
#endif

enum { EINTR = 4, ENOMEM = 12, ESRCH = 3 };
/* Results of an interrupted call that the kernel restarts, or turns into EINTR: linux/errno.h */
enum { ERESTARTSYS = 512, ERESTARTNOINTR = 513, ERESTARTNOHAND = 514, ERESTART_RESTARTBLOCK = 516 };
enum { SIGTRAP = 5, SIGKILL = 9, SIGPIPE = 13, SIGSTOP = 19, SIGURG = 23, SIGXFSZ = 25 };

enum {
  PTRACE_CONT = 7,
  PTRACE_DETACH = 17,
  PTRACE_SYSCALL = 24,
  PTRACE_GETEVENTMSG = 0x4201,
  PTRACE_GETREGSET = 0x4204,
  PTRACE_SETREGSET = 0x4205,
  PTRACE_SEIZE = 0x4206,
  PTRACE_INTERRUPT = 0x4207,
  PTRACE_LISTEN = 0x4208,
  PTRACE_GET_SYSCALL_INFO = 0x420e
};
enum { O_SYSGOOD = 1, O_FORK = 2, O_VFORK = 4, O_CLONE = 8, O_EXEC = 16, O_SECCOMP = 0x80, O_EXITKILL = 0x100000 };
enum { EVENT_FORK = 1, EVENT_VFORK = 2, EVENT_CLONE = 3, EVENT_EXEC = 4, EVENT_SECCOMP = 7, EVENT_STOP = 128 };
enum { INFO_ENTRY = 1, INFO_EXIT = 2, INFO_SECCOMP = 3 };
enum { WNOHANG = 1, WNOTHREAD = 0x20000000, WALL = 0x40000000 };

/* struct ptrace_syscall_info */
struct info {
  u8 op, pad[3];
  u32 arch;
  size pc, sp;
  size number; /* at an exit: the result */
  size args[6];
  size data;
};

struct iovec {
  void *base;
  size length;
};

/* ---- The table of followed calls: see src/trace/processes/followed-calls.ts ---- */

enum { MAX_CALLS = 1024, MAX_PIECES = 7, ROW_INTS = 2 + 2 * MAX_PIECES };

enum {
  CALL_WAITS = 1,      /* waits for several fds */
  CALL_ON_FD = 2,      /* reads or writes the fd in args[0], which may be a file */
  CALL_CLOSES = 4,     /* closes the fd in args[0] */
  CALL_OPENS = 8,      /* returns a new fd that is not a file */
  CALL_DUPLICATES = 16,/* returns a duplicate of the fd in args[0] */
  CALL_CLOSES_RANGE = 32,
  CALL_FILTERS = 64    /* followed only for the values of args[1] in `values` */
};

/* What is copied from the memory of the tracee. `a` and `b` are indexes of arguments. */
enum {
  PIECE_FIXED = 1, /* n bytes at args[a] */
  PIECE_COUNTED,   /* n bytes for each of args[b], at args[a] */
  PIECE_RESULT,    /* n bytes for each of the result, at args[a] */
  PIECE_DATA,      /* the bytes that were read or written, at args[a] */
  PIECE_IOVEC,     /* the same, in args[b] buffers described at args[a] */
  PIECE_MESSAGE,   /* the same, of the msghdr at args[a]; and its address */
  PIECE_MESSAGES,  /* the same, of a result of mmsghdrs at args[a] */
  PIECE_ADDRESS_IN,  /* args[b] bytes at args[a] */
  PIECE_ADDRESS_OUT, /* as many bytes as the integer at args[b] says, at args[a] */
  PIECE_SET          /* an fd_set of args[0] bits at args[a] */
};

struct piece {
  u8 kind, a, b, at_entry;
  int n;
};

struct call {
  int number; /* -1: not followed */
  u32 flags;
  struct piece pieces[MAX_PIECES];
};

/* ---- Records ---- */

enum {
  RECORD_PAD,
  RECORD_CALL,     /* a followed call returned */
  RECORD_ENTRY,    /* a call that waits begins */
  RECORD_HELD,     /* a thread was stopped by the command INTERRUPT */
  RECORD_NEW,      /* a new thread (extra 0) or process (extra: its parent) */
  RECORD_EXEC,     /* extra: 1 if it is the start of the command. All threads are held. */
  RECORD_EXIT,     /* a thread ended; result: its wait status. If tid is pid: the process */
  RECORD_SIGNAL,   /* number: a signal is about to be delivered */
  RECORD_ATTACHED, /* result: 0, and all threads are held; or -errno */
  RECORD_FAILED,   /* the command was not started: result is -errno */
  RECORD_END       /* nothing is traced anymore */
};

enum { FLAG_HELD = 1, FLAG_BLANK_LINE = 2, FLAG_OTHER_ARCH = 4 };

struct record {
  u32 length, kind;
  int pid, tid;
  int number;
  u32 flags;
  word result;
  size args[6];
  size start_ns, end_ns;
  size pc, sp, fp, link;
  size extra;
};

/* Precedes each piece of memory; followed by padding to 8 bytes. */
struct part {
  u32 index, length;
};

enum { MAX_SET = 1024, MAX_ADDRESS = 128, MAX_EVENTS_BYTES = 65536, MAX_BUFFERS = 64, MAX_MESSAGES = 64 };

/* ---- Tracees ---- */

enum { TASK_BUCKETS = 1024, PROCESS_BUCKETS = 256, MAX_KINDS = 65536 };
enum { KIND_UNKNOWN, KIND_FILE, KIND_OTHER };

struct process {
  struct process *next;
  int pid, references;
  u8 *kinds; /* by fd: whether it is a file on a disk, whose reads and writes are not reported */
  int kind_count;
  u8 is_attaching, is_silent, is_filtered, is_started;
};

struct task {
  struct task *next;
  struct process *process;
  int tid;
  u8 is_stopped;      /* in a ptrace stop that was waited for, and not resumed */
  u8 is_held;         /* stays stopped until the command RESUME */
  u8 is_listening;    /* in a group stop */
  u8 is_interrupting; /* PTRACE_INTERRUPT was sent, its stop has not been seen */
  u8 must_report;     /* report that stop */
  u8 in_call;         /* a followed call has begun */
  u8 in_any_call;     /* args are those of the call that the thread is in */
  u8 is_deferred;     /* the call was interrupted: it will be restarted, or has failed with EINTR */
  u8 handler_ran;
  u8 is_new;          /* has not had its first stop */
  u8 checks_exec;
  int signal;         /* to be delivered when it goes on */
  int number;
  size args[6];
  size start_ns, end_ns;
  word deferred;
  u8 *entry; /* pieces copied at the entry */
  u32 entry_length;
};

struct start {
  char *block; /* strings */
  char **argv, **envp, *path, *cwd;
  int stdio[4]; /* three fds, and whether the command gets a process group of its own */
  size mask[16];
  volatile int is_seized, error;
  u16 filter_length;
  void *filter;
  void *stack;
};

enum { COMMAND_START, COMMAND_ATTACH, COMMAND_RESUME, COMMAND_RESUME_PROCESS, COMMAND_INTERRUPT, COMMAND_HOLD_AT, COMMAND_END };

struct command {
  struct command *next;
  int op, a, b;
  void *data;
};

enum { HOLD_NOTHING, HOLD_WAITS, HOLD_CALLS };

struct tracer {
  size thread;
  size mutex[8], changed[8];
  /* Protected by the mutex. */
  struct command *commands, *last_command;
  size head, tail; /* bytes written and taken since the beginning */
  int is_armed, is_ending, is_waiting, is_urgent;
  int parked; /* a child that does nothing: a signal to it ends the tracer's wait4 */
  int has_ended;

  u8 *ring;
  size ring_size;
  int timer;

  /* Of the tracer thread. */
  struct call calls[MAX_CALLS];
  struct task *tasks[TASK_BUCKETS];
  struct process *processes[PROCESS_BUCKETS];
  struct start *start;
  int start_pid, task_count;
  int hold_at, all_stop, follows, has_files, has_filter, is_active;
  u32 data_limit;
  u8 *scratch;
  u32 scratch_size, length; /* of the record that is being written */
  int has_blank_line;
  size masks[16];
  void *parked_stack;
  int tid;
};

enum { MAX_TRACERS = 16, STACK = 65536 };
static struct tracer *tracers[MAX_TRACERS];

static size now_ns(void) {
  word time[2];
  c_clock_gettime(1 /* CLOCK_MONOTONIC */, time);
  return time[0] * 1000000000UL + time[1];
}

static word request(int op, int tid, size address, size data) {
  return c_ptrace(op, tid, (void *)address, (void *)data);
}

/* ---- The ring ---- */

static void arm(struct tracer *t, int is_urgent) {
  word time[4];
  if (t->is_armed >= 1 + is_urgent) return;
  t->is_armed = 1 + is_urgent;
  time[0] = time[1] = time[2] = 0;
  time[3] = is_urgent ? 1 : 2000000;
  c_timerfd_settime(t->timer, 0, time, 0);
}

/* Appends the record in `scratch`. Waits while the ring is full. */
static void append(struct tracer *t, int is_urgent) {
  struct record *pad;
  u32 length = (t->length + 7) & ~7u;
  size offset, rest;
  ((struct record *)t->scratch)->length = length;
  c_pthread_mutex_lock(t->mutex);
  for (;;) {
    offset = t->head % t->ring_size;
    rest = t->ring_size - offset;
    if (t->is_ending) goto done;
    if (t->head + length + (rest < length ? rest : 0) - t->tail <= t->ring_size) break;
    arm(t, 1);
    t->is_waiting = 1;
    c_pthread_cond_wait(t->changed, t->mutex);
  }
  if (rest < length) {
    pad = (struct record *)(t->ring + offset);
    pad->length = rest;
    pad->kind = RECORD_PAD;
    t->head += rest;
    offset = 0;
  }
  c_memcpy(t->ring + offset, t->scratch, length);
  t->head += length;
  arm(t, is_urgent || t->head - t->tail > t->ring_size / 2);
done:
  c_pthread_mutex_unlock(t->mutex);
}

static struct record *begin_record(struct tracer *t, int kind, int pid, int tid) {
  struct record *record = (struct record *)t->scratch;
  c_memset(record, 0, sizeof *record);
  record->kind = kind;
  record->pid = pid;
  record->tid = tid;
  record->start_ns = record->end_ns = now_ns();
  t->length = sizeof *record;
  return record;
}

/* ---- Memory of the tracee ---- */

/* Reads as much as is readable. Returns the number of bytes. */
static u32 peek(int tid, size address, void *to, u32 length) {
  struct iovec local, remote;
  word n;
  if (!length || !address) return 0;
  local.base = to;
  remote.base = (void *)address;
  local.length = remote.length = length;
  n = c_process_vm_readv(tid, &local, 1, &remote, 1, 0);
  return n < 0 ? 0 : (u32)n;
}

/* Begins a part with room for `length` bytes. Returns where they go; 0 if there is no room. */
static u8 *begin_part(struct tracer *t, int index, u32 length) {
  struct part *part = (struct part *)(t->scratch + t->length);
  if (t->length + sizeof *part + length + 8 > t->scratch_size) return 0;
  part->index = index;
  part->length = 0;
  return (u8 *)(part + 1);
}

static void end_part(struct tracer *t, u32 length) {
  struct part *part = (struct part *)(t->scratch + t->length);
  part->length = length;
  t->length += sizeof *part + ((length + 7) & ~7u);
}

static void copy_part(struct tracer *t, int tid, int index, size address, size length) {
  u8 *to;
  if (length > MAX_EVENTS_BYTES) length = MAX_EVENTS_BYTES;
  if (!(to = begin_part(t, index, length))) return;
  end_part(t, peek(tid, address, to, length));
}

static void note_blank_line(struct tracer *t, const u8 *end) {
  t->has_blank_line = end[3] == '\n' && end[1] == '\n' && end[2] == '\r';
}

/* Copies the first `total` bytes in `count` buffers, up to the limit. */
static void copy_buffers(struct tracer *t, int tid, int index, struct iovec *buffers, int count, word total) {
  u32 limit = t->data_limit, done = 0, n, want;
  u8 *to, last[4];
  int i;
  if (total <= 0) return;
  if ((size)total < limit) limit = total;
  if (!(to = begin_part(t, index, limit))) return;
  for (i = 0; i < count && done < limit; i++) {
    want = buffers[i].length < limit - done ? buffers[i].length : limit - done;
    if (!want) continue;
    n = peek(tid, (size)buffers[i].base, to + done, want);
    done += n;
    if (n < want) break;
  }
  if ((size)total == done && done >= 4) note_blank_line(t, to + done - 4);
  else if (count == 1 && total > 4 && buffers[0].length >= (size)total && done == limit &&
           peek(tid, (size)buffers[0].base + total - 4, last, 4) == 4)
    note_blank_line(t, last);
  end_part(t, done);
}

static void copy_iovecs(struct tracer *t, int tid, int index, size address, size count, word total) {
  struct iovec buffers[MAX_BUFFERS];
  u32 bytes;
  u8 *to;
  int i;
  if (count > MAX_BUFFERS) count = MAX_BUFFERS;
  bytes = peek(tid, address, buffers, count * sizeof buffers[0]);
  if ((to = begin_part(t, index + 32, 8))) { /* the bytes that were asked for */
    *(size *)to = 0;
    for (i = 0; i < (int)(bytes / sizeof buffers[0]); i++) *(size *)to += buffers[i].length;
    end_part(t, 8);
  }
  copy_buffers(t, tid, index, buffers, bytes / sizeof buffers[0], total);
}

/* A struct msghdr: name, its length, iovecs, their number, control, its length, flags. */
static void copy_message(struct tracer *t, int tid, int index, size *header, word total) {
  u32 name_length = (u32)header[1];
  copy_part(t, tid, index, header[0], name_length > MAX_ADDRESS ? MAX_ADDRESS : name_length);
  copy_iovecs(t, tid, index + 1, header[2], header[3], total);
}

static void copy_piece(struct tracer *t, int tid, int index, struct piece *piece, size *args, word result) {
  size address = args[piece->a], count = args[piece->b];
  size header[8];
  struct iovec buffer;
  u32 n;
  int i;
  switch (piece->kind) {
    case PIECE_FIXED:
      copy_part(t, tid, index, address, piece->n);
      return;
    case PIECE_COUNTED:
      copy_part(t, tid, index, address, (count > 8192 ? 8192 : count) * piece->n);
      return;
    case PIECE_RESULT:
      if (result > 0) copy_part(t, tid, index, address, (result > 8192 ? 8192 : result) * piece->n);
      return;
    case PIECE_DATA:
      buffer.base = (void *)address;
      buffer.length = count; /* with MSG_TRUNC, the result can exceed it */
      copy_buffers(t, tid, index, &buffer, 1, result < 0 || (size)result < count ? result : (word)count);
      return;
    case PIECE_IOVEC:
      copy_iovecs(t, tid, index, address, count, result);
      return;
    case PIECE_MESSAGE:
      if (peek(tid, address, header, 56) == 56) copy_message(t, tid, index, header, result);
      return;
    case PIECE_MESSAGES: /* each with its length, in the record of which the lengths are the first part */
      if (result > MAX_MESSAGES) result = MAX_MESSAGES;
      for (i = 0; i < result; i++) {
        u8 *to = begin_part(t, 64, 4);
        if (!to || peek(tid, address + 64 * i, header, 64) != 64) return;
        *(u32 *)to = (u32)header[7];
        end_part(t, 4);
        copy_message(t, tid, index, header, (u32)header[7]);
      }
      return;
    case PIECE_ADDRESS_IN:
      copy_part(t, tid, index, address, count > MAX_ADDRESS ? MAX_ADDRESS : count);
      return;
    case PIECE_ADDRESS_OUT:
      if (result < 0 || peek(tid, count, &n, 4) != 4) return;
      copy_part(t, tid, index, address, n > MAX_ADDRESS ? MAX_ADDRESS : n);
      return;
    case PIECE_SET:
      count = (args[0] + 63) / 64 * 8;
      copy_part(t, tid, index, address, args[0] > 8 * MAX_SET ? MAX_SET : count);
      return;
  }
}

static void copy_pieces(struct tracer *t, struct task *task, struct call *call, int at_entry, word result) {
  int i;
  for (i = 0; i < MAX_PIECES && call->pieces[i].kind; i++)
    if (call->pieces[i].at_entry == at_entry)
      copy_piece(t, task->tid, i + (at_entry ? 16 : 0), &call->pieces[i], task->args, result);
}

/* ---- Processes and tasks ---- */

static struct process *find_process(struct tracer *t, int pid) {
  struct process *process = t->processes[pid % PROCESS_BUCKETS];
  while (process && process->pid != pid) process = process->next;
  return process;
}

static struct process *get_process(struct tracer *t, int pid) {
  struct process *process = find_process(t, pid);
  if (process || !(process = c_calloc(1, sizeof *process))) return process;
  process->pid = pid;
  process->next = t->processes[pid % PROCESS_BUCKETS];
  t->processes[pid % PROCESS_BUCKETS] = process;
  return process;
}

static struct task *find_task(struct tracer *t, int tid) {
  struct task *task = t->tasks[tid % TASK_BUCKETS];
  while (task && task->tid != tid) task = task->next;
  return task;
}

static struct task *add_task(struct tracer *t, struct process *process, int tid) {
  struct task *task = process ? c_calloc(1, sizeof *task) : 0;
  if (!task) return 0;
  task->tid = tid;
  task->process = process;
  task->is_new = 1;
  task->next = t->tasks[tid % TASK_BUCKETS];
  t->tasks[tid % TASK_BUCKETS] = task;
  process->references++;
  t->task_count++;
  return task;
}

static void forget_kinds(struct process *process, int from) {
  int fd;
  for (fd = from; fd < process->kind_count; fd++) process->kinds[fd] = KIND_UNKNOWN;
}

/* Drops a reference to a process. It is freed with the last one. */
static void release(struct tracer *t, struct process *process) {
  struct process **link = &t->processes[process->pid % PROCESS_BUCKETS];
  if (--process->references > 0) return;
  while (*link != process) link = &(*link)->next;
  *link = process->next;
  c_free(process->kinds);
  c_free(process);
}

static void remove_task(struct tracer *t, struct task *task) {
  struct task **at = &t->tasks[task->tid % TASK_BUCKETS];
  while (*at != task) at = &(*at)->next;
  *at = task->next;
  t->task_count--;
  release(t, task->process);
  c_free(task->entry);
  c_free(task);
}

/* Writes a decimal number. Returns its end. */
static char *write_number(char *to, int n) {
  char digits[12];
  int i = 0;
  do digits[i++] = '0' + n % 10;
  while (n /= 10);
  while (i) *to++ = digits[--i];
  return to;
}

/* Writes "/proc/N/name" or "/proc/N/name/M". */
static void proc_path(char *to, int pid, const char *name, int fd) {
  c_memcpy(to, "/proc/", 6);
  to = write_number(to + 6, pid);
  *to++ = '/';
  while (*name) *to++ = *name++;
  if (fd >= 0) {
    *to++ = '/';
    to = write_number(to, fd);
  }
  *to = 0;
}

/* Returns the number after `field` in /proc/TID/status, in the given base; -1 if it cannot be read. */
static size status_field(int tid, const char *field, int base) {
  char path[64], text[4096], *at;
  int fd;
  word n;
  proc_path(path, tid, "status", -1);
  fd = c_open(path, 0x80000 /* O_RDONLY | O_CLOEXEC */);
  if (fd < 0) return -1;
  n = c_read(fd, text, sizeof text - 1);
  c_close(fd);
  if (n <= 0) return -1;
  text[n] = 0;
  at = c_strstr(text, field);
  return at ? c_strtoul(at + c_strlen(field), 0, base) : (size)-1;
}

/* ---- Files on a disk: most of what a program reads while it starts, and nothing that it waits for ---- */

static void set_kind(struct process *process, word fd, int kind) {
  u8 *kinds;
  int count;
  if (fd < 0 || fd >= MAX_KINDS) return;
  if (fd >= process->kind_count) {
    if (kind == KIND_UNKNOWN) return;
    count = (fd + 256) & ~255;
    if (!(kinds = c_realloc(process->kinds, count))) return;
    c_memset(kinds + process->kind_count, 0, count - process->kind_count);
    process->kinds = kinds;
    process->kind_count = count;
  }
  process->kinds[fd] = kind;
}

static int kind_of(struct process *process, word fd) {
  char path[64];
  u8 status[256];
  int kind = KIND_OTHER, type;
  if (fd < 0 || fd > 0x7fffffff) return KIND_OTHER;
  if (fd < process->kind_count && process->kinds[fd]) return process->kinds[fd];
  proc_path(path, process->pid, "fd", fd);
  if (c_syscall(SYS_STATX, -100, path, 0, 1 /* STATX_TYPE */, status) < 0) return KIND_OTHER;
  type = *(u16 *)(status + 28) & 0170000;
  if (type == 0100000 || type == 0040000) kind = KIND_FILE; /* a regular file, a directory */
  set_kind(process, fd, kind);
  return kind;
}

static int is_file_call(struct tracer *t, struct task *task, struct call *call) {
  if (t->has_files || !(call->flags & (CALL_ON_FD | CALL_CLOSES | CALL_DUPLICATES))) return 0;
  return kind_of(task->process, (int)task->args[0]) == KIND_FILE;
}

static void follow_kinds(struct task *task, struct call *call, word result) {
  struct process *process = task->process;
  int fd = (int)task->args[0];
  if (call->flags & CALL_CLOSES) set_kind(process, fd, KIND_UNKNOWN);
  if (result < 0) return;
  if (call->flags & CALL_OPENS) set_kind(process, result, KIND_OTHER);
  if (call->flags & CALL_DUPLICATES)
    set_kind(process, result, fd >= 0 && fd < process->kind_count ? process->kinds[fd] : KIND_UNKNOWN);
  if (call->flags & CALL_CLOSES_RANGE) forget_kinds(process, fd < 0 ? 0 : fd);
}

/* ---- Registers ---- */

static int get_registers(int tid, size *registers) {
  struct iovec area;
  area.base = registers;
  area.length = REGS * sizeof(size);
  return request(PTRACE_GETREGSET, tid, 1 /* NT_PRSTATUS */, (size)&area) == 0;
}

static void set_registers(int tid, size *registers) {
  struct iovec area;
  area.base = registers;
  area.length = REGS * sizeof(size);
  request(PTRACE_SETREGSET, tid, 1, (size)&area);
}

static void add_registers(struct record *record) {
  size registers[REGS];
  if (!get_registers(record->tid, registers)) return;
  record->pc = registers[REG_PC];
  record->sp = registers[REG_SP];
  record->fp = registers[REG_FP];
#ifndef __x86_64__
  record->link = registers[REG_LINK];
#endif
}

/*
 * PTRACE_INTERRUPT ends calls such as epoll_wait with EINTR, which a program may not expect. If the thread is in one, lets the
 * kernel restart it when the thread goes on: see signal(7), "Interruption of system calls and library functions by stop signals".
 */
static void hide_interruption(struct task *task) {
  size registers[REGS];
  if (!get_registers(task->tid, registers) || registers[REG_RESULT] != (size)-EINTR) return;
#ifdef __x86_64__
  if ((word)registers[REG_NUMBER] < 0) return;
  registers[REG_RESULT] = -ERESTARTNOHAND; /* if a handler runs, the call fails with EINTR as usual */
#else
  if (!task->in_any_call) return;
  registers[REG_RESULT] = task->args[0];
  registers[REG_PC] -= 4;
#endif
  set_registers(task->tid, registers);
}

/* ---- Stops ---- */

static void go_on(struct tracer *t, struct task *task) {
  int signal = task->signal;
  int stops_at_calls = task->process->is_silent ? 0 : !task->process->is_filtered || task->in_call;
  task->signal = 0;
  task->is_stopped = task->is_held = 0;
  if (task->is_interrupting) request(PTRACE_INTERRUPT, task->tid, 0, 0); /* each stop cancels it */
  request(stops_at_calls ? PTRACE_SYSCALL : PTRACE_CONT, task->tid, 0, signal);
}

static void emit_call(struct tracer *t, struct task *task, word result, size end_ns, int is_held) {
  struct call *call = &t->calls[task->number];
  struct record *record = begin_record(t, RECORD_CALL, task->process->pid, task->tid);
  int i;
  record->number = task->number;
  record->result = result;
  for (i = 0; i < 6; i++) record->args[i] = task->args[i];
  record->start_ns = task->start_ns;
  record->end_ns = end_ns;
  if (is_held) {
    record->flags |= FLAG_HELD;
    add_registers(record);
  }
  t->has_blank_line = 0;
  if (task->entry_length) {
    c_memcpy(t->scratch + t->length, task->entry, task->entry_length);
    t->length += task->entry_length;
  }
  copy_pieces(t, task, call, 0, result);
  if (t->has_blank_line) record->flags |= FLAG_BLANK_LINE;
  append(t, is_held);
}

static void emit_deferred(struct tracer *t, struct task *task) {
  if (!task->is_deferred) return;
  task->is_deferred = 0;
  emit_call(t, task, -EINTR, task->end_ns, 0);
}

/* Whether a call with these arguments is followed. */
static struct call *followed(struct tracer *t, size number, size *args) {
  struct call *call = number < MAX_CALLS ? &t->calls[number] : 0;
  int i;
  if (!call || call->number < 0) return 0;
  if (!(call->flags & CALL_FILTERS)) return call;
  for (i = 0; i < MAX_PIECES; i++)
    if (call->pieces[i].kind == 255 && (u32)call->pieces[i].n == (u32)args[1]) return call;
  return 0;
}

static void on_entry(struct tracer *t, struct task *task, struct info *info) {
  struct call *call;
  struct record *record;
  size start_ns = now_ns();
  int i;
  task->in_call = 0;
  task->in_any_call = 1;
  if (info->arch != AUDIT_ARCH) {
    emit_deferred(t, task);
    for (i = 0; i < 6; i++) task->args[i] = info->args[i];
    return;
  }
  if (task->is_deferred) {
    int is_same = info->number == (size)task->number && c_memcmp(info->args, task->args, sizeof task->args) == 0;
    int can_restart = !task->handler_ran || task->deferred == -ERESTARTSYS || task->deferred == -ERESTARTNOINTR;
    if (info->number == SYS_RESTART || (is_same && can_restart)) {
      task->is_deferred = 0;
      task->in_call = 1;
      return; /* the same call goes on */
    }
    emit_deferred(t, task);
  }
  for (i = 0; i < 6; i++) task->args[i] = info->args[i];
  task->number = (int)info->number;
  call = followed(t, info->number, info->args);
  if (!call) return;
  if ((call->flags & CALL_CLOSES) && is_file_call(t, task, call)) {
    set_kind(task->process, (int)task->args[0], KIND_UNKNOWN);
    return;
  }
  task->in_call = 1;
  task->start_ns = start_ns;
  task->entry_length = 0;
  for (i = 0; i < MAX_PIECES && call->pieces[i].kind; i++)
    if (call->pieces[i].at_entry) break;
  if (!(call->flags & CALL_WAITS) && (i == MAX_PIECES || !call->pieces[i].kind)) return;
  record = begin_record(t, RECORD_ENTRY, task->process->pid, task->tid);
  copy_pieces(t, task, call, 1, 0);
  task->entry_length = t->length - sizeof *record;
  if (task->entry_length) {
    u8 *entry = c_realloc(task->entry, task->entry_length);
    if (entry) c_memcpy(task->entry = entry, t->scratch + sizeof *record, task->entry_length);
    else task->entry_length = 0;
  }
  if (!(call->flags & CALL_WAITS)) return;
  record->number = task->number;
  record->start_ns = record->end_ns = start_ns;
  for (i = 0; i < 6; i++) record->args[i] = task->args[i];
  append(t, 0);
}

/* The thread stops at its next opportunity. */
static void interrupt(struct task *task, int must_report) {
  if (task->is_stopped) return;
  task->is_interrupting = 1;
  if (must_report) task->must_report = 1;
  request(PTRACE_INTERRUPT, task->tid, 0, 0);
}

static void interrupt_others(struct tracer *t, struct task *except) {
  struct task *task;
  int i;
  for (i = 0; i < TASK_BUCKETS; i++)
    for (task = t->tasks[i]; task; task = task->next)
      if (task != except && !task->process->is_silent) interrupt(task, 1);
}

static void on_exit_stop(struct tracer *t, struct task *task, word result) {
  struct call *call;
  int is_held;
  size end_ns;
  task->in_any_call = 0;
  if (!task->in_call) return;
  if (result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK) {
    task->in_any_call = 1; /* until it is restarted */
    task->in_call = 0;
    task->is_deferred = 1;
    task->handler_ran = 0;
    task->deferred = result;
    task->end_ns = now_ns();
    return;
  }
  if (result == -EINTR && task->is_interrupting) { /* see hide_interruption */
    task->in_any_call = 1;
    task->in_call = 0;
    task->is_deferred = 1;
    task->handler_ran = 0;
    task->deferred = -ERESTARTNOHAND;
    task->end_ns = now_ns();
    return;
  }
  end_ns = now_ns();
  task->in_call = 0;
  call = &t->calls[task->number];
  if (!(call->flags & CALL_CLOSES) && is_file_call(t, task, call)) {
    follow_kinds(task, call, result);
    return;
  }
  follow_kinds(task, call, result);
  is_held = t->hold_at == HOLD_CALLS || (t->hold_at == HOLD_WAITS && (call->flags & CALL_WAITS));
  task->is_held = is_held;
  emit_call(t, task, result, end_ns, is_held);
  if (is_held && t->all_stop) interrupt_others(t, task);
}

static void report_held(struct tracer *t, struct task *task) {
  struct record *record = begin_record(t, RECORD_HELD, task->process->pid, task->tid);
  int i;
  record->number = -1;
  if (task->is_deferred) { /* in the call that it will go on with */
    record->number = task->number;
    for (i = 0; i < 6; i++) record->args[i] = task->args[i];
    record->start_ns = task->start_ns;
    if (task->entry_length) {
      c_memcpy(t->scratch + t->length, task->entry, task->entry_length);
      t->length += task->entry_length;
    }
  }
  record->flags = FLAG_HELD;
  add_registers(record);
  append(t, 1);
}

/* Reports that a process is attached once all of its threads have stopped. */
static void check_attached(struct tracer *t, struct process *process) {
  struct task *task;
  int i;
  if (!process->is_attaching) return;
  for (i = 0; i < TASK_BUCKETS; i++)
    for (task = t->tasks[i]; task; task = task->next)
      if (task->process == process && !task->is_stopped && !task->is_listening) return;
  process->is_attaching = 0;
  begin_record(t, RECORD_ATTACHED, process->pid, process->pid);
  append(t, 1);
}

/* The first sight of a new thread or process: its own first stop, or its parent's event. */
static struct task *add_new(struct tracer *t, int tid) {
  int pid = (int)status_field(tid, "\nTgid:", 10), parent = 0;
  struct process *process, *creator;
  struct task *task;
  struct record *record;
  if (pid <= 0) pid = tid;
  process = find_process(t, pid);
  if (!process) {
    parent = (int)status_field(tid, "\nPPid:", 10);
    creator = parent > 0 ? find_process(t, parent) : 0;
    if (!(process = get_process(t, pid))) return 0;
    process->is_filtered = creator ? creator->is_filtered : t->has_filter && t->start_pid > 0;
    process->is_started = creator ? creator->is_started : t->start_pid > 0;
    process->is_silent = !t->follows || (creator && creator->is_silent);
  }
  if (!(task = add_task(t, process, tid))) return 0;
  if (process->is_silent) return task;
  record = begin_record(t, RECORD_NEW, pid, tid);
  record->extra = parent;
  append(t, 0);
  return task;
}

static void on_exec(struct tracer *t, struct task *task) {
  struct process *process = task->process;
  struct task *other, *next;
  struct record *record;
  int i;
  for (i = 0; i < TASK_BUCKETS; i++)
    for (other = t->tasks[i]; other; other = next) {
      next = other->next;
      if (other->process == process && other != task) remove_task(t, other);
    }
  forget_kinds(process, 0);
  task->in_call = task->in_any_call = task->is_deferred = 0;
  task->is_interrupting = task->must_report = 0;
  process->is_attaching = 0;
  if (process->is_silent) return;
  task->is_held = 1;
  record = begin_record(t, RECORD_EXEC, process->pid, task->tid);
  if (process->pid == t->start_pid && t->start) {
    record->extra = 1;
    c_free(t->start->stack);
    c_free(t->start->argv);
    c_free(t->start->block);
    c_free(t->start);
    t->start = 0;
  }
  append(t, 1);
}

static void on_gone(struct tracer *t, struct task *task, int status) {
  struct process *process = task->process;
  int failed = 0;
  struct record *record;
  if (t->start && task->tid == t->start_pid) failed = t->start->error ? t->start->error : ESRCH;
  if (!process->is_silent) {
    emit_deferred(t, task);
    record = begin_record(t, failed ? RECORD_FAILED : RECORD_EXIT, process->pid, task->tid);
    record->result = failed ? -failed : status;
    append(t, failed || task->tid == process->pid);
  }
  process->references++;
  remove_task(t, task);
  if (process->references > 1) check_attached(t, process);
  release(t, process);
}

static void on_signal(struct tracer *t, struct task *task, int signal) {
  struct record *record;
  task->signal = signal;
  if (task->is_deferred && (status_field(task->tid, "\nSigCgt:", 16) >> (signal - 1) & 1)) task->handler_ran = 1;
  if (task->process->is_silent) return;
  record = begin_record(t, RECORD_SIGNAL, task->process->pid, task->tid);
  record->number = signal;
  append(t, 0);
}

static void on_stop(struct tracer *t, int tid, int status) {
  int signal = status >> 8 & 0xff, event = status >> 16;
  struct task *task = find_task(t, tid);
  struct info info;
  size message = 0;
  if (!task && !(task = add_new(t, tid))) {
    request(PTRACE_DETACH, tid, 0, 0);
    return;
  }
  task->is_stopped = 1;
  task->is_listening = 0;
  switch (event) {
    case 0:
      if (signal != (SIGTRAP | 0x80)) {
        on_signal(t, task, signal);
        break;
      }
      /* fall through */
    case EVENT_SECCOMP:
      if (task->process->is_silent) break;
      c_memset(&info, 0, sizeof info);
      if (request(PTRACE_GET_SYSCALL_INFO, tid, sizeof info, (size)&info) <= 0) break;
      if (info.op == INFO_EXIT) on_exit_stop(t, task, (word)info.number);
      else if (info.op == INFO_ENTRY || info.op == INFO_SECCOMP) on_entry(t, task, &info);
      break;
    case EVENT_FORK:
    case EVENT_VFORK:
    case EVENT_CLONE:
      request(PTRACE_GETEVENTMSG, tid, 0, (size)&message);
      if (message && !find_task(t, (int)message)) add_new(t, (int)message);
      break;
    case EVENT_EXEC:
      on_exec(t, task);
      break;
    case EVENT_STOP:
      if (signal == SIGTRAP) {
        if (task->is_interrupting) {
          hide_interruption(task);
          task->is_interrupting = 0;
          if (task->must_report && !task->process->is_attaching) {
            task->is_held = 1;
            report_held(t, task);
          }
          task->must_report = 0;
        }
        task->is_new = 0;
        break;
      }
      /* A group stop: the thread stays in it, but is not held by us. */
      task->is_stopped = 0;
      task->is_listening = 1;
      task->is_new = 0;
      request(PTRACE_LISTEN, tid, 0, 0);
      check_attached(t, task->process);
      return;
  }
  if (task->process->is_attaching) {
    task->is_held = 1;
    check_attached(t, task->process);
    return;
  }
  if (!t->follows && task->process->is_silent && !task->process->is_filtered) {
    request(PTRACE_DETACH, tid, 0, task->signal);
    remove_task(t, task);
    return;
  }
  if (!task->is_held) go_on(t, task);
}

/* ---- Starting and attaching ---- */

static int options(struct tracer *t, int is_started) {
  int flags = O_SYSGOOD | O_CLONE | O_EXEC;
  if (t->follows || is_started) flags |= O_FORK | O_VFORK; /* a child with the filter must have a tracer */
  if (is_started) flags |= O_EXITKILL | O_SECCOMP;
  return flags;
}

/* In the child, which shares the memory of this process until execve: it makes system calls, and nothing else. */
static int run_command(void *argument) {
  struct start *start = argument;
  size action[20], pause_time[2], program[2];
  int i, fds[3];
  pause_time[0] = 0;
  pause_time[1] = 100000;
  for (i = 1; i <= 64; i++) {
    if (i == 32 || i == 33 || c_sigaction(i, 0, action) < 0) continue;
    if (action[0] == 0 || (action[0] == 1 && i != SIGPIPE && i != SIGXFSZ)) continue; /* Bun ignores these two */
    c_memset(action, 0, sizeof action);
    c_sigaction(i, action, 0);
  }
  while (!start->is_seized) c_nanosleep(pause_time, 0);
  if (start->is_seized < 0) c__exit(127);
  for (i = 0; i < 3; i++)
    if ((fds[i] = start->stdio[i]) != i && (fds[i] = c_fcntl(start->stdio[i], 1030 /* F_DUPFD_CLOEXEC */, 3)) < 0) goto failed;
  for (i = 0; i < 3; i++)
    if (fds[i] != i && c_dup2(fds[i], i) < 0) goto failed;
  if (start->cwd && c_chdir(start->cwd) < 0) goto failed;
  if (start->stdio[3]) c_setpgid(0, 0); /* Ctrl-C is for the debugger's prompt */
  c_syscall(436 /* close_range */, 3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
  if (start->filter) {
    program[0] = start->filter_length;
    program[1] = (size)start->filter;
    if (c_prctl(22 /* PR_SET_SECCOMP */, 2, program, 0, 0) < 0) {
      if (c_prctl(38 /* PR_SET_NO_NEW_PRIVS */, 1, 0, 0, 0) < 0) goto failed;
      if (c_prctl(22, 2, program, 0, 0) < 0) goto failed;
    }
  }
  c_pthread_sigmask(2 /* SIG_SETMASK */, start->mask, 0);
  c_execve(start->path, start->argv, start->envp);
failed:
  start->error = *c_errno();
  c__exit(127);
  return 0;
}

/*
 * In the child whose signals wake the tracer. It shares the memory of this process, and must run no handler: the tracer
 * suppresses its signals. The disposition is not changed, because that would discard a signal that was sent already.
 */
static int park(void *unused) {
  size all[16];
  int i;
  for (i = 0; i < 16; i++) all[i] = ~(size)0;
  all[0] &= ~(1UL << (SIGURG - 1));
  c_pthread_sigmask(2 /* SIG_SETMASK */, all, 0);
  for (;;) c_pause();
  return 0;
}

/* Starts a child that shares this process's memory. Returns its pid or -errno. */
static int spawn(int (*run)(void *), void *stack, void *argument) {
  int pid = c_clone(run, (u8 *)stack + STACK - 64, 0x100 /* CLONE_VM, no signal at its end */, argument);
  return pid < 0 ? -*c_errno() : pid;
}

static void fail(struct tracer *t, int kind, int pid, int error) {
  struct record *record = begin_record(t, kind, pid, pid);
  record->result = -error;
  append(t, 1);
}

static void start_command(struct tracer *t, struct start *start) {
  struct process *process;
  int error = 0, pid, status;
  t->is_active = 1;
  if (!(start->stack = c_malloc(STACK))) {
    fail(t, RECORD_FAILED, 0, ENOMEM);
    return;
  }
  pid = spawn(run_command, start->stack, start);
  if (pid < 0) {
    fail(t, RECORD_FAILED, 0, -pid);
    return;
  }
  if (request(PTRACE_SEIZE, pid, 0, options(t, 1)) < 0) error = *c_errno();
  process = error ? 0 : get_process(t, pid);
  if (process) {
    process->is_filtered = start->filter != 0;
    process->is_started = 1;
  }
  if (error || !add_task(t, process, pid)) {
    start->is_seized = -1;
    c_wait4(pid, &status, WALL, 0);
    fail(t, RECORD_FAILED, pid, error ? error : ENOMEM);
    return;
  }
  t->start = start;
  t->start_pid = pid;
  start->is_seized = 1;
}

/* Attaches to all threads of a process. A thread that a seized thread creates is attached by the kernel. */
static void attach(struct tracer *t, int pid) {
  char path[64], *at;
  size names[1024];
  struct process *process = find_process(t, pid);
  struct task *task;
  int fd, n, tid, error = 0, found, i;
  t->is_active = 1;
  if (process || !(process = get_process(t, pid))) {
    fail(t, RECORD_ATTACHED, pid, process ? 16 /* EBUSY */ : ENOMEM);
    return;
  }
  process->references++;
  proc_path(path, pid, "task", -1);
  do {
    found = 0;
    if ((fd = c_open(path, 0x80000 /* O_RDONLY | O_CLOEXEC */)) < 0) break;
    while ((n = c_syscall(SYS_GETDENTS64, fd, names, sizeof names)) > 0)
      for (at = (char *)names; at < (char *)names + n; at += *(u16 *)(at + 16)) {
        tid = (int)c_strtoul(at + 19, 0, 10);
        if (tid <= 0 || find_task(t, tid)) continue;
        if (request(PTRACE_SEIZE, tid, 0, options(t, 0)) < 0) {
          if (*c_errno() != ESRCH || tid == pid) error = *c_errno();
          continue;
        }
        if (!(task = add_task(t, process, tid))) continue;
        task->is_new = 0;
        found++;
      }
    c_close(fd);
  } while (found);
  process->is_attaching = 1;
  if (process->references == 1) fail(t, RECORD_ATTACHED, pid, error ? error : ESRCH);
  for (i = 0; i < TASK_BUCKETS; i++)
    for (task = t->tasks[i]; task; task = task->next)
      if (task->process == process) interrupt(task, 0);
  release(t, process);
}

/* ---- The thread ---- */

static void run_command_of(struct tracer *t, struct command *command) {
  struct task *task;
  int i;
  switch (command->op) {
    case COMMAND_START:
      start_command(t, command->data);
      return;
    case COMMAND_ATTACH:
      attach(t, command->a);
      return;
    case COMMAND_RESUME: /* a thread; 0: all */
    case COMMAND_RESUME_PROCESS:
      for (i = 0; i < TASK_BUCKETS; i++)
        for (task = t->tasks[i]; task; task = task->next) {
          if (command->op == COMMAND_RESUME_PROCESS && task->process->pid != command->a) continue;
          if (command->op == COMMAND_RESUME && command->a && task->tid != command->a) continue;
          task->must_report = 0;
          if (task->is_stopped && task->is_held) go_on(t, task);
        }
      return;
    case COMMAND_INTERRUPT:
      for (i = 0; i < TASK_BUCKETS; i++)
        for (task = t->tasks[i]; task; task = task->next)
          if ((!command->a || task->tid == command->a) && !task->process->is_silent) interrupt(task, 1);
      return;
    case COMMAND_HOLD_AT:
      t->hold_at = command->a;
      t->all_stop = command->b;
      return;
  }
}

static struct command *next_command(struct tracer *t) {
  struct command *command;
  c_pthread_mutex_lock(t->mutex);
  command = t->commands;
  if (command) t->commands = command->next;
  c_pthread_mutex_unlock(t->mutex);
  return command;
}

/* Lets go of what is stopped. The kernel lets go of the rest when this thread ends, without interrupting it. */
static void let_go(struct tracer *t) {
  struct task *task;
  int i;
  for (i = 0; i < TASK_BUCKETS; i++)
    for (task = t->tasks[i]; task; task = task->next) {
      if (task->process->is_started) c_kill(task->process->pid, SIGKILL);
      else if (task->is_stopped) request(PTRACE_DETACH, task->tid, 0, task->signal);
    }
}

static void *trace(void *argument) {
  struct tracer *t = argument;
  struct command *command;
  struct task *task;
  int pid, status, is_ending = 0;
  t->tid = c_syscall(SYS_GETTID);
  t->parked = spawn(park, t->parked_stack, 0);
  if (t->parked > 0) {
    c_setpgid(t->parked, 0);
    if (request(PTRACE_SEIZE, t->parked, 0, O_EXITKILL) < 0) {
      int error = *c_errno();
      c_kill(t->parked, SIGKILL);
      c_wait4(t->parked, &status, WALL, 0);
      t->parked = -error;
    }
  }
  c_pthread_mutex_lock(t->mutex);
  t->is_waiting = 0;
  c_pthread_cond_signal(t->changed);
  c_pthread_mutex_unlock(t->mutex);
  while (t->parked > 0) {
    while ((command = next_command(t))) {
      if (command->op == COMMAND_END) is_ending = 1;
      run_command_of(t, command);
      c_free(command);
    }
    if (is_ending) break;
    if (t->is_active && t->task_count == 0) {
      begin_record(t, RECORD_END, 0, 0);
      append(t, 1);
      t->is_active = 0;
    }
    pid = c_wait4(-1, &status, WALL | WNOTHREAD, 0);
    if (pid < 0) {
      if (*c_errno() == EINTR) continue;
      break;
    }
    if (pid == t->parked) {
      if ((status & 0xff) == 0x7f) request(PTRACE_CONT, pid, 0, 0);
      else break;
      continue;
    }
    if ((status & 0xff) == 0x7f) on_stop(t, pid, status);
    else if ((task = find_task(t, pid))) on_gone(t, task, status);
  }
  let_go(t);
  if (t->parked > 0) {
    c_kill(t->parked, SIGKILL);
    c_wait4(t->parked, &status, WALL, 0);
  }
  return 0;
}

/* ---- For JavaScript ---- */

/*
 * Starts a tracer thread. `rows` describes the followed calls, ROW_INTS each. Returns the number of the tracer, or -errno.
 */
int tracer_open(const int *rows, int count, int ring_size, int data_limit, int flags, int *out) {
  struct tracer *t;
  size all[16], before[16];
  int i, j, slot = 0, error;
  while (slot < MAX_TRACERS && tracers[slot]) slot++;
  if (slot == MAX_TRACERS) return -24; /* EMFILE */
  if (!(t = c_calloc(1, sizeof *t))) return -ENOMEM;
  t->ring_size = ring_size;
  t->data_limit = data_limit;
  t->scratch_size = ring_size / 4;
  t->ring = c_malloc(t->ring_size);
  t->scratch = c_malloc(t->scratch_size);
  t->parked_stack = c_malloc(STACK);
  t->follows = flags & 1;
  t->has_files = flags >> 1 & 1;
  t->has_filter = flags >> 2 & 1;
  t->timer = t->ring && t->scratch && t->parked_stack ? c_timerfd_create(1, 0x80800 /* TFD_CLOEXEC | TFD_NONBLOCK */) : -1;
  if (t->timer < 0) {
    error = t->ring && t->scratch && t->parked_stack ? *c_errno() : ENOMEM;
    goto failed;
  }
  for (i = 0; i < MAX_CALLS; i++) t->calls[i].number = -1;
  for (i = 0; i < count; i++, rows += ROW_INTS) {
    struct call *call = &t->calls[rows[0] & (MAX_CALLS - 1)];
    call->number = rows[0];
    call->flags = rows[1];
    for (j = 0; j < MAX_PIECES; j++) {
      call->pieces[j].kind = rows[2 + 2 * j] & 0xff;
      call->pieces[j].a = rows[2 + 2 * j] >> 8 & 7;
      call->pieces[j].b = rows[2 + 2 * j] >> 16 & 7;
      call->pieces[j].at_entry = rows[2 + 2 * j] >> 24 & 1;
      call->pieces[j].n = rows[3 + 2 * j];
    }
  }
  c_pthread_mutex_init(t->mutex, 0);
  c_pthread_cond_init(t->changed, 0);
  t->is_waiting = 1;
  for (i = 0; i < 16; i++) all[i] = ~(size)0;
  c_pthread_sigmask(0 /* SIG_BLOCK */, all, before);
  c_memcpy(t->masks, before, sizeof before);
  error = c_pthread_create(&t->thread, 0, trace, t);
  c_pthread_sigmask(2 /* SIG_SETMASK */, before, 0);
  if (error) goto failed;
  c_pthread_mutex_lock(t->mutex);
  while (t->is_waiting) c_pthread_cond_wait(t->changed, t->mutex);
  c_pthread_mutex_unlock(t->mutex);
  if (t->parked < 0) {
    error = -t->parked;
    c_pthread_join(t->thread, 0);
    goto failed;
  }
  out[0] = t->timer;
  out[1] = t->tid;
  *(size *)(out + 2) = now_ns();
  tracers[slot] = t;
  return slot;
failed:
  if (t->timer >= 0) c_close(t->timer);
  c_free(t->ring);
  c_free(t->scratch);
  c_free(t->parked_stack);
  c_free(t);
  return -error;
}

static int send_command(struct tracer *t, int op, int a, int b, void *data) {
  struct command *command = c_calloc(1, sizeof *command), **end;
  if (!command) return -ENOMEM;
  command->op = op;
  command->a = a;
  command->b = b;
  command->data = data;
  c_pthread_mutex_lock(t->mutex);
  for (end = &t->commands; *end; end = &(*end)->next);
  *end = command;
  c_pthread_mutex_unlock(t->mutex);
  c_kill(t->parked, SIGURG);
  return 0;
}

int tracer_command(int number, int op, int a, int b) { return send_command(tracers[number], op, a, b, 0); }

/*
 * Starts a command. `block` has NUL-terminated strings: the path, the directory (or nothing), `argc` arguments, `envc` variables;
 * `filter` is a BPF program of `filter_length` instructions (0: none), `stdio` three fds, and 1 for a process group of its own.
 */
int tracer_start(int number, const u8 *block, int length, int argc, int envc, const u8 *filter, int filter_length, const int *stdio) {
  struct tracer *t = tracers[number];
  struct start *start = c_calloc(1, sizeof *start);
  u8 *copy = start ? c_malloc(length + 8 * (size)filter_length + 16) : 0;
  char **pointers = copy ? c_malloc((argc + envc + 2) * sizeof(char *)) : 0, *at;
  int i;
  if (!pointers) {
    c_free(copy);
    c_free(start);
    return -ENOMEM;
  }
  c_memcpy(copy + 8 * (size)filter_length, block, length);
  c_memcpy(copy, filter, 8 * (size)filter_length);
  start->block = (char *)copy;
  start->filter = filter_length ? copy : 0;
  start->filter_length = filter_length;
  at = (char *)copy + 8 * (size)filter_length;
  start->path = at;
  at += c_strlen(at) + 1;
  start->cwd = *at ? at : 0;
  at += c_strlen(at) + 1;
  start->argv = pointers;
  for (i = 0; i < argc; i++, at += c_strlen(at) + 1) *pointers++ = at;
  *pointers++ = 0;
  start->envp = pointers;
  for (i = 0; i < envc; i++, at += c_strlen(at) + 1) *pointers++ = at;
  *pointers = 0;
  for (i = 0; i < 4; i++) start->stdio[i] = stdio[i];
  c_memcpy(start->mask, t->masks, sizeof start->mask);
  return send_command(t, COMMAND_START, 0, 0, start);
}

/* Copies whole records to `out`. Returns their length in bytes; 0 if there are none, and the timer is reset. */
int tracer_take(int number, u8 *out, int room) {
  struct tracer *t = tracers[number];
  size taken = 0, tail, head, expirations;
  c_pthread_mutex_lock(t->mutex);
  head = t->head;
  tail = t->tail;
  if (head == tail) {
    t->is_armed = 0;
    c_read(t->timer, &expirations, sizeof expirations);
  }
  c_pthread_mutex_unlock(t->mutex);
  while (tail < head) {
    struct record *record = (struct record *)(t->ring + tail % t->ring_size);
    if (record->kind != RECORD_PAD) {
      if (taken + record->length > (size)room) break;
      c_memcpy(out + taken, record, record->length);
      taken += record->length;
    }
    tail += record->length;
  }
  c_pthread_mutex_lock(t->mutex);
  t->tail = tail;
  if (t->is_waiting) c_pthread_cond_signal(t->changed);
  t->is_waiting = 0;
  c_pthread_mutex_unlock(t->mutex);
  return (int)taken;
}

/* Ends the tracer thread: attached processes go on, started ones are killed. */
int tracer_close(int number) {
  struct tracer *t = tracers[number];
  struct command *command;
  int i;
  if (!t) return 0;
  c_pthread_mutex_lock(t->mutex);
  t->is_ending = 1;
  c_pthread_cond_signal(t->changed);
  c_pthread_mutex_unlock(t->mutex);
  send_command(t, COMMAND_END, 0, 0, 0);
  c_pthread_join(t->thread, 0);
  while ((command = t->commands)) {
    t->commands = command->next;
    c_free(command);
  }
  for (i = 0; i < TASK_BUCKETS; i++)
    while (t->tasks[i]) remove_task(t, t->tasks[i]);
  c_close(t->timer);
  c_free(t->ring);
  c_free(t->scratch);
  c_free(t->parked_stack);
  c_free(t);
  tracers[number] = 0;
  return 0;
}

/* Duplicates a file descriptor of another process, by its pidfd. */
int pidfd_getfd(int pidfd, int fd) {
  int copy = (int)c_syscall(438, pidfd, fd, 0);
  return copy < 0 ? -*c_errno() : copy;
}

/* Reads memory of another process. The address is given as two halves. Returns the number of bytes, or -errno. */
int peek_memory(int pid, u32 low, u32 high, u8 *out, int length) {
  struct iovec local, remote;
  word n;
  local.base = out;
  remote.base = (void *)((size)high << 32 | low);
  local.length = remote.length = length;
  n = c_process_vm_readv(pid, &local, 1, &remote, 1, 0);
  return n < 0 ? -*c_errno() : (int)n;
}

#define EXPORTED(X) \
  X(tracer_open) X(tracer_command) X(tracer_start) X(tracer_take) X(tracer_close) X(pidfd_getfd) X(peek_memory)
#define FIND(name) \
  if (c_strcmp(wanted, #name) == 0) return (size)name;

size address_of(const char *wanted) {
  if (!c_errno && init() < 0) return 0;
  EXPORTED(FIND)
  return 0;
}
