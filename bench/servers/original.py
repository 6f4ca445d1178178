# The tutorial's server with which this project began, ported to Python 3, with correct header lines and without output per request.

import select
import socket

EOL1 = b"\n\n"
EOL2 = b"\n\r\n"
RESPONSE = (
    b"HTTP/1.1 200 OK\r\nDate: Mon, 1 Apr 2013 01:01:01 GMT\r\nContent-Type: text/plain\r\nContent-Length: 24\r\n\r\n"
    b"Hello from Epoll server!"
)


class EpollServer:
    def __init__(self, host="127.0.0.1", port=0):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((host, port))
        self.sock.listen(128)  # the original's 1 loses connections under load
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.epoll = select.epoll()
        self.epoll.register(self.sock.fileno(), select.EPOLLIN)

    def run(self):
        connections, requests, responses = {}, {}, {}
        while True:
            for fileno, event in self.epoll.poll(1):
                if fileno == self.sock.fileno():
                    connection, _ = self.sock.accept()
                    connection.setblocking(False)
                    self.epoll.register(connection.fileno(), select.EPOLLIN)
                    connections[connection.fileno()] = connection
                    requests[connection.fileno()] = b""
                    responses[connection.fileno()] = RESPONSE
                elif event & select.EPOLLIN:
                    requests[fileno] += connections[fileno].recv(1024)
                    if EOL1 in requests[fileno] or EOL2 in requests[fileno]:
                        self.epoll.modify(fileno, select.EPOLLOUT)
                elif event & select.EPOLLOUT:
                    written = connections[fileno].send(responses[fileno])
                    responses[fileno] = responses[fileno][written:]
                    if len(responses[fileno]) == 0:
                        self.epoll.modify(fileno, 0)
                        connections[fileno].shutdown(socket.SHUT_RDWR)
                elif event & select.EPOLLHUP:
                    self.epoll.unregister(fileno)
                    connections[fileno].close()
                    del connections[fileno]


server = EpollServer()
print(server.sock.getsockname()[1], flush=True)
server.run()
