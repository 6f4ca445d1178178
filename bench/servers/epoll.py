# Measures CPython's select.epoll: ns per call of `poll` with one fd ready, `modify` and `recv`. Prints JSON.

import json
import select
import socket
import sys
import time

CALLS = 200_000


def ns(call):
    start = time.perf_counter_ns()
    for _ in range(CALLS):
        call()
    return (time.perf_counter_ns() - start) / CALLS


a, b = socket.socketpair()
b.send(b"x")
epoll = select.epoll()
epoll.register(a, select.EPOLLIN)
fd = a.fileno()
a.setblocking(False)
json.dump(
    {
        "poll": ns(lambda: epoll.poll(0)),
        "modify": ns(lambda: epoll.modify(fd, select.EPOLLIN)),
        "recv": ns(lambda: a.recv(1, socket.MSG_PEEK)),
    },
    sys.stdout,
)
