"""A way to PostgreSQL that can go wrong: a TCP port in front of a server's unix socket. Standard library only.

It passes everything on, or falls silent with all sockets open, or resets them, or lets a COMMIT through and loses its answer.
"""

import os
import random
import socket
import struct
import threading

COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"  # a simple query, as both of the daemon's ways of speaking send it


class Connection:
    def __init__(self, proxy, client, server):
        self.proxy, self.client, self.server = proxy, client, server
        self.answer_is_lost = False
        self.silent = False  # for good, whatever the others do
        self.listens = False
        for source, sink, pump in ((client, server, self.to_server), (server, client, self.to_client)):
            threading.Thread(target=self.run, args=(source, sink, pump), daemon=True).start()

    def run(self, source, sink, pump):
        try:
            while data := source.recv(65536):
                self.proxy.flowing.wait()
                if not self.silent:
                    pump(data)
        except OSError:
            pass
        finally:
            self.close()

    def to_server(self, data):
        self.listens = self.listens or b"LISTEN batchd" in data
        if COMMIT in data and self.proxy.loses_this():
            self.answer_is_lost = True
        self.server.sendall(data)

    def to_client(self, data):
        if self.answer_is_lost and b"COMMIT\x00" in data:  # CommandComplete: it is committed
            self.reset()
            self.proxy.lost += 1
            return
        self.client.sendall(data)

    def reset(self):
        try:
            self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass  # it has just closed by itself
        self.close()

    def close(self):
        for end in (self.client, self.server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()
        self.proxy.connections.discard(self)


class TcpProxy:
    """`port` is where it listens on 127.0.0.1, `directory` where the server's socket lies."""

    def __init__(self, directory, seed=1):
        self.target = os.path.join(directory, ".s.PGSQL.5432")
        self.connections = set()
        self.flowing = threading.Event()
        self.flowing.set()
        self.random = random.Random(seed)
        self.loss = 0.0  # the share of COMMITs whose answers are lost
        self.lost = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self.target)
            except OSError:
                client.close()
                server.close()
                continue
            self.connections.add(Connection(self, client, server))

    def loses_this(self):
        return self.loss > 0 and self.random.random() < self.loss

    def freeze(self):
        """From now on nothing passes; sockets stay open, and new connections are accepted into the silence."""
        self.flowing.clear()

    def thaw(self):
        self.flowing.set()

    def silence(self, only_listeners=False):
        """The connections of this moment stay open for ever and say nothing more; new ones work. Returns how many."""
        chosen = [c for c in list(self.connections) if c.listens or not only_listeners]
        for connection in chosen:
            connection.silent = True
        return len(chosen)

    def reset(self):
        for connection in list(self.connections):
            connection.reset()

    def close(self):
        self.listener.close()
        self.thaw()
        self.reset()
