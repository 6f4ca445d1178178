/*
 * A device on a pseudo-terminal: reads as many bytes as its argument says, sends the same number, and ends when the terminal is
 * closed. Prints the terminal's path. It never sends and receives at once: serialport's poller waits for one direction only.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

static char bytes[65536];

int main(int argc, char **argv) {
  long count = argc > 1 ? atol(argv[1]) : 0, left;
  int master = posix_openpt(O_RDWR | O_NOCTTY), terminal;
  struct termios mode;
  ssize_t n;
  if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0) return perror("posix_openpt"), 1;
  /* Stays open until the first byte arrives: reading the master fails while no process has the terminal open. */
  if ((terminal = open(ptsname(master), O_RDWR | O_NOCTTY)) < 0) return perror("open"), 1;
  tcgetattr(terminal, &mode);
  cfmakeraw(&mode);
  tcsetattr(terminal, TCSANOW, &mode);
  puts(ptsname(master));
  fflush(stdout);
  for (left = count; left > 0; left -= n) {
    if ((n = read(master, bytes, sizeof bytes)) <= 0) return 1;
    if (left == count) close(terminal);
  }
  for (left = count; left > 0; left -= n)
    if ((n = write(master, bytes, left < (long)sizeof bytes ? left : (long)sizeof bytes)) <= 0) return 1;
  return read(master, bytes, 1) > 0;
}
