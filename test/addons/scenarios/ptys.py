# Pseudoterminals under remote control. Standard input takes one command a line, standard output has one JSON answer a line:
#   exchange INDEX BYTES   writes BYTES random bytes and reads BYTES, both at once; answers with the SHA-256 of each
#   send INDEX BYTES       writes BYTES zeros that nothing reads
#   settings INDEX         answers with the terminal's settings
#   unplug INDEX           closes the pseudoterminal
# Ends with standard input. The argument is the number of pseudoterminals; the first answer is their paths.
import hashlib
import json
import os
import pty
import select
import sys
import termios
import tty

# The port's poller has one mask, which each of its calls replaces: a port that waits for data no longer waits until it can write.
# Any later data makes it look again. So the last bytes are held back, and go one by one, until everything was received.
HELD_BACK = 4096

terminals = [pty.openpty() for _ in range(int(sys.argv[1]))]
transfers = {}
commands = b""


def answer(value):
    print(json.dumps(value), flush=True)


def run(command, index, size=0):
    master, slave = terminals[index]
    if command == "exchange":
        transfers[master] = {"index": index, "out": os.urandom(size), "sent": 0, "size": size, "received": b"", "limit": max(1, size - HELD_BACK)}
    elif command == "send":
        os.write(master, bytes(size))
        answer({"index": index})
    elif command == "settings":
        iflag, oflag, cflag, lflag, ispeed, ospeed, cc = termios.tcgetattr(slave)
        answer(
            {
                "rtscts": bool(cflag & termios.CRTSCTS),
                "xon": bool(iflag & termios.IXON),
                "xoff": bool(iflag & termios.IXOFF),
                "dataBits": {termios.CS5: 5, termios.CS6: 6, termios.CS7: 7, termios.CS8: 8}[cflag & termios.CSIZE],
                "stopBits": 2 if cflag & termios.CSTOPB else 1,
                "isBaud57600": ospeed == termios.B57600,
            }
        )
    elif command == "unplug":
        os.close(master)
        os.close(slave)
        answer({"index": index})


for master, slave in terminals:
    tty.setraw(slave)
    os.set_blocking(master, False)
answer([os.ttyname(slave) for master, slave in terminals])
while True:
    waiting = [t for t in transfers.values() if t["sent"] == t["limit"] < t["size"]]
    readers = [0] + [fd for fd, t in transfers.items() if len(t["received"]) < t["size"]]
    writers = [fd for fd, t in transfers.items() if t["sent"] < t["limit"]]
    readable, writable, _ = select.select(readers, writers, [], 0.005 if waiting else None)
    for t in waiting:
        t["limit"] = t["size"] if len(t["received"]) >= t["size"] else t["limit"] + 1
    for fd in writable:
        t = transfers[fd]
        t["sent"] += os.write(fd, t["out"][t["sent"] : min(t["sent"] + 65536, t["limit"])])
    for fd in readable:
        if fd == 0:
            data = os.read(0, 65536)
            if not data:
                sys.exit(0)
            *lines, commands = (commands + data).split(b"\n")
            for line in lines:
                name, *numbers = line.decode().split()
                run(name, *map(int, numbers))
        else:
            transfers[fd]["received"] += os.read(fd, 65536)
    for fd, t in list(transfers.items()):
        if t["sent"] == t["size"] and len(t["received"]) >= t["size"]:
            del transfers[fd]
            answer(
                {
                    "index": t["index"],
                    "sent": hashlib.sha256(t["out"]).hexdigest(),
                    "received": hashlib.sha256(t["received"]).hexdigest(),
                }
            )
