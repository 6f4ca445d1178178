/*
 * Makes native addons call the system's libuv instead of Bun's uv_* functions, and runs a loop for each JavaScript thread.
 *
 * Bun's executable comes first in the dynamic linker's search order, so an addon's uv_* symbols are bound to Bun, where most
 * of them end the process. Bun opens an addon with dlopen(). That call is redirected to host_dlopen(), which opens the addon
 * and changes its global offset table (GOT) in memory, before Bun calls the addon's first function. See docs/native-addons.md.
 *
 * Compiled on its own, without headers; see shim.c. Each JavaScript thread compiles a copy, but an addon is loaded once for
 * all threads. Everything that an addon refers to is therefore in the first copy (`host`), which the other copies look up.
 */
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long size;
typedef long word;

extern void *dlsym(void *handle, const char *name);

/* libc functions: return type, name, parameters. dlopen() and dlsym() are passed by the caller, because Bun exports names like these. */
#define LIBC(X)                                                       \
  X(char *, dlerror, (void))                                          \
  X(int, mprotect, (void *, size, int))                               \
  X(word, sysconf, (int))                                             \
  X(int, strcmp, (const char *, const char *))                        \
  X(int, strncmp, (const char *, const char *, size))                 \
  X(char *, strdup, (const char *))                                   \
  X(size, strlen, (const char *))                                     \
  X(void *, memcpy, (void *, const void *, size))                     \
  X(int, poll, (void *, size, int))                                   \
  X(void *, calloc, (size, size))                                     \
  X(void, free, (void *))                                             \
  X(void, flockfile, (void *))                                        \
  X(void, funlockfile, (void *))                                      \
  X(int, pthread_mutex_init, (void *, const void *))                  \
  X(int, pthread_mutex_lock, (void *))                                \
  X(int, pthread_mutex_unlock, (void *))                              \
  X(int, pthread_key_create, (u32 *, void (*)(void *)))               \
  X(void *, pthread_getspecific, (u32))                               \
  X(int, pthread_setspecific, (u32, const void *))

/* libuv functions that the host itself calls. */
#define LIBUV(X)                                                      \
  X(const char *, uv_version_string, (void))                          \
  X(void *, uv_default_loop, (void))                                  \
  X(size, uv_loop_size, (void))                                       \
  X(int, uv_loop_init, (void *))                                      \
  X(int, uv_loop_close, (void *))                                     \
  X(int, uv_loop_alive, (const void *))                               \
  X(int, uv_run, (void *, int))                                       \
  X(size, uv_now, (const void *))                                     \
  X(void, uv_update_time, (void *))                                   \
  X(int, uv_backend_fd, (const void *))                               \
  X(int, uv_backend_timeout, (const void *))                          \
  X(size, uv_handle_size, (int))                                      \
  X(int, uv_async_init, (void *, void *, void (*)(void *)))           \
  X(int, uv_is_active, (const void *))                                \
  X(int, uv_has_ref, (const void *))                                  \
  X(void *, uv_handle_get_loop, (const void *))                       \
  X(int, uv_fileno, (const void *, int *))                            \
  X(int, uv_poll_start, (void *, int, void (*)(void *, int, int)))    \
  X(int, uv_poll_stop, (void *))                                      \
  X(void, uv_ref, (void *))                                           \
  X(void, uv_unref, (void *))                                         \
  X(void, uv_close, (void *, void (*)(void *)))

