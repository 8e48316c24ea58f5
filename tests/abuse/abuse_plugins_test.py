"""Hostile plugins, each beside a well-behaved sibling.

Every one of them must end as a typed audit event or an error, while the sibling goes on answering, the node stays up, and
nothing of it is left when the node has stopped.
"""

import pathlib
import re
import signal
import socket
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from nodes import (DENIED, PACKAGES, SUCCESS, TIMEOUT, UNAVAILABLE, NodeTest, descendants, in_threads, wait_until,
                   write_package)  # noqa: E402

# What every hostile plugin begins with: the protocol, and nothing that keeps to it.
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
    "The id of the next call of a command; answers everything before it."
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
    "Goes on as a well-behaved plugin would."
    while True:
        answer(wait_for_call(), "served")
"""

QUICK = "[deadlines]\nstart_ms = 1000\ncall_ms = 1000\nstop_ms = 300\n"
NO_RESTART = '[restart]\nmode = "temporary"\n'


class Sibling:
    """Calls a command of a well-behaved plugin again and again, and notes every failure and the longest wait."""

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
        self.assertLess(self.memory(), 400 << 20)
        self.assertNotRegex(self.served.log_text(), r"[\x00-\x08\x0b-\x1f\x7f]")
        self.stop_all()
        super().tearDown()

    def memory(self):
        """Bytes of the node that are its own."""
        status = pathlib.Path(f"/proc/{self.served.pid}/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+) kB", status).group(1)) * 1024

    def hostile(self, script, tables=QUICK + NO_RESTART, **manifest):
        return write_package(self.directory / "hostile", "hostile", PRELUDE + script, tables=tables, **manifest)

    def load(self, script, **manifest):
        """Loads a plugin whose start must succeed."""
        self.served.do("plugin", "load", self.hostile(script, **manifest))

    def call(self, *words):
        return self.served.run("exec", "hostile.go", *words)

    def ask(self):
        return self.served.ask("exec", "hostile.go")

    def ended(self, pattern, seconds=10):
        """Waits until the plugin was ended for this reason; the audit trail must tell it."""
        wait_until(lambda: any(re.search(pattern, record["rule"]) for record in self.served.audit("hostile", "plugin.ended")), seconds)
        self.assertIn(self.served.plugin("hostile")["phase"], ("failed", "starting", "running", "quarantined"))

    def violated(self, pattern):
        wait_until(lambda: any(re.search(pattern, record["rule"]) for record in self.served.audit("hostile", "plugin.violation")))
        self.ended(pattern)


class BrokenFrames(AbuseTest):
    def check(self, content, pattern):
        self.load(f"start(); wait_for_call(); link.sendall({content}); time.sleep(60)")
        begin = time.monotonic()
        self.assertEqual(self.call().returncode, UNAVAILABLE)
        self.violated(pattern)
        self.assertLess(time.monotonic() - begin, 3)

    def test_a_length_of_4_gib_is_not_waited_for(self):
        self.check(r'b"\x94\x00\x01\xdb\xff\xff\xff\xff" + b"x" * 1000', "string|bytes|long|large|accepted")

    def test_an_array_of_4_gi_elements_is_not_waited_for(self):
        self.check(r'b"\xdd\xff\xff\xff\xff"', "element|large|accepted")

    def test_deep_nesting_is_refused(self):
        self.check(r'b"\x91" * 100000', "deep|depth|nest")

    def test_text_that_is_not_utf8_is_refused(self):
        self.check(r'b"\x94\x00\x05\xa4\xff\xfe\xfd\xfc\x91\x80"', "UTF-8")

    def test_bytes_that_are_no_frame_are_refused(self):
        self.check(r'b"\xc1\xc1\xc1"', "MessagePack|msgpack|never used|not a|0xc1")

    def test_a_frame_of_another_kind_is_refused(self):
        self.check('msgpack.packb([7, 1, "x", []])', "request|frame|type|kind")

    def test_a_frame_beyond_the_bound_is_refused(self):
        self.check('msgpack.packb([0, 5, "context.set", [{"path": "/plugins/hostile/x", "value": "x" * (9 << 20)}]])', "bytes|long|large")


class Replies(AbuseTest):
    def test_a_few_replies_to_nothing_are_borne_and_many_end_the_plugin(self):
        self.load("start()\n"
                  "for turn in range(2):\n"
                  "    call = wait_for_call()\n"
                  "    for i in range(20 if turn == 0 else 200):\n"
                  "        send([1, 0xdead0000 + i, None, None])\n"
                  "    answer(call, 'done')\n"
                  "serve()")
        self.assertEqual(self.ask(), "done")
        self.call()
        self.violated("too many violations, the last: a reply to no open call")

    def test_a_second_reply_is_not_taken_for_that_of_another_call(self):
        self.load("start()\nanswer_for = wait_for_call()\n"
                  "for i in range(10): answer(answer_for, 'first')\n"
                  "while True:\n"
                  "    call = wait_for_call()\n"
                  "    answer(answer_for, 'old')\n"
                  "    answer(call, 'new')\n")
        self.assertEqual(self.ask(), "first")
        for _ in range(5):
            self.assertEqual(self.ask(), "new")

    def test_a_late_reply_is_dropped(self):
        self.load("start()\nlate = wait_for_call()\nnext_call = wait_for_call()\nanswer(late, 'late')\nanswer(next_call, 'in time')\nserve()")
        self.assertEqual(self.call().returncode, TIMEOUT)
        self.assertEqual(self.ask(), "in time")

    def test_an_answer_that_is_no_answer_fails_its_call_alone(self):
        self.load("start('hostile.go', 'hostile.other')\n"
                  "send([1, wait_for_call(), ['no_such_code', 17, {}], None])\n"
                  "send([1, wait_for_call(), 'text', None])\n"
                  "serve()")
        for _ in range(2):
            done = self.call()
            self.assertNotEqual(done.returncode, SUCCESS)
            if self.served.plugin("hostile")["phase"] != "running":
                return  # or the plugin is ended for it: both are typed
        self.assertEqual(self.ask(), "served")


class Identity(AbuseTest):
    def test_a_plugin_cannot_open_a_session_in_the_name_of_another(self):
        done = self.served.run("plugin", "load", self.hostile("print(open_session('notes'), flush=True)\nserve()"))
        self.assert_refused(done, DENIED, "this connection is for the plugin hostile")
        self.assertIsNone(self.served.plugin("hostile"))

    def test_a_plugin_is_no_client_and_no_peer(self):
        for kind in ("client", "peer"):
            done = self.served.run("plugin", "load", write_package(
                self.directory / kind, "hostile", PRELUDE + f'ask(1, "session.open", {{"protocol": [1, 1], "kind": "{kind}", "name": "hostile"}})\nserve()',
                tables=QUICK))
            self.assert_refused(done, DENIED, "this connection is for the plugin hostile")

    def test_a_plugin_cannot_provide_the_commands_of_another(self):
        done = self.served.run("plugin", "load", self.hostile("open_session('hostile'); tell_commands('hostile.go', 'notes.add'); serve()"))
        self.assert_refused(done, DENIED, "the plugin hostile may not provide the command notes.add")
        self.assertEqual([record["subject"] for record in self.served.audit("hostile", "plugin.denied")], ["command.provide:notes.add"])
        self.served.do("exec", "notes.add", "text=still mine")

    def test_what_a_plugin_says_of_itself_is_not_believed(self):
        self.load("start()\ncall = wait_for_call()\n"
                  "first = ask(7, 'context.set', {'path': '/plugins/hostile/x', 'value': 1, 'principal': 'operator', 'caller': 'host', 'kind': 'host'})\n"
                  "second = ask(8, 'session.open', {'protocol': [1, 1], 'kind': 'client', 'name': 'cli'})\n"
                  "answer(call, [first[0], second[0][0]])\nserve()")
        self.assertEqual(self.ask(), [None, "protocol_violation"])
        writes = self.served.ask("context", "explain", "/plugins/hostile/x")["writes"]
        self.assertEqual([write["principal"] for write in writes], ["hostile"])

    def test_nothing_beyond_the_grants_is_answered(self):
        self.served.do("context", "set", "/secret/key", "hunter2")
        self.load("""
