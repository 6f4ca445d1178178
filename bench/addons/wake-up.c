/*
 * A native addon that measures the time from uv_async_send() in another thread to the callback in the loop's thread. The loop is
 * idle before each of them. measure(count, callback) calls back with the median in µs. Built with `cc -shared -fPIC`, without headers.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

typedef void *napi_env, *napi_value, *napi_ref, *napi_scope, *napi_info;
typedef napi_value (*napi_callback)(napi_env, napi_info);

extern int napi_get_uv_event_loop(napi_env, void **);
extern int napi_create_function(napi_env, const char *, size_t, napi_callback, void *, napi_value *);
extern int napi_set_named_property(napi_env, napi_value, const char *, napi_value);
extern int napi_get_cb_info(napi_env, napi_info, size_t *, napi_value *, napi_value *, void **);
extern int napi_get_value_uint32(napi_env, napi_value, uint32_t *);
extern int napi_create_double(napi_env, double, napi_value *);
extern int napi_create_reference(napi_env, napi_value, uint32_t, napi_ref *);
extern int napi_get_reference_value(napi_env, napi_ref, napi_value *);
extern int napi_open_handle_scope(napi_env, napi_scope *);
extern int napi_close_handle_scope(napi_env, napi_scope);
extern int napi_get_global(napi_env, napi_value *);
extern int napi_make_callback(napi_env, void *, napi_value, napi_value, size_t, const napi_value *, napi_value *);

extern size_t uv_handle_size(int);
extern int uv_async_init(void *, void *, void (*)(void *));
extern int uv_async_send(void *);
extern void uv_close(void *, void (*)(void *));

enum { UV_ASYNC = 1, AUTO = -1, WARM_UP = 200, IDLE_US = 2000 };

static struct {
  napi_env env;
  napi_ref callback;
  void *async;
  uint32_t count, done;
  sem_t next;
  double sent_at, *times;
} state;

static double now_us(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static void *sender(void *unused) {
  for (uint32_t i = 0; i < WARM_UP + state.count; i++) {
    sem_wait(&state.next);
    usleep(IDLE_US); /* the loop becomes idle */
    state.sent_at = now_us();
    uv_async_send(state.async);
  }
  return unused;
}

static int compare(const void *a, const void *b) {
  return (*(double *)a > *(double *)b) - (*(double *)a < *(double *)b);
}

static void on_async(void *async) {
  double elapsed = now_us() - state.sent_at;
  napi_scope scope;
  napi_value function, global, value, result;
  if (state.done++ >= WARM_UP) state.times[state.done - 1 - WARM_UP] = elapsed;
  if (state.done < WARM_UP + state.count) {
    sem_post(&state.next);
    return;
  }
  uv_close(async, NULL);
  qsort(state.times, state.count, sizeof *state.times, compare);
  napi_open_handle_scope(state.env, &scope);
  napi_get_reference_value(state.env, state.callback, &function);
  napi_get_global(state.env, &global);
  napi_create_double(state.env, state.times[state.count / 2], &value);
  napi_make_callback(state.env, NULL, global, function, 1, &value, &result);
  napi_close_handle_scope(state.env, scope);
}

static napi_value measure(napi_env env, napi_info info) {
  napi_value arguments[2];
  size_t length = 2;
  pthread_t thread;
  void *loop;
  napi_get_cb_info(env, info, &length, arguments, NULL, NULL);
  napi_get_value_uint32(env, arguments[0], &state.count);
  napi_create_reference(env, arguments[1], 1, &state.callback);
  napi_get_uv_event_loop(env, &loop);
  state.env = env;
  state.times = calloc(state.count, sizeof *state.times);
  state.async = malloc(uv_handle_size(UV_ASYNC));
  uv_async_init(loop, state.async, on_async);
  sem_init(&state.next, 0, 1);
  pthread_create(&thread, NULL, sender, NULL);
  pthread_detach(thread);
  return NULL;
}

napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  napi_value function;
  napi_create_function(env, "measure", AUTO, measure, NULL, &function);
  napi_set_named_property(env, exports, "measure", function);
  return exports;
}
