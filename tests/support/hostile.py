"""A hostile plugin beside a well-behaved sibling.

Each attack must end as a typed audit event or an error. The sibling keeps answering, the node stays
up, and nothing of the plugin is left when the node has stopped.
"""

import re
import threading
import time

from nodes import PACKAGES, SUCCESS, NodeTest, wait_until, write_package

# How every hostile plugin begins: it can speak the protocol and break it.
PRELUDE = """
import ctypes, errno, os, signal, socket, struct, subprocess, sys, threading, time
import msgpack

link = socket.socket(fileno=int(os.environ.get("TROUPE_SOCKET", "3")))
unpacker = msgpack.Unpacker(raw=False, strict_map_key=False)

def send(message):
    link.sendall(msgpack.packb(message))

def receive():
    while True:
        for message in unpacker:
            return message
        content = link.recv(65536)
        if not content:
            os._exit(0)
        unpacker.feed(content)

def ask(msgid, method, parameters):
    send([0, msgid, method, [parameters]])
    while True:
        message = receive()
        if message[0] == 0 and message[2] == "ping":
            send([1, message[1], None, None])
        elif message[0] == 1 and message[1] == msgid:
            return message[2], message[3]

def open_session(name, **more):
    return ask(1, "session.open", {"protocol": [1, 1], "kind": "plugin", "name": name, **more})

def tell_commands(*commands):
    while True:
        message = receive()
        if message[0] == 0 and message[2] == "plugin.start":
            send([1, message[1], None, {"commands": [{"name": each} for each in commands]}])
            return
        if message[0] == 0:
            send([1, message[1], None, None])

def start(*commands):
    open_session("hostile")
    tell_commands(*(commands or ("hostile.go",)))

def wait_for_call():
    "The id of the next call of a command. Answers all requests before it."
    while True:
        message = receive()
        if message[0] == 0 and message[2] == "command.execute":
            return message[1]
        if message[0] == 0:
            send([1, message[1], None, None])
            if message[2] == "plugin.stop":
                os._exit(0)

def answer(msgid, result):
    send([1, msgid, None, result])

def serve():
    "Continues as a well-behaved plugin."
    while True:
        answer(wait_for_call(), "served")
"""

QUICK = "[deadlines]\nstart_ms = 1000\ncall_ms = 1000\nstop_ms = 300\n"
NO_RESTART = '[restart]\nmode = "temporary"\n'


class Sibling:
    """Calls a well-behaved plugin repeatedly. Keeps the failures and the longest wait."""

    def __init__(self, node):
        self.node, self.failures, self.calls, self.longest = node, [], 0, 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._over.is_set():
            begin = time.monotonic()
            done = self.node.run("exec", "notes.count", "--deadline", 5000)
            self.longest = max(self.longest, time.monotonic() - begin)
            self.calls += 1
            if done.returncode != SUCCESS:
                self.failures.append(done.stderr)
            self._over.wait(0.05)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()


class AbuseTest(NodeTest):
    def setUp(self):
        super().setUp()
        self.served = self.start("--plugin", PACKAGES / "notes", "--listen", "127.0.0.1:0")
        self.sibling = Sibling(self.served)
        self.sibling.__enter__()

    def tearDown(self):
        try:
            wait_until(lambda: self.sibling.calls >= 3)
        finally:
            self.sibling.__exit__()
        self.assertEqual(self.sibling.failures, [])
        self.assertLess(self.sibling.longest, 5)
        self.assertIsNone(self.served.process.poll(), "the node has ended")
        self.assertEqual(self.served.plugin("notes")["restarts"], 0)
        self.assertLess(self.served.memory(), 400 << 20)
        self.assertNotRegex(self.served.log_text(), r"[\x00-\x08\x0b-\x1f\x7f]")
        self.stop_all()
        super().tearDown()

    def hostile(self, script, tables=QUICK + NO_RESTART, **manifest):
        return write_package(self.directory / "hostile", "hostile", PRELUDE + script, tables=tables,
                             **manifest)

    def load(self, script, **manifest):
        """Loads a plugin whose start must succeed."""
        self.served.do("plugin", "load", self.hostile(script, **manifest))

    def call(self, *words):
        return self.served.run("exec", "hostile.go", *words)

    def ask(self):
        return self.served.ask("exec", "hostile.go")

    def audited(self, event, pattern, seconds=10):
        """Waits until the audit trail has such an event of the plugin with a matching rule."""
        wait_until(lambda: any(re.search(pattern, record["rule"])
                               for record in self.served.audit("hostile", event)), seconds)

    def ended(self, pattern, seconds=10):
        """Waits until the plugin was ended for this reason, according to the audit trail."""
        self.audited("plugin.ended", pattern, seconds)
        self.assertIn(self.served.plugin("hostile")["phase"],
                      ("failed", "starting", "running", "quarantined"))

    def violated(self, pattern):
        self.audited("plugin.violation", pattern)
        self.ended(pattern)
