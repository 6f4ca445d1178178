# Bug: there is no branch for EPOLLHUP, which is reported whatever the mask.

import select
import socket
import sys

listener = socket.create_server(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0))
print("listening on", listener.getsockname()[1], flush=True)

epoll = select.epoll()
epoll.register(listener, select.EPOLLIN)
clients = {}

while True:
    for fd, event in epoll.poll():
        if fd == listener.fileno():
            client, address = listener.accept()
            clients[client.fileno()] = client
            epoll.register(client, select.EPOLLIN)
        elif event == select.EPOLLIN:
            clients[fd].sendall(clients[fd].recv(1024))
            clients[fd].shutdown(socket.SHUT_RDWR)
            epoll.modify(fd, 0)
