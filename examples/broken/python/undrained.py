# Bug: the connection is edge-triggered, and is read once, not until EAGAIN.

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
            epoll.register(client, select.EPOLLIN | select.EPOLLET)
        else:
            data = clients[fd].recv(16)
            if data:
                clients[fd].sendall(data)
            else:
                clients.pop(fd).close()
