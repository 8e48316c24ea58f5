"""`troupe run` when it is stopped, interrupted, blocked or killed, and what it has kept then."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from nodes import (  # noqa: E402
    FAILED, PACKAGES, PROGRAM, SUCCESS, UNAVAILABLE, NodeTest, descendants, environment, wait_until,
    write_package)


@contextlib.contextmanager
def silent_address():
    """An address where connecting blocks: the listener accepts nothing and its queue is full."""
    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(16):
            client = waiting.enter_context(socket.socket())
            client.settimeout(0.3)
            try:
                client.connect(listener.getsockname())
            except TimeoutError:
                break
        else:
            raise AssertionError("the queue of a listening socket does not fill")
        yield "127.0.0.1:%d" % listener.getsockname()[1]


def is_connecting(pid, address):
    """Whether the process has an unanswered first packet on its way to the address."""
    port, syn_sent = int(address.rpartition(":")[2]), "02"
    held = set()
    for descriptor in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            held.add(os.readlink(descriptor))
    lines = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(int(line[2].rpartition(":")[2], 16) == port and line[3] == syn_sent and
               f"socket:[{line[9]}]" in held for line in lines)


def command_of(pid):
    try:
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return b" ".join(words).decode("utf-8", "replace")
    except OSError:
        return ""


class EndingAndReturning(NodeTest):
    def test_a_node_says_that_it_is_ready_and_why_it_stops(self):
        options = ["--data-dir", str(self.directory / "n"), "--listen", "127.0.0.1:0"]
        with subprocess.Popen([str(PROGRAM), "run", *options], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, env=environment()) as node:
            ready = node.stdout.readline()
            self.assertRegex(ready, rf"\Anode node is ready; data in {self.directory}/n, "
                                    r"listens on 127\.0\.0\.1:\d+\n\Z")
            node.send_signal(signal.SIGINT)
            out, log = node.communicate(timeout=20)
        self.assertEqual((node.returncode, out), (SUCCESS, "stopping: interrupted\n"))
        self.assertIn("node.started", log)

    def test_each_signal_and_the_stop_command_end_it_well(self):
        def stop_command(node, json):
            if json:
                self.assertEqual(node.ask("node", "stop"), {})
            else:
                self.assertEqual(node.do("node", "stop"), "the node has stopped\n")
            return node.process.wait(timeout=20)

        for end in (lambda n: n.stop(signal.SIGINT), lambda n: n.stop(signal.SIGTERM),
                    lambda n: n.stop(signal.SIGHUP), lambda n: stop_command(n, json=False),
                    lambda n: stop_command(n, json=True)):
            node = self.start()
            self.assertEqual(end(node), SUCCESS, node.log_text())
            self.assertFalse((node.data / "troupe.sock").exists())
            self.assert_refused(node.run("node", "info"), UNAVAILABLE, "no node answers")
            node.process.stdout.close()
        self.assert_nothing_left()

    def test_a_node_can_be_started_again_as_soon_as_the_stop_command_returns(self):
        node = self.start("--plugin", PACKAGES / "notes")
        stopped = node.process
        node.do("node", "stop")
        node.start("--plugin", PACKAGES / "notes")
        self.assertEqual(stopped.wait(timeout=20), SUCCESS)
        stopped.stdout.close()
        self.stop_all()

    def test_a_stop_ends_plugins_and_open_links(self):
        node = self.start("--plugin", PACKAGES / "notes", "--plugin", PACKAGES / "wordcount")
        with socket.socket(socket.AF_UNIX) as idle:
            idle.connect(str(node.data / "troupe.sock"))
            self.assertEqual(node.stop(signal.SIGINT), SUCCESS, node.log_text())
        self.assert_nothing_left()

    def test_a_closed_output_does_not_end_a_node(self):
        for options in ([], ["--json"]):
            node = self.node()
            node.process = subprocess.Popen(
                [str(PROGRAM), "run", *options, "--log-level", "debug",
                 "--data-dir", str(node.data)],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
            self.assertIn("ready", node.process.stdout.readline())
            node.process.stdout.close()
            node.process.stderr.close()
            node.do("context", "set", "/a", "1")
            node.process.send_signal(signal.SIGTERM)
            self.assertEqual(node.process.wait(timeout=20), SUCCESS)

    def test_a_node_without_standard_streams_keeps_its_files_whole(self):
        node = self.node()
        node.process = subprocess.Popen(
            ["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', str(PROGRAM), "run", "--log-level", "debug",
             "--data-dir", str(node.data)], env=environment())
        wait_until(lambda: node.run("node", "info").returncode == SUCCESS)
        node.do("context", "set", "/a", "1")
        node.process.send_signal(signal.SIGTERM)
        self.assertEqual(node.process.wait(timeout=20), SUCCESS)
        node.start()
        self.assertEqual(node.ask("context", "verify")["here"]["sound"], True)
        self.stop_all()

    def test_a_signal_ends_a_node_during_its_start(self):
        package = write_package(self.directory / "mute", "mute",
                                "import time\nwhile True:\n    time.sleep(1)\n",
                                tables="[deadlines]\nstart_ms = 60000\n")
        for number in (signal.SIGINT, signal.SIGTERM):
            starting = subprocess.Popen(
                [str(PROGRAM), "run", "--data-dir", str(self.directory / "data"),
                 "--plugin", str(package)],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment())
            wait_until(lambda: any("plugin.py" in command_of(pid)
                                   for pid in descendants(starting.pid)), 30)
            starting.send_signal(number)
            self.assertEqual(starting.wait(timeout=10), -number)
            self.assertEqual(starting.stdout.read(), b"")
            starting.stdout.close()
            self.assert_nothing_left()

    def run_beside_silence(self, stop_deadline_ms, *options):
        """A node that is ready, and dials an address that does not answer for three seconds."""
        settings = self.directory / "troupe.toml"
        settings.write_text(f"stop_deadline_ms = {stop_deadline_ms}\n")
        address = self.enterContext(silent_address())
        node = subprocess.Popen(
            [str(PROGRAM), "run", "--config", str(settings), "--data-dir",
             str(self.directory / "data"), "--join", address, "--log-level", "off", *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
        self.addCleanup(node.kill)
        self.assertIn("ready", node.stdout.readline())
        wait_until(lambda: is_connecting(node.pid, address))
        return node

    def test_a_blocked_stop_ends_in_time_and_names_the_blocker(self):
        for options in ([], ["--json"]):
            with self.run_beside_silence(100, *options) as node:
                node.send_signal(signal.SIGTERM)
                _, told = node.communicate(timeout=20)
            self.assertEqual(node.returncode, FAILED)
            if options:
                self.assertEqual(json.loads(told)["error"]["message"],
                                 "did not stop in time: dialer")
            else:
                self.assertEqual(told, "troupe: did not stop in time: dialer\n")

    def test_a_second_signal_does_not_wait_for_the_stop(self):
        with self.run_beside_silence(60_000) as node:
            node.send_signal(signal.SIGTERM)
            self.assertEqual(node.stdout.readline(), "stopping: terminated\n")
            node.send_signal(signal.SIGTERM)
            self.assertEqual(node.wait(timeout=20), -signal.SIGTERM)
        self.start(name="data")  # with the same directory
        self.stop_all()

    def test_acknowledged_changes_survive_a_kill(self):
        node = self.start()
        for number in range(20):
            node.do("context", "set", f"/k/{number}", number)
        before = node.root_hash()
        incarnation = node.ask("node", "info")["incarnation"]
        self.assertEqual(node.stop(signal.SIGKILL), -signal.SIGKILL)
        self.assertTrue((node.data / "troupe.sock").exists())  # stale; the next start replaces it
        node.start()
        self.assertEqual(node.root_hash(), before)
        self.assertGreater(node.ask("node", "info")["incarnation"], incarnation)
        values = [entry["value"] for entry in node.ask("context", "list", "/k")]
        self.assertEqual(sorted(values), list(range(20)))
        self.assertEqual(node.run("context", "verify").returncode, SUCCESS)
        self.stop_all()

    def test_a_killed_node_takes_its_plugins_along(self):
        node = self.start("--plugin", PACKAGES / "notes", "--plugin", PACKAGES / "wordcount")
        self.assertEqual(node.stop(signal.SIGKILL), -signal.SIGKILL)
        self.assert_nothing_left()
        node.start("--plugin", PACKAGES / "notes")
        node.do("exec", "notes.add", "text=x")
        self.stop_all()


if __name__ == "__main__":
    unittest.main(verbosity=2)
