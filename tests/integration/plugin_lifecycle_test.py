"""Plugins from the command line: started, used, crashed, restarted and unloaded."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from nodes import (  # noqa: E402
    NOT_FOUND, PACKAGES, PROGRAM, UNAVAILABLE, descendants, environment, wait_until)
from plugin_nodes import PluginTest  # noqa: E402


class Lifecycle(PluginTest):
    def wait_running(self, name, restarts):
        def running():
            state = self.served.plugin(name)
            matches = state and state["phase"] == "running" and state["restarts"] == restarts
            return state if matches else None

        return wait_until(running, 15)

    def test_the_list_shows_state_and_numbers(self):
        self.served.do("plugin", "load", PACKAGES / "notes")
        self.assertRegex(self.served.do("plugin", "list"),
                         r"\ANAME +VERSION +STATE +LEVEL +COMMANDS +RESTARTS +DENIALS +PROBLEM\n"
                         r"notes +0\.1\.0 +running +user +3 +0 +0 *\n\Z")
        info = self.served.plugin("notes")
        self.assertGreater(info["process"], 1)
        self.assertEqual(info["package"], str(PACKAGES / "notes"))
        self.assertEqual(info["commands"], ["notes.add", "notes.count", "notes.find"])

    def test_a_killed_plugin_is_restarted_and_counted(self):
        self.served.do("plugin", "load", PACKAGES / "notes")
        self.served.do("exec", "notes.add", "text=kept")
        first = self.served.plugin("notes")["process"]
        os.kill(first, signal.SIGKILL)
        again = self.wait_running("notes", restarts=1)
        self.assertNotEqual(again["process"], first)
        self.assertEqual(self.served.ask("exec", "notes.count"), 1)
        self.assertEqual(len(self.served.audit("notes", "plugin.restarted")), 1)
        self.assertEqual(len(self.served.audit("notes", "plugin.ended")), 1)
        self.assertEqual(len(self.served.audit("notes", "plugin.started")), 2)
        self.assertNotIn(first, descendants(self.served.pid))

    def test_a_call_in_flight_is_answered_when_the_plugin_dies(self):
        self.served.do("plugin", "load", self.sleeper())
        nap = ["exec", "sleeper.nap", "seconds=15", "--data-dir", str(self.served.data)]
        calling = subprocess.Popen([str(PROGRAM), *nap], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, env=environment())
        wait_until(lambda: "going to sleep" in self.served.log_text())
        os.kill(self.served.plugin("sleeper")["process"], signal.SIGKILL)
        out, err = calling.communicate(timeout=10)
        self.assertEqual((calling.returncode, out), (UNAVAILABLE, ""), err)
        self.assertRegex(err, r"\Atroupe: the plugin sleeper "
                              r"(closed its connection|ended with .*)\n\Z")
        self.wait_running("sleeper", restarts=1)

    def test_a_plugin_that_crashes_too_often_is_quarantined_until_it_is_loaded_again(self):
        package = self.sleeper(tables="[restart]\nintensity = 2\nperiod_ms = 60000\n")
        self.served.do("plugin", "load", package)
        for restarts in (1, 2):
            self.refuse(UNAVAILABLE, "the plugin sleeper", "exec", "sleeper.crash")
            self.wait_running("sleeper", restarts)
        self.refuse(UNAVAILABLE, "the plugin sleeper", "exec", "sleeper.crash")
        wait_until(lambda: self.served.plugin("sleeper")["phase"] == "quarantined")
        self.assertIn("ended too often", self.served.plugin("sleeper")["problem"])
        self.assertIn("quarantined", self.served.do("plugin", "list"))
        self.assertEqual(len(self.served.audit("sleeper", "plugin.quarantined")), 1)
        self.assertEqual(descendants(self.served.pid), set())
        self.refuse(NOT_FOUND, 'there is no command "sleeper.nap"',
                    "exec", "sleeper.nap", "seconds=0")
        self.served.do("plugin", "unload", "sleeper")
        self.served.do("plugin", "load", package)
        self.assertEqual(self.served.do("exec", "sleeper.nap", "seconds=0"), "awake\n")

    def test_a_temporary_plugin_is_not_restarted(self):
        self.served.do("plugin", "load", self.sleeper(tables='[restart]\nmode = "temporary"\n'))
        self.refuse(UNAVAILABLE, "the plugin sleeper", "exec", "sleeper.crash")
        wait_until(lambda: self.served.plugin("sleeper")["phase"] == "failed")
        self.assertEqual(self.served.plugin("sleeper")["restarts"], 0)

    def test_a_transient_plugin_stays_down_only_after_success(self):
        self.served.do("plugin", "load", self.sleeper(tables='[restart]\nmode = "transient"\n'))
        self.refuse(UNAVAILABLE, "the plugin sleeper", "exec", "sleeper.crash", "status=3")
        self.wait_running("sleeper", restarts=1)
        self.refuse(UNAVAILABLE, "the plugin sleeper", "exec", "sleeper.crash", "status=0")
        ended = [f"the plugin sleeper ended with exit status {status}" for status in (0, 3)]
        wait_until(lambda: self.served.plugin("sleeper")["problem"] == ended[0])
        wait_until(lambda: len(self.served.audit("sleeper", "plugin.ended")) == 2)
        records = self.served.audit("sleeper", "plugin.ended")
        self.assertEqual(sorted(record["rule"] for record in records), ended)
        state = self.served.plugin("sleeper")
        self.assertEqual((state["phase"], state["restarts"]), ("failed", 1))
        self.assertEqual(descendants(self.served.pid), set())

    def test_the_caller_receives_an_exception_and_the_plugin_continues(self):
        self.served.do("plugin", "load", self.sleeper())
        process = self.served.plugin("sleeper")["process"]
        self.refuse(1, "out of luck", "exec", "sleeper.boom")
        self.assertEqual(self.served.do("exec", "sleeper.nap", "0"), "awake\n")
        self.assertEqual(self.served.plugin("sleeper")["process"], process)

    def test_an_unloaded_plugin_leaves_no_process_and_no_command(self):
        self.served.do("plugin", "load", PACKAGES / "notes")
        self.served.do("plugin", "load", PACKAGES / "wordcount")
        self.assertGreaterEqual(len(descendants(self.served.pid)), 2)
        self.served.do("plugin", "unload", "notes")
        self.served.do("plugin", "unload", "wordcount")
        self.assertEqual(descendants(self.served.pid), set())
        self.assertEqual(self.served.ask("plugin", "list"), [])
        self.assertEqual(self.served.ask("exec", "--list"), [])
        self.assertEqual(len(self.served.audit("notes", "plugin.stopped")), 1)
        self.served.do("plugin", "load", PACKAGES / "notes")
        self.assertEqual(self.served.ask("exec", "notes.count"), 0)

    def test_a_command_is_cancelled_in_the_plugin_when_its_caller_is_interrupted(self):
        self.served.do("plugin", "load", self.sleeper())
        asking = subprocess.Popen(
            [str(PROGRAM), "exec", "sleeper.wait", "--data-dir", str(self.served.data)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
        self.addCleanup(asking.kill)
        self.assertTrue(wait_until(lambda: 'line="waiting"' in self.served.log_text()))
        asking.send_signal(signal.SIGINT)
        asking.wait(timeout=10)
        self.assertTrue(wait_until(lambda: 'line="cancelled"' in self.served.log_text()))
        [measured] = self.served.ask("metrics", "sleeper.wait")
        self.assertEqual((measured["execution_count"], measured["error_count"]), (1, 1))

    def test_the_output_of_a_plugin_is_in_the_log(self):
        self.served.do("plugin", "load", self.sleeper())
        self.served.do("exec", "sleeper.nap", "seconds=0")
        wait_until(lambda: re.search(r'plugin\.output plugin=sleeper line="going to sleep"',
                                     self.served.log_text()))


class Usage(PluginTest):
    def test_usage_shows_amounts_and_mechanisms(self):
        self.served.do("plugin", "load", PACKAGES / "wordcount")
        used = self.served.ask("plugin", "usage", "wordcount")
        self.assertGreater(used["memory_bytes"], 1 << 20)
        self.assertLess(used["memory_bytes"], 256 << 20)
        self.assertGreaterEqual(used["processes"], 1)
        for name in ("memory", "cpu", "process"):
            self.assertTrue(used[f"{name}_mechanism"])
        self.assertRegex(self.served.do("plugin", "usage", "wordcount"),
                         r"\ARESOURCE +USED +HELD BY\nmemory +[\d,]+ bytes +\S.*\n"
                         r"cpu time +.*\nprocesses +\d+ +\S.*\n\Z")


if __name__ == "__main__":
    unittest.main(verbosity=2)
