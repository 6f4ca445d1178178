# A pseudoterminal that echoes what it receives, byte for byte. Prints its path, and ends with standard input.
import os
import pty
import select
import sys
import tty

master, slave = pty.openpty()
tty.setraw(slave)
print(os.ttyname(slave), flush=True)
while True:
    for fd in select.select([master, 0], [], [])[0]:
        data = os.read(fd, 65536)
        if fd == 0 and not data:
            sys.exit(0)
        if fd == master:
            while data:
                data = data[os.write(master, data) :]
