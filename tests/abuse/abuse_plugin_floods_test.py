"""Plugins that send and print more than a node accepts."""

import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from hostile import NO_RESTART, AbuseTest  # noqa: E402
from nodes import SUCCESS, wait_until  # noqa: E402


class Floods(AbuseTest):
    def test_more_requests_at_once_than_allowed_end_the_plugin(self):
        self.load("""
start(); wait_for_call()
get = ["context.get", [{"path": "/plugins/hostile/x"}]]
link.sendall(b"".join(msgpack.packb([0, 1000 + i, *get]) for i in range(5000)))
time.sleep(60)
""")
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
        before = self.served.memory()
        self.assertNotEqual(self.call().returncode, SUCCESS)
        self.assertLess(self.served.memory() - before, 200 << 20)

    def test_a_flood_of_log_lines_is_cut_and_counted(self):
        self.load("""
start(); call = wait_for_call()
for i in range(20000): send([2, "log", [{"level": "info", "message": "spam %d" % i}]])
answer(call, "done"); serve()
""", tables="[deadlines]\ncall_ms = 20000\n" + NO_RESTART)
        self.assertEqual(self.ask(), "done")
        wait_until(lambda: re.search(r"plugin\.log_dropped plugin=hostile lines=1\d{4}",
                                     self.served.log_text()))
        self.assertLess(len(re.findall("plugin=hostile line=\"spam", self.served.log_text())), 1000)

    def test_a_flood_of_output_is_cut_and_counted(self):
        self.load("start(); call = wait_for_call()\n"
                  "for i in range(100000): print('spam', i)\n"
                  "sys.stdout.flush(); answer(call, 'done'); serve()",
                  tables="[deadlines]\ncall_ms = 20000\n" + NO_RESTART)
        self.assertEqual(self.ask(), "done")
        wait_until(lambda: "plugin.output_dropped plugin=hostile" in self.served.log_text())
        self.assertLess(self.served.log_text().count("plugin.output plugin=hostile"), 5000)

    def test_a_line_of_10_mb_is_cut(self):
        self.load("start(); call = wait_for_call()\n"
                  "sys.stdout.write('x' * 10_000_000 + '\\nend\\n'); sys.stdout.flush()\n"
                  "answer(call, 'done'); serve()",
                  tables="[deadlines]\ncall_ms = 20000\n" + NO_RESTART)
        self.assertEqual(self.ask(), "done")
        self.assertLess(max(map(len, self.served.log_text().splitlines())), 8192)

    def test_a_flood_of_unknown_notifications_and_denials_does_not_flood_the_log(self):
        self.load("start(); call = wait_for_call()\n"
                  "for i in range(20000): send([2, 'no.such', [{}]])\n"
                  "for i in range(3000): ask(1000 + i, 'context.get', {'path': '/secret/%d' % i})\n"
                  "answer(call, 'done'); serve()",
                  tables="[deadlines]\ncall_ms = 30000\n" + NO_RESTART)
        self.assertEqual(self.ask(), "done")
        self.assertEqual(self.served.plugin("hostile")["denials"], 3000)
        self.assertLess(self.served.log_text().count("plugin.denied"), 1000)
        # The flood has not pushed other records out.
        self.assertEqual(len(self.served.audit("notes", "plugin.started")), 1)
        wait_until(lambda: any("more operations" in record["subject"]
                               for record in self.served.audit("hostile", "plugin.denied")))
        self.assertLess(self.served.log_text().count("plugin.notification_refused"), 1000)

    def test_control_sequences_reach_neither_log_nor_terminal(self):
        self.load(r"""
start(); call = wait_for_call()
nasty = "\x1b[2J\x1b]0;owned\x07\rforged\n2026-01-01 I node fake.line\x9b31m"
send([2, "log", [{"message": nasty}]]); send([2, nasty, [{}]])
print(nasty, flush=True)
send([1, call, ["handler_failed", nasty, None], None]); serve()
""")
        done = self.call()
        self.assertNotRegex(done.stderr, "[\x00-\x09\x0b-\x1f\x7f\x80-\x9f]")
        self.assertEqual(done.stderr.count("\n"), 1)
        wait_until(lambda: "plugin.output plugin=hostile" in self.served.log_text())
        self.assertNotRegex(self.served.log_text(), "[\x00-\x09\x0b-\x1f\x7f\x80-\x9f]")
        self.assertNotRegex(self.served.log_text(), r"(?m)^2026-01-01 I node fake\.line")


if __name__ == "__main__":
    unittest.main(verbosity=2)
