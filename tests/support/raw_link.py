"""A connection for tests that break the protocol: bytes and frames, with nothing checked."""

import select
import socket
import time

import msgpack

PROTOCOL = [1, 1]


class RawLink:
    """Sends MessagePack-RPC frames, or anything else, over a socket."""

    def __init__(self, connected):
        self.socket = connected
        self.socket.settimeout(10)
        self._unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, max_buffer_size=64 << 20)
        self._next_id = 100

    @classmethod
    def client(cls, node):
        """A connection to the client socket, without a session."""
        connected = socket.socket(socket.AF_UNIX)
        connected.connect(str(node.data / "troupe.sock"))
        return cls(connected)

    @classmethod
    def peer(cls, node):
        """A connection to the peer port, without a session."""
        host, port = node.address.rsplit(":", 1)
        return cls(socket.create_connection((host, int(port))))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, message):
        self.send_bytes(msgpack.packb(message))

    def send_bytes(self, content):
        self.socket.sendall(content)

    def receive(self, seconds=10):
        """The next frame; None when the other side has closed. An AssertionError on timeout."""
        until = time.monotonic() + seconds
        while True:
            for message in self._unpacker:
                return message
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                raise AssertionError(f"nothing came within {seconds} s")
            try:
                content = self.socket.recv(1 << 16)
            except ConnectionResetError:
                return None
            if not content:
                return None
            self._unpacker.feed(content)

    def ask(self, method, seconds=10, **parameters):
        """Calls a method; returns (error, result), or None when the other side closes. Answers
        pings."""
        self._next_id += 1
        self.send([0, self._next_id, method, [parameters]])
        return self.answer_to(self._next_id, seconds)

    def answer_to(self, msgid, seconds=10):
        while True:
            message = self.receive(seconds)
            if message is None:
                return None
            if message[0] == 0 and message[2] == "ping":
                self.send([1, message[1], None, None])
            elif message[0] == 1 and message[1] == msgid:
                return message[2], message[3]

    def open(self, kind="client", name="test", **more):
        """Opens a session; returns the node's description. An AssertionError when it refuses."""
        answer = self.ask("session.open", protocol=PROTOCOL, kind=kind, name=name, **more)
        if answer is None or answer[0] is not None:
            raise AssertionError(f"no session: {answer}")
        return answer[1]

    def open_peer(self, cluster, node, **more):
        return self.open("peer", "test", cluster=cluster, node=node, incarnation=1, **more)

    def closed(self, seconds=10):
        """Waits for the other side to close; returns the frames before. An AssertionError on
        timeout."""
        frames = []
        until = time.monotonic() + seconds
        while True:
            message = self.receive(max(0.01, until - time.monotonic()))
            if message is None:
                return frames
            frames.append(message)
