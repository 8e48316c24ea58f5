"""A door between two nodes: forwards TCP connections to an address until it is shut."""

import selectors
import socket
import threading


class Partition:
    """Listens on a port of its own and forwards each connection. `cut` ends all connections and
    refuses new ones; `heal` allows them again, on the same port. Runs in one thread."""

    def __init__(self, target):
        host, port = target.rsplit(":", 1)
        self._target = (host, int(port))
        self._listener = self._listen(0)
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        self._port = self._listener.getsockname()[1]
        self._open = True
        self._closed = False
        self._changed = socket.socketpair()
        self._settled = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def cut(self):
        self._switch(open=False)

    def heal(self):
        self._switch(open=True)

    def close(self):
        if self._thread.is_alive():
            self._closed = True
            self._changed[0].send(b"!")
            self._thread.join()

    def _switch(self, open):
        self._open = open
        self._settled.clear()
        self._changed[0].send(b"!")
        if not self._settled.wait(timeout=10):
            raise RuntimeError("the door between the nodes did not open or shut within 10 s")

    @staticmethod
    def _listen(port):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(16)
        return listener

    def _serve(self):
        with selectors.DefaultSelector() as selector:
            pairs = {}

            def drop(end):
                for each in (end, pairs.get(end)):
                    if each in pairs:
                        selector.unregister(each)
                        del pairs[each]
                        each.close()

            selector.register(self._changed[1], selectors.EVENT_READ)
            selector.register(self._listener, selectors.EVENT_READ)
            while not self._closed:
                for key, _ in selector.select():
                    source = key.fileobj
                    if source is self._changed[1]:
                        source.recv(16)
                        self._apply(selector, pairs, drop)
                    elif source is self._listener:
                        self._accept(selector, pairs)
                    elif source in pairs:
                        try:
                            data = source.recv(65536)
                            if not data:
                                raise OSError
                            pairs[source].sendall(data)
                        except OSError:
                            drop(source)
            for end in list(pairs):
                drop(end)
            self._listener.close()

    def _accept(self, selector, pairs):
        near, _ = self._listener.accept()
        try:
            far = socket.create_connection(self._target, timeout=5)
        except OSError:
            near.close()
            return
        far.settimeout(None)
        pairs[near], pairs[far] = far, near
        selector.register(near, selectors.EVENT_READ)
        selector.register(far, selectors.EVENT_READ)

    def _apply(self, selector, pairs, drop):
        if not self._open:
            if self._listener.fileno() >= 0:
                selector.unregister(self._listener)
                self._listener.close()
            for end in list(pairs):
                drop(end)
        elif self._listener.fileno() < 0:
            self._listener = self._listen(self._port)
            selector.register(self._listener, selectors.EVENT_READ)
        self._settled.set()