start()
call = wait_for_call()
asked = [("context.get", {"path": "/secret/key"}), ("context.get", {"path": "/plugins/notes/x"}), ("context.list", {"prefix": "/"}),
         ("context.list", {}), ("context.list", {"prefix": "/plugins"}), ("context.set", {"path": "/secret/key", "value": "mine"}),
         ("context.set", {"path": "/plugins/hostile/../notes/x", "value": 1}), ("context.delete", {"path": "/secret/key"}),
         ("context.explain", {"path": "/secret/key"}), ("context.import", {"entries": []}), ("context.verify", {}),
         ("command.execute", {"command": "notes.count", "arguments": {}}), ("node.stop", {}), ("node.info", {}), ("node.peers", {}),
         ("plugin.grant", {"plugin": "hostile", "capability": "context.read:/**"}), ("plugin.unload", {"plugin": "notes"}),
         ("plugin.load", {"package": "/"}), ("audit.search", {}), ("metrics.get", {}), ("metrics.reset", {}), ("sync.push", {}), ("peers.known", {}),
         ("context.get", {"path": "/plugins/hostile/x", "path ": "/secret/key"})]
answer(call, [(ask(100 + i, method, parameters)[0] or ["answered"])[0] for i, (method, parameters) in enumerate(asked)])
serve()
""")
        refused = self.ask()
        # The last two are within its own prefix, whatever else is written beside it.
        self.assertEqual(refused[-1], "answered")
        own = refused.pop(6)
        self.assertIn(own, ("answered", "permission_denied"))
        self.assertEqual(set(refused[:-1]), {"permission_denied"})
        self.assertEqual(self.served.ask("context", "get", "/secret/key"), "hunter2")
        self.assertEqual(self.served.ask("context", "list", "/plugins/notes"), [])
        subjects = {record["subject"] for record in self.served.audit("hostile", "plugin.denied")}
        self.assertGreaterEqual(subjects, {"context.read:/secret/key", "context.write:/secret/key", "context.read:/", "command.execute:notes.count"})


class Floods(AbuseTest):
    def test_more_requests_at_once_than_allowed_end_the_plugin(self):
        self.load("start(); wait_for_call()\n"
                  "frame = b''.join(msgpack.packb([0, 1000 + i, 'context.get', [{'path': '/plugins/hostile/x'}]]) for i in range(5000))\n"
                  "link.sendall(frame); time.sleep(60)")
        self.call()
        self.violated("more than 256 requests at once")

    def test_a_plugin_that_does_not_read_is_not_read_from(self):
        self.load("""