#define DECLARE(type, name, parameters) static type(*c_##name) parameters;
#define LOOK_UP_LIBC(type, name, parameters) \
  if (!(c_##name = dlsym(0, #name))) return -1;
#define LOOK_UP_LIBUV(type, name, parameters) \
  if (!(c_##name = real_dlsym(libuv, #name))) return copy_text(texts, TEXT_SIZE, #name), -ERRNO_ENOEXEC;

LIBC(DECLARE)
LIBUV(DECLARE)

enum { UV_ASYNC = 1, UV_RUN_NOWAIT = 2 };
enum { RTLD_LAZY = 1, RTLD_GLOBAL = 0x100, PROT_READ = 1, PROT_WRITE = 2, SC_PAGESIZE = 30 };
enum { ERRNO_ENOENT = 2, ERRNO_ENOEXEC = 8, ERRNO_ENOMEM = 12, ERRNO_EALREADY = 114, ERRNO_ENOSYS = 38 };

/* ---- state shared by all threads ---- */

enum { MAX_WRAPPERS = 320, MAX_ENVS = 64, CLEANUP_RUNS = 8, CLEANUP_WAIT_MS = 10, POLL_BUCKETS = 256, TEXT_SIZE = 512 };

/* A poll handle that has been started. */
struct poll_handle {
  void *handle;
  int events;
  int is_deferred; /* the last uv_poll_start() takes effect after the next run */
  int next_events;
  void (*next_callback)(void *, int, int);
  struct poll_handle *next;
};

/* The loop of one JavaScript thread. */
struct loop {
  void *uv;
  void *keep;         /* an async handle, ref'd while the host runs the loop: without one, libuv ignores unref'd handles */
  void (*wake)(void); /* schedules a run on the thread's event loop; callable at any time */
  int is_requested;   /* a run is scheduled */
  int is_running;
  int expects_addon; /* the next dlopen() of this thread opens an addon that needs libuv */
  int is_default;
  int has_deferred;
  struct poll_handle *polls[POLL_BUCKETS];
  int env_count;
  void *envs[MAX_ENVS]; /* the environments with a cleanup hook */
};

/* The memory of the first copy, which lives as long as the process. */
struct host {
  u32 key; /* pthread key: the thread's struct loop */
  void *libuv;
  void *(*dlopen)(const char *, int);
  void *(*dlsym)(void *, const char *);
  size mutex[8];
  int wrapper_count;
  const char *names[MAX_WRAPPERS];
  u8 uses_time[MAX_WRAPPERS]; /* not for functions with double arguments: update_time() may overwrite their registers */
  word (*targets[MAX_WRAPPERS])(word, word, word, word, word, word, word, word);
  int (*napi_add_env_cleanup_hook)(void *, void (*)(void *), void *);
  int (*napi_create_string_utf8)(void *, const char *, size, void **);
  int (*napi_run_script)(void *, void *, void **);
  char *attach_script; /* JavaScript that attaches a loop to its thread */
};

static struct host own_host, *host;
static void *(*real_dlopen)(const char *, int);
static void *(*real_dlsym)(void *, const char *);

/* dlopen() of this path returns the host. No file has this name. */
static const char HOST_QUERY[] = "epoll-hello:libuv-host:1";

/* Copies a string of any length. */
static void copy_text(char *out, int length, const char *text) {
  int n = c_strlen(text);
  if (n >= length) n = length - 1;
  c_memcpy(out, text, n);
  out[n] = 0;
}

static struct loop *current_loop(void) { return c_pthread_getspecific(own_host.key); }

/* ---- wrappers of libuv functions ----

   A function that an addon calls may start or stop something in the loop, so a run follows: it passes new watchers to the
   kernel, and its result says how long the process stays alive. libuv's functions have at most eight arguments. They are
   integers and pointers, which are passed on; double arguments (uv_fs_utime) stay in their registers.
   The loop's time is that of its last run, which may be long ago. It is updated before a call that uses it. */

static void request_run(void) {
  struct loop *loop = current_loop(); /* none in threads of libuv or of the addon */
  if (!loop || loop->is_running || loop->is_requested) return;
  loop->is_requested = 1;
  loop->wake();
}

static void update_time(void) {
  struct loop *loop = current_loop();
  if (loop && !loop->is_running) c_uv_update_time(loop->uv);
}

#define WRAPPER(n)                                                                               \
  static word wrapper_##n(word a, word b, word c, word d, word e, word f, word g, word h) {      \
    word value;                                                                                  \
    if (own_host.uses_time[n]) update_time();                                                    \
    value = own_host.targets[n](a, b, c, d, e, f, g, h);                                         \
    request_run();                                                                               \
    return value;                                                                                \
  }
#define CASE(n) \
  case n: return wrapper_##n;
#define TEN(X, n) X(n##0) X(n##1) X(n##2) X(n##3) X(n##4) X(n##5) X(n##6) X(n##7) X(n##8) X(n##9)
#define ALL(X)                                                                                          \
  X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9)                                                     \
  TEN(X, 1) TEN(X, 2) TEN(X, 3) TEN(X, 4) TEN(X, 5) TEN(X, 6) TEN(X, 7) TEN(X, 8) TEN(X, 9) TEN(X, 10)  \
  TEN(X, 11) TEN(X, 12) TEN(X, 13) TEN(X, 14) TEN(X, 15) TEN(X, 16) TEN(X, 17) TEN(X, 18) TEN(X, 19)    \
  TEN(X, 20) TEN(X, 21) TEN(X, 22) TEN(X, 23) TEN(X, 24) TEN(X, 25) TEN(X, 26) TEN(X, 27) TEN(X, 28)    \
  TEN(X, 29) TEN(X, 30) TEN(X, 31)

ALL(WRAPPER)

static void *wrapper_address(int n) {
  switch (n) { ALL(CASE) }
  return 0;
}

/* Functions that change no loop and are called often, from any thread. uv_buf_init returns a struct. */
static int is_called_directly(const char *name) {
  return !c_strncmp(name, "uv_mutex_", 9) || !c_strncmp(name, "uv_cond_", 8) || !c_strncmp(name, "uv_sem_", 7) ||
         !c_strncmp(name, "uv_rwlock_", 10) || !c_strcmp(name, "uv_async_send") || !c_strcmp(name, "uv_buf_init") ||
         !c_strcmp(name, "uv_hrtime");
}

/* Returns the wrapper of a function, which is shared by all addons. */
static void *wrap(const char *name, void *target) {
  int n;
  if (is_called_directly(name)) return target;
  for (n = 0; n < own_host.wrapper_count; n++)
    if (c_strcmp(own_host.names[n], name) == 0) return wrapper_address(n);
  if (n == MAX_WRAPPERS) return target; /* libuv 1.52 has 318 functions */
  if (!(own_host.names[n] = c_strdup(name))) return target; /* copied: if loading fails, the addon's strings are unmapped */
  own_host.targets[n] = target;
  own_host.uses_time[n] = !c_strncmp(name, "uv_timer_", 9) || !c_strncmp(name, "uv_fs_poll_", 11);
  own_host.wrapper_count++;
  return wrapper_address(n);
}

/* ---- poll handles ----

   uv_poll_start() replaces the events that a handle waits for. serialport calls it to wait for one direction while the other is
   pending, and so loses an event that is ready but not yet delivered. Once the buffers of both directions are full, it stalls.
   If a call replaces all events of a handle, those that are ready are therefore delivered before the call takes effect. */

static struct poll_handle **find_poll(struct loop *loop, void *handle) {
  struct poll_handle **at = &loop->polls[((size)handle >> 4) % POLL_BUCKETS];
  while (*at && (*at)->handle != handle) at = &(*at)->next;
  return at;
}

static void forget_poll(void *handle) {
  struct loop *loop = current_loop();
  struct poll_handle **at, *found;
  if (!loop || !(found = *(at = find_poll(loop, handle)))) return;
  *at = found->next;
  c_free(found);
}

/* Returns whether one of the events is ready. The bits of uv_poll_event are 1, 2, 4, 8; those of poll(2) differ. */
static int is_ready(void *handle, int events) {
  int pollfd[2];
  if (c_uv_fileno(handle, &pollfd[0]) < 0) return 0;
  pollfd[1] = (events & 1 ? 1 : 0) | (events & 2 ? 4 : 0) | (events & 8 ? 2 : 0);
  return c_poll(pollfd, 1, 0) > 0;
}

static int host_poll_start(void *handle, int events, void (*callback)(void *, int, int)) {
  struct loop *loop = current_loop();
  struct poll_handle **at, *poll;
  int error;
  if (!loop || c_uv_handle_get_loop(handle) != loop->uv) return c_uv_poll_start(handle, events, callback);
  at = find_poll(loop, handle);
  poll = *at;
  if (poll && events && !(poll->events & events) && !loop->is_running && c_uv_is_active(handle) &&
      is_ready(handle, poll->events)) {
    poll->next_events = events;
    poll->next_callback = callback;
    poll->is_deferred = loop->has_deferred = 1;
    request_run();
    return 0;
  }
  error = c_uv_poll_start(handle, events, callback);
  request_run();
  if (error || !events) return forget_poll(handle), error;
  if (!poll && (poll = c_calloc(1, sizeof *poll))) {
    poll->handle = handle;
    *at = poll;
  }
  if (poll) poll->events = events, poll->is_deferred = 0;
  return 0;
}

static int host_poll_stop(void *handle) {
  int error;
  forget_poll(handle);
  error = c_uv_poll_stop(handle);
  request_run();
  return error;
}

static void host_close(void *handle, void (*callback)(void *)) {
  forget_poll(handle);
  c_uv_close(handle, callback);
  request_run();
}

/* Makes the deferred uv_poll_start() calls, except those that a callback has replaced. */
static void start_deferred_polls(struct loop *loop) {
  struct poll_handle *poll;
  int i;
  loop->has_deferred = 0;
  for (i = 0; i < POLL_BUCKETS; i++)
    for (poll = loop->polls[i]; poll; poll = poll->next) {
      if (!poll->is_deferred) continue;
      poll->is_deferred = 0;
      poll->events = poll->next_events;
      c_uv_poll_start(poll->handle, poll->events, poll->next_callback);
      request_run();
    }
}

/* Runs the loop once, without waiting. uv_run() does nothing if all handles are unref'd, so `keep` is ref'd meanwhile. */
static int run_loop(struct loop *loop) {
  loop->is_requested = 0;
  loop->is_running = 1;
  c_uv_ref(loop->keep);
  c_uv_run(loop->uv, UV_RUN_NOWAIT);
  c_uv_unref(loop->keep);
  loop->is_running = 0;
  if (loop->has_deferred) start_deferred_polls(loop);
  return 0;
}

/*
 * The public fields of uv_loop_t and uv_handle_t, the same in all of libuv 1.x. They are read instead of calling uv_walk(),
 * because an addon may have freed a handle without closing it.
 */
struct uv_list {
  struct uv_list *next, *previous;
};
struct uv_loop {
  void *data;
  u32 active_handles; /* ref'd ones */
  struct uv_list handles;
};
struct uv_handle {
  void *data, *loop;
  int type;
  void *close_callback;
  struct uv_list handles;
};

static int has_active_handles(struct loop *loop) { return ((struct uv_loop *)loop->uv)->active_handles > 0; }

/* Returns whether an addon has left a handle. New ones are appended, so otherwise `keep` is the last. */
static int has_other_handles(struct loop *loop) {
  return ((struct uv_loop *)loop->uv)->handles.previous != &((struct uv_handle *)loop->keep)->handles;
}

/*
 * Finishes closing the handles that an addon's cleanup hooks have closed, and requests in the thread pool, before a Worker or
 * the process ends. Does not wait for handles that the addon leaves open.
 */
static void run_at_cleanup(void *argument) {
  struct loop *loop = argument;
  int i, backend[2];
  if (loop != current_loop() || loop->is_running) return;
  for (i = 0; i < CLEANUP_RUNS; i++) {
    run_loop(loop);
    if (!c_uv_loop_alive(loop->uv) || has_active_handles(loop)) return;
    backend[0] = c_uv_backend_fd(loop->uv);
    backend[1] = 1; /* POLLIN */
    c_poll(backend, 1, CLEANUP_WAIT_MS);
  }
}

/* Attaches a loop to a Worker that has loaded an addon without having loaded this module. */
static struct loop *attach_by_script(void *env) {
  void *script, *result;
  if (!own_host.attach_script || !own_host.napi_run_script || !own_host.napi_create_string_utf8) return 0;
  if (own_host.napi_create_string_utf8(env, own_host.attach_script, -1, &script)) return 0;
  own_host.napi_run_script(env, script, &result);
  return current_loop();
}

static int host_get_uv_event_loop(void *env, void **out) {
  struct loop *loop = current_loop();
  int i;
  if (!env || !out) return 1; /* napi_invalid_arg */
  if (!loop && !(loop = attach_by_script(env))) return 9; /* napi_generic_failure */
  *out = loop->uv;
  for (i = 0; i < loop->env_count; i++)
    if (loop->envs[i] == env) return 0;
  if (i < MAX_ENVS && own_host.napi_add_env_cleanup_hook) {
    loop->envs[loop->env_count++] = env;
    own_host.napi_add_env_cleanup_hook(env, run_at_cleanup, loop);
  }
  return 0;
}

static void *host_default_loop(void) {
  struct loop *loop = current_loop();
  return loop ? loop->uv : c_uv_default_loop();
}

static size host_now(const void *uv) {
  update_time();
  return c_uv_now(uv);
}

/* In a callback of the loop, `keep` is ref'd. These functions hide that from the addon. */

static int host_run_by_addon(void *uv, int mode) {
  struct loop *loop = current_loop();
  int value, had_ref;
  if (!loop || loop->uv != uv) return c_uv_run(uv, mode);
  if (!loop->is_running && loop->has_deferred) run_loop(loop); /* it would not make the deferred calls */
  had_ref = c_uv_has_ref(loop->keep); /* callbacks of this run may call this function again */
  c_uv_unref(loop->keep);
  value = c_uv_run(uv, mode);
  if (had_ref) c_uv_ref(loop->keep);
  request_run();
  return value;
}

static int host_loop_alive(const void *uv) {
  struct loop *loop = current_loop();
  int value, had_ref;
  if (!loop || loop->uv != uv) return c_uv_loop_alive(uv);
  had_ref = c_uv_has_ref(loop->keep);
  c_uv_unref(loop->keep);
  value = c_uv_loop_alive(uv);
  if (had_ref) c_uv_ref(loop->keep);
  return value;
}

/* ---- changing the global offset tables ---- */

/* dlopen() returns one, in glibc and musl. */
struct link_map {
  size base;
  char *name;
  struct dyn *dynamic;
  struct link_map *next, *previous;
};

struct dyn {
  word tag;
  size value;
};

struct rela {
  size offset;
  u32 type, symbol;
  word addend;
};

struct sym {
  u32 name;
  u8 info, other;
  unsigned short section;
  size value, length;
};

enum { STB_WEAK = 2 };
enum { DT_PLTRELSZ = 2, DT_STRTAB = 5, DT_SYMTAB = 6, DT_RELA = 7, DT_RELASZ = 8, DT_STRSZ = 10, DT_JMPREL = 23, DT_TAGS = 24 };

/* Relocations that hold the address of a symbol. */
#ifdef __x86_64__
enum { R_ABSOLUTE = 1, R_GLOB_DAT = 6, R_JUMP_SLOT = 7 };
#else
enum { R_ABSOLUTE = 257, R_GLOB_DAT = 1025, R_JUMP_SLOT = 1026 };
#endif

/* Finds the pages that are read-only after relocation. As in the dynamic linker, a partial last page is excluded. */
static void find_relro(size base, size page, size *start, size *end) {
  const u8 *header = (const u8 *)base;
  int i, count;
  *start = *end = 0;
  if (!base || *(u32 *)header != 0x464c457f /* "\x7fELF" */) return;
  count = *(unsigned short *)(header + 56);
  for (i = 0; i < count; i++) {
    const u8 *program = header + *(size *)(header + 32) + i * *(unsigned short *)(header + 54);
    if (*(u32 *)program != 0x6474e552 /* PT_GNU_RELRO */) continue;
    *start = base + *(size *)(program + 16);
    *end = (*start + *(size *)(program + 40)) & -page;
    *start &= -page;
  }
}

typedef void *(*replacement)(const char *name);

/* Returns whether a weak symbol, which may be missing, names a function that libuv lacks. Bun may export it nevertheless. */
static int is_missing(const struct sym *symbol, const char *name) {
  return symbol->info >> 4 == STB_WEAK && !symbol->section && c_strncmp(name, "uv_", 3) == 0;
}

/* Changes the entries of a table of relocations, which has `bytes` bytes. */
static int change_entries(struct link_map *object, const size *tags, size table, size bytes, replacement replace) {
  struct rela *relocation = (struct rela *)table;
  struct sym *symbols = (struct sym *)tags[DT_SYMTAB];
  const char *names = (const char *)tags[DT_STRTAB];
  size page = c_sysconf(SC_PAGESIZE), relro_start, relro_end, i;
  int changed = 0;
  find_relro(object->base, page, &relro_start, &relro_end);
  for (i = 0; table && i < bytes / sizeof *relocation; i++) {
    u32 type = relocation[i].type, name;
    size slot, first, length;
    void *target;
    if (!relocation[i].symbol || (type != R_ABSOLUTE && type != R_GLOB_DAT && type != R_JUMP_SLOT)) continue;
    name = symbols[relocation[i].symbol].name;
    if (name >= tags[DT_STRSZ]) continue;
    target = replace(names + name);
    if (!target && !is_missing(&symbols[relocation[i].symbol], names + name)) continue;
    slot = object->base + relocation[i].offset;
    first = slot & -page;
    length = ((slot + 7) & -page) + page - first;
    if (c_mprotect((void *)first, length, PROT_READ | PROT_WRITE) < 0) continue;
    *(size *)slot = target ? (size)target + (type == R_ABSOLUTE ? relocation[i].addend : 0) : 0;
    if (first >= relro_start && first + length <= relro_end) c_mprotect((void *)first, length, PROT_READ);
    changed++;
  }
  return changed;
}

/* Reads the values of an object's dynamic section that have low tags. */
static void read_tags(struct link_map *object, size *tags) {
  struct dyn *entry = object->dynamic;
  int i;
  for (i = 0; i < DT_TAGS; i++) tags[i] = 0;
  for (; entry && entry->tag; entry++)
    if (entry->tag > 0 && entry->tag < DT_TAGS) tags[entry->tag] = entry->value;
  for (i = 0; i < DT_TAGS; i++) /* glibc has added the base to addresses, musl has not */
    if ((i == DT_STRTAB || i == DT_SYMTAB || i == DT_RELA || i == DT_JMPREL) && tags[i] && tags[i] < object->base)
      tags[i] += object->base;
}

/* Replaces the targets of an object's references to functions. Returns the number changed. */
static int change_references(struct link_map *object, replacement replace) {
  size tags[DT_TAGS];
  read_tags(object, tags);
  if (!tags[DT_SYMTAB] || !tags[DT_STRTAB]) return 0;
  return change_entries(object, tags, tags[DT_RELA], tags[DT_RELASZ], replace) +
         change_entries(object, tags, tags[DT_JMPREL], tags[DT_PLTRELSZ], replace);
}

/* Returns libuv's function for libuv itself, whose own calls are bound to Bun as well. */
static void *libuvs_function(const char *name) {
  return c_strncmp(name, "uv_", 3) == 0 ? own_host.dlsym(own_host.libuv, name) : 0;
}

/* Returns the function that an addon calls instead, or 0. */
static void *addons_function(const char *name) {
  void *target;
  if (c_strcmp(name, "napi_get_uv_event_loop") == 0) return host_get_uv_event_loop;
  if (c_strcmp(name, "uv_default_loop") == 0) return host_default_loop;
  if (c_strcmp(name, "uv_now") == 0) return host_now;
  if (c_strcmp(name, "uv_poll_start") == 0) return host_poll_start;
  if (c_strcmp(name, "uv_poll_stop") == 0) return host_poll_stop;
  if (c_strcmp(name, "uv_close") == 0) return host_close;
  if (c_strcmp(name, "uv_run") == 0) return host_run_by_addon;
  if (c_strcmp(name, "uv_loop_alive") == 0) return host_loop_alive;
  if (c_strncmp(name, "uv_", 3) != 0) return 0;
  target = own_host.dlsym(own_host.libuv, name);
  return target ? wrap(name, target) : 0;
}

/* Bun calls this instead of dlopen(). */
static void *host_dlopen(const char *path, int flags) {
  struct loop *loop = current_loop();
  struct link_map *last = 0, *handle;
  if (path && c_strcmp(path, HOST_QUERY) == 0) return &own_host;
  if (!loop || !loop->expects_addon) return own_host.dlopen(path, flags);
  loop->expects_addon = 0;
  c_pthread_mutex_lock(own_host.mutex); /* another thread may unmap an addon that fails to load */
  for (last = own_host.libuv; last->next; last = last->next) {}
  handle = own_host.dlopen(path, flags);
  if (handle) change_references(handle, addons_function);
  /* Includes the addon's own libraries: new objects are appended to the list. */
  for (last = last->next; handle && last; last = last->next)
    if (last != handle) change_references(last, addons_function);
  c_pthread_mutex_unlock(own_host.mutex);
  return handle;
}

static void *redirect_dlopen(const char *name) { return c_strcmp(name, "dlopen") == 0 ? (void *)host_dlopen : 0; }

/* Returns the current target of Bun's reference to dlopen(). */
static void *find_dlopen(struct link_map *program) {
  size tags[DT_TAGS], i;
  struct rela *relocation;
  read_tags(program, tags);
  relocation = (struct rela *)tags[DT_JMPREL];
  for (i = 0; relocation && i < tags[DT_PLTRELSZ] / sizeof *relocation; i++) {
    const char *name = (const char *)tags[DT_STRTAB] + ((struct sym *)tags[DT_SYMTAB])[relocation[i].symbol].name;
    if (relocation[i].type == R_JUMP_SLOT && c_strcmp(name, "dlopen") == 0)
      return *(void **)(program->base + relocation[i].offset);
  }
  return 0;
}

/* ---- called from JavaScript; each function returns >= 0 or -errno ---- */

static struct loop *thread_loop; /* of the thread that has compiled this copy */

/* Frees the loop when its thread exits, unless an addon has left a handle in it, whose memory may have been freed. */
static void on_thread_exit(void *argument) {
  struct loop *loop = argument;
  if (loop->is_default || c_uv_loop_alive(loop->uv) || has_other_handles(loop)) return;
  c_uv_close(loop->keep, 0);
  c_uv_run(loop->uv, UV_RUN_NOWAIT);
  if (c_uv_loop_close(loop->uv) < 0) return;
  c_free(loop->keep);
  c_free(loop->uv);
  c_free(loop);
}

static int open_host(const char *path, size *functions, char *texts) {
  struct link_map *program, *libuv;
  void *found;
  texts[0] = texts[TEXT_SIZE] = texts[2 * TEXT_SIZE] = 0;
  real_dlopen = (void *)functions[0];
  real_dlsym = (void *)functions[1];
  program = real_dlopen(0, RTLD_LAZY);
  if (!(found = find_dlopen(program))) return -ERRNO_ENOSYS;
  /* Only a host answers the query. Otherwise the target is libc's dlopen(), or the linker's stub that resolves it. */
  found = ((void *(*)(const char *, int))found)(HOST_QUERY, RTLD_LAZY);
  if (found) host = found;
  libuv = host ? host->libuv : real_dlopen(path, RTLD_LAZY | RTLD_GLOBAL);
  if (!libuv) return copy_text(texts, TEXT_SIZE, c_dlerror()), -ERRNO_ENOENT;
  LIBUV(LOOK_UP_LIBUV)
  copy_text(texts + TEXT_SIZE, TEXT_SIZE, c_uv_version_string());
  copy_text(texts + 2 * TEXT_SIZE, TEXT_SIZE, libuv->name);
  if (host) return 0;
  own_host.libuv = libuv;
  own_host.dlopen = real_dlopen;
  own_host.dlsym = real_dlsym;
  own_host.napi_add_env_cleanup_hook = dlsym(0, "napi_add_env_cleanup_hook");
  own_host.napi_create_string_utf8 = dlsym(0, "napi_create_string_utf8");
  own_host.napi_run_script = dlsym(0, "napi_run_script");
  c_pthread_mutex_init(own_host.mutex, 0);
  if (c_pthread_key_create(&own_host.key, on_thread_exit)) return -11 /* EAGAIN */;
  change_references(libuv, libuvs_function);
  if (!change_references(program, redirect_dlopen)) return -ERRNO_ENOSYS;
  host = &own_host;
  return 0;
}

/*
 * Opens libuv, or finds the host that another thread has set up. `functions` holds the addresses of dlopen() and dlsym().
 * `texts` receives three strings of 512 bytes: an error, the version, and the path of libuv.
 */
int host_open(const char *path, size *functions, char *texts) {
  /* Threads that open it at the same time share no state of ours yet, but they share the lock of stderr. */
  void **lock = dlsym(0, "stderr");
  int result;
  if (lock) c_flockfile(*lock);
  result = open_host(path, functions, texts);
  if (lock) c_funlockfile(*lock);
  return result;
}

/* Returns 1 if libuv has a function, else 0. */
int host_has(const char *name) { return host->dlsym(host->libuv, name) != 0; }

/* Sets the JavaScript that attaches a loop to its thread. Later calls have no effect. */
int host_set_attach_script(const char *script) {
  if (!host->attach_script) host->attach_script = c_strdup(script);
  return 0;
}

/* Creates the loop of this thread. `functions` holds the address of a function that schedules a run. */
int host_attach(int is_main, size *functions) {
  struct loop *loop = thread_loop;
  int error = 0;
  if (!loop) {
    if (!(loop = c_calloc(1, sizeof *loop))) return -ERRNO_ENOMEM;
    loop->is_default = is_main;
    loop->uv = is_main ? c_uv_default_loop() : c_calloc(1, c_uv_loop_size());
    loop->keep = c_calloc(1, c_uv_handle_size(UV_ASYNC));
    if (!loop->uv || !loop->keep) error = -ERRNO_ENOMEM;
    else if (is_main || !(error = c_uv_loop_init(loop->uv))) {
      error = c_uv_async_init(loop->uv, loop->keep, 0);
      if (error < 0 && !is_main) c_uv_loop_close(loop->uv);
    }
    if (error < 0) {
      if (!is_main) c_free(loop->uv);
      c_free(loop->keep);
      c_free(loop);
      return error;
    }
    c_uv_unref(loop->keep);
    thread_loop = loop;
  } /* otherwise an earlier attempt has failed after this call */
  loop->wake = (void (*)(void))functions[0];
  loop->is_requested = 0;
  return -c_pthread_setspecific(host->key, loop);
}

/* Returns the epoll fd of the loop. */
int host_backend_fd(void) { return c_uv_backend_fd(thread_loop->uv); }

/* Runs the loop once, without waiting. Returns -EALREADY in a callback of the loop. */
int host_run(void) { return thread_loop->is_running ? -ERRNO_EALREADY : run_loop(thread_loop); }

/* Returns how long the loop may wait, in milliseconds + 1; 0 means indefinitely. Bit 30 is set if something keeps it alive. */
int host_state(void) {
  struct loop *loop = thread_loop;
  int timeout, had_ref = c_uv_has_ref(loop->keep);
  if (!loop->is_running) c_uv_update_time(loop->uv); /* the callbacks of the run may have taken long */
  c_uv_ref(loop->keep);
  timeout = c_uv_backend_timeout(loop->uv);
  c_uv_unref(loop->keep);
  if (timeout > 0x20000000) timeout = 0x20000000;
  timeout = (timeout + 1) | (c_uv_loop_alive(loop->uv) ? 1 << 30 : 0);
  if (had_ref) c_uv_ref(loop->keep);
  return timeout;
}

/* Announces that this thread is about to open an addon (1), or has opened it (0). */
int host_expect_addon(int expects) { return thread_loop->expects_addon = expects, 0; }

static int init(void) {
  LIBC(LOOK_UP_LIBC)
  return 0;
}

#define FIND(function) \
  if (c_strcmp(name, #function) == 0) return (size)function;

/* Returns the address of a function, or 0. */
size address_of(const char *name) {
  if (!c_pthread_setspecific && init() < 0) return 0;
  FIND(host_open) FIND(host_has) FIND(host_attach) FIND(host_set_attach_script) FIND(host_backend_fd) FIND(host_run) FIND(host_state)
  FIND(host_expect_addon)
  return 0;
}
