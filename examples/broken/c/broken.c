/* Echo servers with one bug each, chosen by the first argument; the second is the port. Compile: cc -o broken broken.c */

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static int epfd;

static void set(int operation, int fd, unsigned events) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  epoll_ctl(epfd, operation, fd, &event);
}

static int is(const char *bug, const char *name) { return strcmp(bug, name) == 0; }

int main(int count, char **arguments) {
  const char *bug = count > 1 ? arguments[1] : "busy-loop";
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(count > 2 ? atoi(arguments[2]) : 0)};
  socklen_t size = sizeof address;
  inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  bind(listener, (struct sockaddr *)&address, sizeof address);
  listen(listener, 16);
  getsockname(listener, (struct sockaddr *)&address, &size);
  printf("listening on %d\n", ntohs(address.sin_port));
  fflush(stdout);
  epfd = epoll_create1(EPOLL_CLOEXEC);
  set(EPOLL_CTL_ADD, listener, EPOLLIN);

  for (;;) {
    struct epoll_event events[16];
    int ready = epoll_wait(epfd, events, 16, -1);
    for (int i = 0; i < ready; i++) {
      int fd = events[i].data.fd;
      unsigned mask = events[i].events;
      char data[1024];
      if (fd == listener) {
        unsigned wanted = EPOLLIN;
        if (is(bug, "idle-epollout")) wanted |= EPOLLOUT; /* a connection is almost always writable */
        if (is(bug, "undrained")) wanted |= EPOLLET;
        set(EPOLL_CTL_ADD, accept(listener, NULL, NULL), wanted);
      } else if (is(bug, "busy-loop")) {
        continue; /* nothing reads, so epoll_wait reports it again */
      } else if (is(bug, "hangup-ignored") && (mask & EPOLLHUP) != 0) {
        continue; /* reported whatever the mask */
      } else if ((mask & EPOLLIN) != 0) {
        /* An edge-triggered fd has to be read until EAGAIN. */
        ssize_t length = read(fd, data, is(bug, "undrained") ? 16 : sizeof data);
        if (length > 0) write(fd, data, length);
        else if (!is(bug, "eof-ignored")) close(fd);
        if (is(bug, "hangup-ignored")) {
          shutdown(fd, SHUT_RDWR);
          set(EPOLL_CTL_MOD, fd, 0);
        }
      }
    }
  }
}