start(); wait_for_call()
value = "x" * (1 << 20)
ask(5, "context.set", {"path": "/plugins/hostile/big", "value": value})
threading.Thread(target=lambda: (time.sleep(20), os._exit(0)), daemon=True).start()
i = 100
while True:
    send([0, i, "context.get", [{"path": "/plugins/hostile/big"}]])
    i += 1
""", tables="[deadlines]\nstart_ms = 1000\ncall_ms = 3000\nstop_ms = 300\n" + NO_RESTART)
        before = self.memory()
        self.assertNotEqual(self.call().returncode, SUCCESS)
        self.assertLess(self.memory() - before, 200 << 20)

    def test_a_flood_of_log_lines_is_cut_and_counted(self):
        self.load("start(); call = wait_for_call()\n"
                  "for i in range(20000): send([2, 'log', [{'level': 'info', 'message': 'spam %d' % i}]])\n"
                  "answer(call, 'done'); serve()")
        self.assertEqual(self.ask(), "done")
        wait_until(lambda: re.search(r"plugin\.log_dropped plugin=hostile lines=1\d{4}", self.served.log_text()))
        self.assertLess(len(re.findall("plugin=hostile line=\"spam", self.served.log_text())), 1000)

    def test_a_flood_of_output_is_cut_and_counted(self):
        self.load("start(); call = wait_for_call()\n"
                  "for i in range(100000): print('spam', i)\n"
                  "sys.stdout.flush(); answer(call, 'done'); serve()", tables="[deadlines]\ncall_ms = 20000\n" + NO_RESTART)
        self.assertEqual(self.ask(), "done")
        wait_until(lambda: "plugin.output_dropped plugin=hostile" in self.served.log_text())
        self.assertLess(self.served.log_text().count("plugin.output plugin=hostile"), 5000)

    def test_a_line_of_10_mb_is_cut(self):
        self.load("start(); call = wait_for_call()\n"
                  "sys.stdout.write('x' * 10_000_000 + '\\nend\\n'); sys.stdout.flush(); answer(call, 'done'); serve()",
                  tables="[deadlines]\ncall_ms = 20000\n" + NO_RESTART)
        self.assertEqual(self.ask(), "done")
        self.assertLess(max(map(len, self.served.log_text().splitlines())), 8192)

    def test_a_flood_of_unknown_notices_and_denials_does_not_flood_the_log(self):
        self.load("start(); call = wait_for_call()\n"
                  "for i in range(20000): send([2, 'no.such', [{}]])\n"
                  "for i in range(3000): ask(1000 + i, 'context.get', {'path': '/secret/%d' % i})\n"
                  "answer(call, 'done'); serve()", tables="[deadlines]\ncall_ms = 30000\n" + NO_RESTART)
        self.assertEqual(self.ask(), "done")
        self.assertEqual(self.served.plugin("hostile")["denials"], 3000)
        self.assertLess(self.served.log_text().count("plugin.denied"), 1000)
        self.assertEqual(len(self.served.audit("notes", "plugin.started")), 1)  # is not pushed out
        wait_until(lambda: any("more operations" in record["subject"] for record in self.served.audit("hostile", "plugin.denied")))
        self.assertLess(self.served.log_text().count("plugin.notice_refused"), 1000)

    def test_control_sequences_reach_neither_log_nor_terminal(self):
        self.load("start(); call = wait_for_call()\n"
                  "nasty = chr(27) + '[2J' + chr(27) + ']0;owned' + chr(7) + chr(13) + 'forged' + chr(10) + '2026-01-01 I node fake.line' + chr(0x9b) + '31m'\n"
                  "send([2, 'log', [{'message': nasty}]]); send([2, nasty, [{}]])\n"
                  "print(nasty, flush=True)\n"
                  "send([1, call, ['handler_failed', nasty, None], None]); serve()")
        done = self.call()
        self.assertNotRegex(done.stderr, "[\x00-\x09\x0b-\x1f\x7f\x80-\x9f]")
        self.assertEqual(done.stderr.count("\n"), 1)
        wait_until(lambda: "plugin.output plugin=hostile" in self.served.log_text())
        self.assertNotRegex(self.served.log_text(), "[\x00-\x09\x0b-\x1f\x7f\x80-\x9f]")
        self.assertNotRegex(self.served.log_text(), r"(?m)^2026-01-01 I node fake\.line")


class Hanging(AbuseTest):
    def test_a_plugin_that_never_opens_its_session_has_not_started(self):
        begin = time.monotonic()
        done = self.served.run("plugin", "load", self.hostile("time.sleep(60)"))
        self.assertIn(done.returncode, (UNAVAILABLE, TIMEOUT), done.stderr)
        self.assertIn("hostile", done.stderr)
        self.assertLess(time.monotonic() - begin, 8)
        self.assertIsNone(self.served.plugin("hostile"))

    def test_a_plugin_that_never_tells_its_commands_has_not_started(self):
        begin = time.monotonic()
        done = self.served.run("plugin", "load", self.hostile("open_session('hostile'); time.sleep(60)"))
        self.assertIn(done.returncode, (UNAVAILABLE, TIMEOUT), done.stderr)
        self.assertLess(time.monotonic() - begin, 8)
        self.assertIsNone(self.served.plugin("hostile"))

    def test_a_call_that_is_never_answered_costs_its_deadline_and_then_the_plugin(self):
        self.load("start(); wait_for_call(); time.sleep(60)")
        begin = time.monotonic()
        self.assertEqual(self.call().returncode, TIMEOUT)
        self.assertLess(time.monotonic() - begin, 3)
        self.ended("nothing was heard for 5000 ms", 12)

    def test_half_a_frame_that_never_ends_costs_the_plugin(self):
        self.load("start(); wait_for_call()\n"
                  "link.sendall(b'\\x94\\x00\\x05')\n"
                  "while True: time.sleep(1); link.sendall(b'\\xdb\\x00\\x10\\x00\\x00' if not globals().get('x') else b'x'); x = True")
        self.assertEqual(self.call().returncode, TIMEOUT)
        self.ended("a message that began .* has not ended", 20)

    def test_a_plugin_that_ignores_every_request_to_stop_is_ended(self):
        self.load("signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
                  "if os.fork() == 0:\n    os.setsid()\n    link.close()\n    while True: time.sleep(60)\n"
                  "start()\nwhile True: time.sleep(60)")
        begin = time.monotonic()
        self.served.do("plugin", "unload", "hostile")
        self.assertLess(time.monotonic() - begin, 5)
        wait_until(lambda: len(descendants(self.served.pid)) == len(self.sibling_processes()))

    def sibling_processes(self):
        process = self.served.plugin("notes")["process"]
        return descendants(process) | {process}


    def test_a_flood_at_the_stop_is_not_listened_to(self):
        self.load("start(); flood = b'\\xc1' * (1 << 20)\n"
                  "while receive()[2] != 'plugin.stop': pass\n"
                  "while True: link.sendall(flood)", tables=QUICK.replace("stop_ms = 300", "stop_ms = 20000") + NO_RESTART)
        begin = time.monotonic()
        self.served.do("plugin", "unload", "hostile")
        self.assertLess(time.monotonic() - begin, 10)
        self.assertEqual(len(self.served.audit("hostile", "plugin.violation")), 1)

    def test_an_endless_error_is_cut(self):
        done = self.served.run("plugin", "load", self.hostile(
            "open_session('hostile')\n"
            "while (message := receive())[2] != 'plugin.start': pass\n"
            "send([1, message[1], ['handler_failed', 'x' * (4 << 20), None], None]); time.sleep(60)"))
        self.assert_refused(done, 1, r"\Atroupe: x{1024}\n\Z")
        self.assertEqual([record["rule"] for record in self.served.audit("hostile", "plugin.ended")], ["x" * 1024])
        self.assertIsNone(self.served.plugin("hostile"))


class Resources(AbuseTest):
    def test_a_memory_bomb_costs_only_itself(self):
        self.load("start(); wait_for_call()\nkept = []\nwhile True: kept.append(bytearray(os.urandom(1 << 20)))",
                  tables="[resource_limits]\nmax_memory_bytes = 67_108_864\n" + QUICK.replace("call_ms = 1000", "call_ms = 20000") + NO_RESTART)
        done = self.call()
        self.assertEqual(done.returncode, UNAVAILABLE, done.stderr)
        self.ended("hostile (ended with|closed its connection)")

    def test_a_fork_bomb_stays_within_its_number_of_processes(self):
        self.load("""
