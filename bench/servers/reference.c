/*
 * A reference server in C on epoll. It works as EpollServer does: it doesn't parse a head again that has the same bytes as the last
 * one (otherwise it searches for the end and the Connection field), accepts and receives as eagerly, sends all responses of a
 * wake-up in one call, and updates the Date once per second. It has no timeouts and doesn't validate requests.
 *
 *   cc -O2 -o reference reference.c && ./reference [bytes of the body]
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 1024, BUFFER = 65536, BURST = 64, BATCH = 256, FDS = 1 << 20 };

struct connection {
  char *pending; /* an incomplete request */
  int pending_size;
  char *out; /* output that the kernel had no room for */
  size_t out_at, out_size;
  int closes, lingers, is_watched;
};

static struct connection *connections[FDS];
static char input[BUFFER], known[BUFFER], *responses, *last_response;
static int known_size, epfd;
static size_t response_size, last_size, body_size = 24;
static time_t dated;

static void date_responses(void) {
  static char date[64];
  char head[512], last[512];
  time_t now = time(0);
  size_t at;
  int head_size, last_head;
  if (now == dated) return;
  dated = now;
  strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&now));
  head_size = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n\r\n", date, body_size);
  last_head = snprintf(last, sizeof last, "HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", date, body_size);
  response_size = head_size + body_size;
  last_size = last_head + body_size;
  if (!responses) responses = malloc((body_size > 4096 ? 1 : BATCH) * (body_size + 512)), last_response = malloc(last_size);
  for (at = 0; at < (body_size > 4096 ? 1 : BATCH) * response_size; at += response_size) {
    memcpy(responses + at, head, head_size);
    memset(responses + at + head_size, 'x', body_size);
    if (body_size == 24) memcpy(responses + at + head_size, "Hello from Epoll server!", 24);
  }
  memcpy(last_response, last, last_head);
  memcpy(last_response + last_head, responses + head_size, body_size);
}

static void watch(int fd, unsigned mask) {
  struct epoll_event event = {mask, {.fd = fd}};
  int is_watched = connections[fd] && connections[fd]->is_watched;
  epoll_ctl(epfd, is_watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
  if (connections[fd]) connections[fd]->is_watched = 1;
}

static void end(int fd) {
  struct connection *c = connections[fd];
  if (c->is_watched) epoll_ctl(epfd, EPOLL_CTL_DEL, fd, 0);
  close(fd);
  free(c->pending);
  free(c->out);
  free(c);
  connections[fd] = 0;
}

/* Sends what the kernel takes and keeps the rest. Returns 0 if the connection is closed. */
static int send_all(int fd, struct connection *c, const char *bytes, size_t size) {
  ssize_t n = send(fd, bytes, size, MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN) return end(fd), 0;
  if (n < 0) n = 0;
  if ((size_t)n < size) {
    c->out = malloc(size - n);
    c->out_at = 0;
    c->out_size = size - n;
    memcpy(c->out, bytes + n, size - n);
    watch(fd, EPOLLOUT);
  }
  return 1;
}

/* Closes after the last response. If more input may have arrived meanwhile, half-closes and drains it instead. */
static void finish(int fd, struct connection *c, int has_no_input) {
  if (!c->closes || c->out) return;
  if (has_no_input) return end(fd);
  shutdown(fd, SHUT_WR);
  c->lingers = 1;
}

static void receive(int fd) {
  struct connection *c = connections[fd];
  char *at = input, *stop;
  int responses_owed = 0, n;
  if (c->pending) memcpy(input, c->pending, c->pending_size);
  n = recv(fd, input + c->pending_size, BUFFER - c->pending_size, 0);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) return end(fd);
  if (c->lingers) return;
  stop = input + c->pending_size + n;
  free(c->pending);
  c->pending = 0;
  c->pending_size = 0;
  while (at < stop && !c->closes) {
    if (known_size && stop - at >= known_size && memcmp(at, known, known_size) == 0) {
      at += known_size;
      responses_owed++;
    } else {
      char *head_end = memmem(at, stop - at, "\r\n\r\n", 4);
      int size, is_old, says_close;
      if (!head_end) break;
      size = head_end + 4 - at;
      *head_end = 0;
      is_old = strstr(at, " HTTP/1.0") != 0;
      says_close = is_old ? !strcasestr(at, "\nconnection: keep-alive") : strcasestr(at, "\nconnection: close") != 0;
      *head_end = '\r';
      if (says_close) {
        c->closes = 1;
      } else {
        memcpy(known, at, known_size = size);
        responses_owed++;
      }
      at += size;
    }
  }
  if (at < stop && !c->closes) {
    c->pending_size = stop - at;
    c->pending = malloc(c->pending_size);
    memcpy(c->pending, at, c->pending_size);
  }
  while (responses_owed > 0) {
    int count = body_size > 4096 ? 1 : responses_owed < BATCH ? responses_owed : BATCH;
    if (!send_all(fd, c, responses, count * response_size)) return;
    responses_owed -= count;
    if (c->out) return;
  }
  if (c->closes && send_all(fd, c, last_response, last_size)) finish(fd, c, at == stop);
}

static void send_rest(int fd) {
  struct connection *c = connections[fd];
  ssize_t n = send(fd, c->out + c->out_at, c->out_size - c->out_at, MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN) return end(fd);
  if (n > 0) c->out_at += n;
  if (c->out_at < c->out_size) return;
  free(c->out);
  c->out = 0;
  watch(fd, EPOLLIN);
  finish(fd, c, 0);
}

int main(int count, char **arguments) {
  static struct epoll_event events[EVENTS];
  struct sockaddr_in address = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {0}};
  socklen_t size = sizeof address;
  int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), i, n, fd;
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if (count > 1) body_size = atol(arguments[1]);
  setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 4096)) return perror("listen"), 1;
  getsockname(listener, (struct sockaddr *)&address, &size);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  epfd = epoll_create1(EPOLL_CLOEXEC);
  watch(listener, EPOLLIN);
  for (;;) {
    n = epoll_wait(epfd, events, EVENTS, -1);
    date_responses();
    for (i = 0; i < n; i++) {
      fd = events[i].data.fd;
      if (fd == listener) {
        struct sockaddr_storage peer;
        int burst, connection;
        for (burst = 0; burst < BURST; burst++) {
          size = sizeof peer;
          connection = accept4(listener, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
          if (connection < 0) break;
          if (connection >= FDS) {
            close(connection);
            continue;
          }
          connections[connection] = calloc(1, sizeof(struct connection));
          receive(connection);
          if (connections[connection] && !connections[connection]->is_watched) watch(connection, EPOLLIN);
        }
      } else if (!connections[fd]) {
        continue;
      } else if (events[i].events & EPOLLIN) {
        receive(fd);
      } else if (events[i].events & EPOLLOUT) {
        send_rest(fd);
      } else {
        end(fd);
      }
    }
  }
}
