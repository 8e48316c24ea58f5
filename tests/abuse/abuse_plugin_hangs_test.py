"""Plugins that do not start, answer or stop."""

import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from hostile import NO_RESTART, QUICK, AbuseTest  # noqa: E402
from nodes import TIMEOUT, UNAVAILABLE, descendants, wait_until  # noqa: E402


class Hanging(AbuseTest):
    def test_a_plugin_that_never_opens_its_session_has_not_started(self):
        begin = time.monotonic()
        done = self.served.run("plugin", "load", self.hostile("time.sleep(60)"))
        self.assertIn(done.returncode, (UNAVAILABLE, TIMEOUT), done.stderr)
        self.assertIn("hostile", done.stderr)
        self.assertLess(time.monotonic() - begin, 8)
        self.assertIsNone(self.served.plugin("hostile"))

    def test_a_plugin_that_never_sends_its_commands_has_not_started(self):
        begin = time.monotonic()
        done = self.served.run("plugin", "load",
                               self.hostile("open_session('hostile'); time.sleep(60)"))
        self.assertIn(done.returncode, (UNAVAILABLE, TIMEOUT), done.stderr)
        self.assertLess(time.monotonic() - begin, 8)
        self.assertIsNone(self.served.plugin("hostile"))

    def test_an_unanswered_call_ends_at_its_deadline_and_then_the_plugin_is_ended(self):
        self.load("start(); wait_for_call(); time.sleep(60)")
        begin = time.monotonic()
        self.assertEqual(self.call().returncode, TIMEOUT)
        self.assertLess(time.monotonic() - begin, 3)
        self.ended("nothing was heard for 5000 ms", 12)

    def test_a_frame_without_an_end_ends_the_plugin(self):
        self.load("""
start(); wait_for_call()
link.sendall(b"\\x94\\x00\\x05")
time.sleep(1); link.sendall(b"\\xdb\\x00\\x10\\x00\\x00")
while True: time.sleep(1); link.sendall(b"x")
""")
        self.assertEqual(self.call().returncode, TIMEOUT)
        self.ended("a message that began .* has not ended", 20)

    def test_a_plugin_that_ignores_every_request_to_stop_is_killed(self):
        self.load("""
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    link.close()
    while True: time.sleep(60)
start()
while True: time.sleep(60)
""")
        begin = time.monotonic()
        self.served.do("plugin", "unload", "hostile")
        self.assertLess(time.monotonic() - begin, 5)
        wait_until(lambda: len(descendants(self.served.pid)) == len(self.sibling_processes()))

    def sibling_processes(self):
        process = self.served.plugin("notes")["process"]
        return descendants(process) | {process}

    def test_a_flood_during_the_stop_ends_it(self):
        self.load("start(); flood = b'\\xc1' * (1 << 20)\n"
                  "while receive()[2] != 'plugin.stop': pass\n"
                  "while True: link.sendall(flood)",
                  tables=QUICK.replace("stop_ms = 300", "stop_ms = 20000") + NO_RESTART)
        begin = time.monotonic()
        self.served.do("plugin", "unload", "hostile")
        self.assertLess(time.monotonic() - begin, 10)
        self.assertEqual(len(self.served.audit("hostile", "plugin.violation")), 1)

    def test_an_endless_error_is_cut(self):
        done = self.served.run("plugin", "load", self.hostile("""
open_session('hostile')
while (message := receive())[2] != 'plugin.start': pass
send([1, message[1], ['handler_failed', 'x' * (4 << 20), None], None])
time.sleep(60)
"""))
        self.assert_refused(done, 1, r"\Atroupe: x{1024}\n\Z")
        rules = [record["rule"] for record in self.served.audit("hostile", "plugin.ended")]
        self.assertEqual(rules, ["x" * 1024])
        self.assertIsNone(self.served.plugin("hostile"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