start()
call = wait_for_call()
made = refused = 0
for i in range(200):
    try:
        if os.fork() == 0:
            os.setsid()
            while True: time.sleep(60)
        made += 1
    except OSError:
        refused += 1
answer(call, [made, refused]); serve()
""", tables="[resource_limits]\nmax_processes = 8\n[deadlines]\ncall_ms = 10000\nstop_ms = 300\n" + NO_RESTART)
        made, refused = self.ask()
        self.assertLessEqual(made, 8)
        self.assertGreaterEqual(refused, 192)
        self.served.do("plugin", "unload", "hostile")
        self.assertEqual(len([pid for pid in descendants(self.served.pid)]),
                         len(descendants(self.served.plugin("notes")["process"])) + 1)

    def test_spinning_children_do_not_take_the_machine(self):
        self.load("""
start()
call = wait_for_call()
for i in range(6):
    if os.fork() == 0:
        os.setsid()
        while True: pass
answer(call, "spinning"); serve()
""", tables="[resource_limits]\nmax_cpu_percent = 20\n" + QUICK + NO_RESTART)
        self.assertEqual(self.ask(), "spinning")
        first, begin = self.served.ask("plugin", "usage", "hostile")["cpu_milliseconds"], time.monotonic()
        time.sleep(2)  # what is measured is a rate
        used = self.served.ask("plugin", "usage", "hostile")["cpu_milliseconds"] - first
        self.assertLess(used / (time.monotonic() - begin), 500)

    def test_a_plugin_that_dies_again_and_again_is_quarantined(self):
        self.load("start(); wait_for_call(); os._exit(1)", tables='[restart]\nintensity = 3\nperiod_ms = 30000\n' + QUICK)

        def quarantined():
            self.call()
            return self.served.plugin("hostile")["phase"] == "quarantined"
        wait_until(quarantined, 20)
        self.assertEqual(len(self.served.audit("hostile", "plugin.quarantined")), 1)
        self.assertEqual(self.served.plugin("hostile")["restarts"], 3)


class Surroundings(AbuseTest):
    def test_there_is_no_descriptor_file_or_process_of_the_host_to_be_found(self):
        hostname = socket.gethostname()
        self.load(f"""
