/* A native addon that calls a function of libuv with seven arguments, more than x86-64 passes in registers. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

extern int napi_get_uv_event_loop(void *env, void **loop);
extern int napi_create_int64(void *env, int64_t value, void **result);
extern size_t uv_req_size(int type);
extern int uv_fs_sendfile(void *loop, void *request, int out, int in, int64_t offset, size_t length, void *callback);
extern int uv_poll_init(void *loop, void *handle, int fd); /* a stub in Bun: the addon is connected */

void *keep_reference = (void *)uv_poll_init;

/* Exports how many bytes of a file with eight, starting at the third, were copied to another. */
void *napi_register_module_v1(void *env, void *exports) {
  void *loop = NULL, *request, *result;
  FILE *in = tmpfile(), *out = tmpfile();
  int64_t copied;
  fputs("01234567", in);
  fflush(in);
  napi_get_uv_event_loop(env, &loop);
  request = calloc(1, uv_req_size(6 /* UV_FS */));
  copied = uv_fs_sendfile(loop, request, fileno(out), fileno(in), 3, 1 << 20, NULL);
  fseek(out, 0, SEEK_SET);
  if (fgetc(out) != '3') copied = -1;
  fclose(in);
  fclose(out);
  free(request);
  napi_create_int64(env, copied, &result);
  return result;
}