start()
call = wait_for_call()
found = {{}}
def attempt(name, action):
    try:
        found[name] = repr(action())[:200]
    except BaseException as problem:
        found[name] = None
open_fds = [fd for fd in range(1024) if fd > 3 and not attempt("fd%d" % fd, lambda: os.fstat(fd)) and found.pop("fd%d" % fd)]
found["fds"] = open_fds or None
attempt("data", lambda: os.listdir({str(self.served.data)!r}))
attempt("shadow", lambda: open("/etc/shadow").read())
attempt("root", lambda: os.listdir("/root"))
attempt("home", lambda: os.listdir("/home"))
attempt("proc", lambda: open("/proc/{self.served.pid}/environ").read() or "read")
attempt("host environ", lambda: [k for k in os.environ if k.startswith(("TROUPE_BINARY", "TROUPE_SOURCE", "SSH", "USER"))] or 1/0)
attempt("write package", lambda: open("/plugin/plugin.py", "a").write("x"))
attempt("write usr", lambda: open("/usr/x", "w"))
attempt("other package", lambda: os.listdir({str(PACKAGES)!r}))
attempt("dev mem", lambda: os.open("/dev/mem", os.O_RDONLY))
attempt("mount", lambda: 1/0 if ctypes.CDLL(None).mount(b"none", b"/tmp", b"tmpfs", 0, None) else "mounted")
attempt("setuid", lambda: os.setuid(0) if os.getuid() else 1/0)
attempt("unshare", lambda: 1/0 if ctypes.CDLL(None).unshare(0x10000000) else "unshared")
found["uid 0"] = "yes" if os.getuid() == 0 else None
found["others"] = [p for p in os.listdir("/proc") if p.isdigit() and int(p) > 50] or None
answer(call, {{key: text for key, text in found.items() if text is not None}}); serve()
""", tables="[deadlines]\ncall_ms = 10000\n" + NO_RESTART)
        self.assertEqual(self.ask(), {})

    def test_there_is_no_network(self):
        port = int(self.served.address.rsplit(":", 1)[1])
        self.load(f"""
start()
call = wait_for_call()
reached = []
def attempt(name, family, kind, address):
    try:
        with socket.socket(family, kind) as probe:
            probe.settimeout(1)
            if kind == socket.SOCK_DGRAM: probe.sendto(b"x" * 20, address); probe.recv(1)
            else: probe.connect(address)
        reached.append(name)
    except OSError:
        pass
attempt("node", socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", {port}))
attempt("node6", socket.AF_INET6, socket.SOCK_STREAM, ("::1", {port}))
attempt("metadata", socket.AF_INET, socket.SOCK_STREAM, ("169.254.169.254", 80))
attempt("raw ip", socket.AF_INET, socket.SOCK_STREAM, ("192.0.2.1", 80))
attempt("dns", socket.AF_INET, socket.SOCK_DGRAM, ("192.0.2.53", 53))
attempt("client socket", socket.AF_UNIX, socket.SOCK_STREAM, {str(self.served.data / "troupe.sock")!r})
attempt("abstract", socket.AF_UNIX, socket.SOCK_STREAM, "\\0troupe-abuse")
answer(call, reached); serve()
""", tables="[deadlines]\ncall_ms = 15000\n" + NO_RESTART)
        with socket.socket(socket.AF_UNIX) as abstract:
            abstract.bind("\0troupe-abuse")
            abstract.listen()
            self.assertEqual(self.ask(), [])

    def test_the_host_and_the_sibling_cannot_be_signalled_or_traced(self):
        notes = self.served.plugin("notes")["process"]
        self.load(f"""
start()
call = wait_for_call()
libc = ctypes.CDLL(None, use_errno=True)
done = []
for pid in ({self.served.pid}, {notes}, {notes} + 1, os.getppid(), -1):
    if pid in (0, os.getpid()): continue
    try:
        if pid != -1:
            os.kill(pid, signal.SIGKILL)
            done.append(["killed", pid])
    except OSError:
        pass
    if libc.ptrace(16, pid, 0, 0) == 0: done.append(["traced", pid])
    buffer = ctypes.create_string_buffer(8)
    class iovec(ctypes.Structure): _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
    here = iovec(ctypes.addressof(buffer), 8); there = iovec(0x400000, 8)
    if libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) > 0: done.append(["read", pid])
answer(call, done); serve()
""")
        outside = [entry for entry in self.ask() if entry[1] in (self.served.pid, notes, notes + 1)]
        self.assertEqual(outside, [])
        self.assertIsNone(self.served.process.poll())
        self.assertEqual(self.served.plugin("notes")["process"], notes)

    def test_daemons_go_with_their_plugin(self):
        self.load("start(); call = wait_for_call()\n"
                  "for i in range(5):\n"
                  "    if os.fork() == 0:\n"
                  "        os.setsid()\n"
                  "        signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
                  "        if os.fork() == 0:\n"
                  "            while True: time.sleep(60)\n"
                  "        os._exit(0)\n"
                  "answer(call, 'forked'); wait_for_call(); os._exit(0)")
        self.assertEqual(self.ask(), "forked")
        self.assertGreater(self.served.ask("plugin", "usage", "hostile")["processes"], 3)
        self.call()
        self.ended("hostile")
        notes = self.served.plugin("notes")["process"]
        wait_until(lambda: descendants(self.served.pid) == descendants(notes) | {notes})


class KilledHost(NodeTest):
    """Without a sibling: here it is the node that goes."""

    def test_nothing_stays_when_the_node_is_killed_while_plugins_run_and_start(self):
        script = PRELUDE + ("signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
                            "if os.fork() == 0:\n    os.setsid()\n    link.close()\n    while True: time.sleep(60)\n")
        for turn in range(3):
            node = self.start("--plugin", PACKAGES / "notes", name=f"node{turn}")
            running = write_package(self.directory / f"running{turn}", "running", script + "open_session('running'); tell_commands('running.go'); serve()")
            hanging = write_package(self.directory / f"hanging{turn}", "hanging", script + "time.sleep(60)")
            node.do("plugin", "load", running)
            in_threads(lambda: node.run("plugin", "load", hanging),
                       lambda: (time.sleep(0.03 * turn + 0.01), node.process.send_signal(signal.SIGKILL)))  # at different moments of the start
            node.process.wait(timeout=10)
            node.process.stdout.close()
            self.assert_nothing_left()
            again = node.start("--plugin", PACKAGES / "notes")
            again.do("exec", "notes.count")
            self.assertEqual(again.stop(), SUCCESS)
            self.assert_nothing_left()


if __name__ == "__main__":
    unittest.main(verbosity=2)
