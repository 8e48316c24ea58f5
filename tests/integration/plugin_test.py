"""Plugins from the command line: started, used, crashed, permitted, stopped."""

import hashlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from nodes import (  # noqa: E402
    DENIED, NOT_FOUND, PACKAGES, PROGRAM, SUCCESS, UNAVAILABLE, USAGE, NodeTest, ServedTest,
    descendants, environment, wait_until, write_package)

SOURCE = pathlib.Path(os.environ.get("TROUPE_SOURCE", pathlib.Path(__file__).resolve().parents[2]))

SLEEPER = """
import time
from troupe_plugin import Cancelled, Plugin

plugin = Plugin("sleeper", "1.0.0")

@plugin.command("nap", summary="Sleeps", idempotent=False)
def nap(call, seconds: float):
    print("going to sleep")
    time.sleep(seconds)
    return "awake"

@plugin.command("wait", summary="Waits until it is cancelled")
def wait(call):
    print("waiting")
    while not call.cancelled:
        time.sleep(0.01)
    print("cancelled")
    raise Cancelled

@plugin.command("crash", summary="Ends the process")
def crash(call, status: int = 3):
    import os
    os._exit(status)

@plugin.command("put", summary="Writes a value")
def put(call, path: str, text: str):
    call.context.set(path, text)

@plugin.command("boom", summary="Raises")
def boom(call):
    raise RuntimeError("out of luck")

raise SystemExit(plugin.run())
"""


class PluginTest(ServedTest):
    def sleeper(self, **manifest):
        manifest.setdefault("tables", "[deadlines]\nstart_ms = 10000\ncall_ms = 20000\n"
                                      "stop_ms = 1000\n")
        return write_package(self.directory / "sleeper", "sleeper", SLEEPER, **manifest)

    def wait_running(self, name, restarts):
        def running():
            state = self.served.plugin(name)
            matches = state and state["phase"] == "running" and state["restarts"] == restarts
            return state if matches else None

        return wait_until(running, 15)


class Examples(PluginTest):
    def test_notes_keeps_finds_and_counts(self):
        shown = self.served.do("plugin", "load", PACKAGES / "notes")
        self.assertRegex(shown, r"\Aplugin notes 0\.1\.0 is running\n  command     notes\.add\n")
        self.assertRegex(shown, r"(?m)^  capability  context\.write:/plugins/notes/\*\*$")
        for text in ("buy oranges", "call Ada", "paint it Orange"):
            self.served.do("exec", "notes.add", f"text={text}")
        self.assertEqual(self.served.ask("exec", "notes.count"), 3)
        self.assertEqual([note["text"] for note in self.served.ask("exec", "notes.find", "orange")],
                         ["buy oranges", "paint it Orange"])
        entries = self.served.ask("context", "list", "/plugins/notes/notes")
        self.assertEqual(len(entries), 3)
        told = self.served.ask("context", "explain", entries[0]["path"])
        self.assertEqual([write["principal"] for write in told["writes"]], ["notes"])

    def test_wordcount_counts_only_what_it_may_read(self):
        words = self.directory / "words.json"
        words.write_text(json.dumps({"a": "the cat", "b": ["The dog", {"c": "a cat"}], "n": 3}))
        self.served.do("context", "import", words, "/iso")
        self.served.do("context", "import", words, "/secret")
        self.served.do("plugin", "load", PACKAGES / "wordcount")
        counted = self.served.ask("exec", "wordcount.count", "prefix=/iso", "top=2")
        self.assertEqual(counted, {"values": 3, "words": 6, "distinct": 4,
                                   "top": [{"word": "cat", "count": 2},
                                           {"word": "the", "count": 2}]})
        for prefix in ("/secret", "/", "/is"):
            self.refuse(DENIED, rf"not allowed context\.read:{prefix}",
                        "exec", "wordcount.count", f"prefix={prefix}")
        stored = self.served.ask("exec", "wordcount.store", "prefix=/iso")
        self.assertEqual(self.served.ask("context", "get", stored["path"])["words"], 6)

    def test_the_plugin_that_the_readme_shows_works(self):
        readme = (SOURCE / "README.md").read_text()
        package = self.directory / "greeter"
        package.mkdir()
        for language, name in (("toml", "plugin.toml"), ("python", "greeter.py")):
            [shown] = re.findall(rf"^```{language}\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
            (package / name).write_text(shown)
        self.served.do("plugin", "load", package)
        self.assertEqual(self.served.do("exec", "greeter.greet", "name=Ada"), "Hello, Ada.\n")
        self.assertEqual(self.served.do("exec", "greeter.greet", "name=Ada", "loud=true"),
                         "Hello, Ada!\n")
        self.assertEqual(self.served.do("context", "get", "/plugins/greeter/last"), "Ada\n")

    def test_a_plugin_keeps_its_values_after_a_restart_of_the_node(self):
        self.served.do("plugin", "load", PACKAGES / "notes")
        self.served.do("exec", "notes.add", "text=kept")
        self.stop_all()
        self.served.start("--plugin", PACKAGES / "notes")
        self.assertEqual(self.served.ask("exec", "notes.count"), 1)


class Lifecycle(PluginTest):
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


class Permissions(PluginTest):
    def test_a_question_about_a_subtree_is_answered_for_all_of_it(self):
        self.served.do("plugin", "load", PACKAGES / "wordcount")
        check = ("plugin", "check", "wordcount")
        self.served.do("plugin", "grant", "wordcount", "context.read:/secret/**")
        self.assertEqual(self.served.do(*check, "context.read:/secret/**"),
                         "allowed: context.read:/secret/**\n")
        self.served.do("plugin", "revoke", "wordcount", "context.read:/secret/deep")
        denied = self.served.run(*check, "context.read:/secret/**")
        self.assertEqual((denied.returncode, denied.stdout),
                         (DENIED, "denied: denied by context.read:/secret/deep\n"))
        self.refuse(USAGE, r"asks about a pattern; ask about one resource",
                    *check, "context.read:/secret/*")

    def test_a_grant_and_its_revocation_apply_from_the_next_message_on(self):
        self.served.do("context", "set", "/secret/key", "hunter2")
        self.served.do("plugin", "load", PACKAGES / "wordcount")
        peek = ("exec", "wordcount.peek", "path=/secret/key")
        check = ("plugin", "check", "wordcount", "context.read:/secret/key")
        self.refuse(DENIED, r"the plugin wordcount is not allowed context\.read:/secret/key: "
                            "not granted", *peek)
        self.assertEqual(self.served.run(*check).returncode, DENIED)
        self.served.do("plugin", "grant", "wordcount", "context.read:/secret/**")
        self.assertEqual(self.served.do(*peek), "hunter2\n")
        self.assertEqual(self.served.do(*check), "allowed: context.read:/secret/**\n")
        self.assertIn("context.read:/secret/**", self.served.plugin("wordcount")["capabilities"])
        self.served.do("plugin", "revoke", "wordcount", "context.read:/secret/**")
        self.refuse(DENIED, "not allowed", *peek)
        self.assertEqual(self.served.plugin("wordcount")["denials"], 2)
        for event, subject in (("plugin.granted", "context.read:/secret/**"),
                               ("plugin.revoked", "context.read:/secret/**"),
                               ("plugin.denied", "context.read:/secret/key")):
            with self.subTest(event=event):
                records = self.served.audit("wordcount", event)
                self.assertEqual({record["subject"] for record in records}, {subject})
                for record in records:
                    self.assertEqual(record["principal"], "wordcount")
                    self.assertGreater(record["time_ms"], 0)
                    self.assertTrue(record["rule"])
        shown = self.served.do("plugin", "audit", "wordcount", "--event", "plugin.denied",
                               "--limit", 1)
        self.assertRegex(shown, r"(?m)\A.*EVENT.*\n20\d\d-.* plugin\.denied +wordcount +"
                                r"context\.read:/secret/key +not granted\n\Z")

    def test_a_grant_of_the_level_can_be_revoked_and_granted_again(self):
        self.served.do("plugin", "load", PACKAGES / "notes")
        self.served.do("plugin", "revoke", "notes", "context.write:/plugins/notes/**")
        self.refuse(DENIED, r"not allowed context\.write:/plugins/notes/",
                    "exec", "notes.add", "text=x")
        self.served.do("plugin", "grant", "notes", "context.write:/plugins/notes/**")
        self.served.do("exec", "notes.add", "text=x")

    def test_a_plugin_gets_those_of_its_requests_that_the_operator_grants(self):
        requests = [("context.write:/shared/**", "to share"),
                    ("context.write:/other/**", "to disturb")]
        package = self.sleeper(tables="".join(
            f'[[capabilities]]\ncapability = "{capability}"\nreason = "{reason}"\n'
            for capability, reason in requests))

        def put(path):
            return self.served.run("exec", "sleeper.put", f"path={path}", "text=x").returncode

        cases = [([], {"/shared/a": SUCCESS, "/other/a": SUCCESS, "/third/a": DENIED}),
                 (["context.write:/shared/**"],
                  {"/shared/a": SUCCESS, "/other/a": DENIED, "/third/a": DENIED}),
                 (["context.write:/shared/inner/**"],
                  {"/shared/inner/a": SUCCESS, "/shared/a": DENIED}),
                 (["context.write:/**"],
                  {"/shared/a": SUCCESS, "/other/a": SUCCESS, "/third/a": DENIED})]
        for grants, expected in cases:
            with self.subTest(grants=grants):
                self.served.do("plugin", "load", package,
                               *(word for grant in grants for word in ("--grant", grant)))
                self.assertEqual({path: put(path) for path in expected}, expected)
                self.served.do("plugin", "unload", "sleeper")

    def test_the_manifest_can_deny_its_plugin_a_grant(self):
        package = self.sleeper(denied='["context.write:/plugins/sleeper/no/**"]')
        self.served.do("plugin", "load", package)
        self.served.do("exec", "sleeper.put", "path=/plugins/sleeper/a", "text=x")
        self.refuse(DENIED, "denied by context.write:/plugins/sleeper/no/",
                    "exec", "sleeper.put", "path=/plugins/sleeper/no/a", "text=x")

    def test_a_restricted_plugin_has_nothing_of_the_context(self):
        self.served.do("plugin", "load", self.sleeper(permission_level='"restricted"'))
        self.refuse(DENIED, "not allowed",
                    "exec", "sleeper.put", "path=/plugins/sleeper/a", "text=x")
        self.assertEqual(self.served.plugin("sleeper")["level"], "restricted")


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


class Manifests(PluginTest):
    def test_a_bad_manifest_is_refused_with_file_line_and_key(self):
        package = self.directory / "bad"
        named = 'name = "bad"\n'
        versioned = named + 'version = "1.0.0"\n'
        complete = versioned + 'entry = "plugin.py"\n'
        for text, status, pattern in [
                ('name = "Bad"\n', USAGE, ':1:8: name: "Bad" is not a plugin name'),
                (named, USAGE, r":1:\d+: version: is missing"),
                (named + 'version = "1"\n', USAGE,
                 ':2:11: version: the version "1" does not have the three numbers'),
                (versioned, USAGE, r":1:\d+: entry: is missing"),
                (versioned + 'entry = "nothing"\n', NOT_FOUND,
                 ':3:9: entry: the package has no file "nothing"'),
                (versioned + 'entry = "../x"\n', USAGE, ":3:9: entry: "),
                ('nmae = "bad"\n', USAGE, r':1:1: nmae: is not a known key; did you mean "name"\?'),
                ('name = "bad\n', USAGE, r":1:\d+: "),
                (complete + 'permission_level = "root"\n', USAGE,
                 ':4:20: permission_level: must be one of system, user, restricted, not "root"'),
                (complete + '[[capabilities]]\ncapability = "context.raed:/x"\nreason = "x"\n',
                 USAGE, r':5:14: capabilities\[0\]\.capability: .*did you mean "context.read"'),
                (complete + "[resource_limits]\nmax_cpu_percent = 0\n", USAGE,
                 r":5:19: resource_limits\.max_cpu_percent: must be between 1 and 6400, not 0"),
                (complete + '[integrity]\n"plugin.py" = "00"\n', USAGE,
                 r':5:\d+: integrity\."plugin\.py": must be a SHA-256'),
        ]:
            with self.subTest(text=text):
                package.mkdir(exist_ok=True)
                (package / "plugin.toml").write_text(text)
                if "plugin.py" in text:
                    (package / "plugin.py").write_text("#!/usr/bin/python3\n")
                    (package / "plugin.py").chmod(0o755)
                self.refuse(status, r"plugin\.toml" + pattern, "plugin", "load", package)
        self.refuse(NOT_FOUND, "has no readable file plugin.toml", "plugin", "load", self.directory)
        self.assertEqual(self.served.ask("plugin", "list"), [])
        self.assertEqual(descendants(self.served.pid), set())

    def test_a_changed_file_prevents_the_start(self):
        package = self.sleeper()
        wrong = "0" * 64
        with open(package / "plugin.toml", "a") as manifest:
            manifest.write(f'[integrity]\n"plugin.py" = "{wrong}"\n')
        done = self.served.run("plugin", "load", package)
        self.assertNotEqual(done.returncode, SUCCESS)
        self.assertRegex(done.stderr, r"plugin\.toml:\d+:\d+: integrity: .*plugin\.py")

    def test_a_file_that_changes_prevents_the_restart(self):
        package = self.sleeper()
        checksum = hashlib.sha256((package / "plugin.py").read_bytes()).hexdigest()
        with open(package / "plugin.toml", "a") as manifest:
            manifest.write(f'[integrity]\n"plugin.py" = "{checksum}"\n')
        self.served.do("plugin", "load", package)
        with open(package / "plugin.py", "a") as script:
            script.write("# one line more\n")
        self.refuse(UNAVAILABLE, "the plugin sleeper", "exec", "sleeper.crash")
        wait_until(lambda: self.served.plugin("sleeper")["phase"] == "quarantined", 30)
        self.assertRegex(self.served.plugin("sleeper")["problem"],
                         r'the file "plugin\.py" has the SHA-256')
        self.assertEqual(descendants(self.served.pid), set())

    def test_a_package_cannot_choose_its_own_level(self):
        package = self.sleeper(permission_level='"system"')
        self.refuse(DENIED, "sleeper asks for the permission level system, .* allow it with "
                            "--level system", "plugin", "load", package)
        self.assertEqual(self.served.ask("plugin", "list"), [])
        self.served.do("plugin", "load", package, "--level", "system")
        self.assertEqual(self.served.plugin("sleeper")["level"], "system")

    def test_a_program_that_is_no_plugin_is_described(self):
        for script, pattern in [
                ("raise SystemExit(3)", r"the plugin odd ended with exit status 3\n"),
                ("def f():\n    raise ValueError('\\x1b[2J bad')\nf()",
                 r"the plugin odd ended with exit status 1, it said: .*; "
                 r"ValueError: \\x1b\[2J bad\n"),
                ("import os; os.kill(os.getpid(), 9)", "the plugin odd ended with exit status 137"),
                ("pass", "the plugin odd ended with exit status 0 before it opened its session; "
                         r"does it call plugin\.run\(\)\?\n"),
                ("print('hello')", "before it opened its session; "
                                   r"does it call plugin\.run\(\)\? It said: hello\n")]:
            with self.subTest(script=script):
                package = write_package(self.directory / f"odd-{len(script)}", "odd", script)
                self.refuse(UNAVAILABLE, pattern, "plugin", "load", package)
                self.assertIsNone(self.served.plugin("odd"))
        self.assertEqual(descendants(self.served.pid), set())


@unittest.skipUnless(os.geteuid() == 0,
                     "only root makes a process namespace without a user namespace")
class ProcessNamespace(NodeTest):
    """Processes have other numbers than on the machine, as in a container."""

    def test_plugins_run_in_it(self):
        (self.directory / "plugins").symlink_to(PACKAGES)
        # When the plugin starts, no process has the number 2, which bwrap's child has for bwrap.
        alone = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
        done = subprocess.run([*alone, "sh", "-c", '/bin/true; "$0"; exit $?',
                               os.environ["TROUPE_EMBEDDING_EXAMPLE"]], cwd=self.directory,
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, SUCCESS, done.stderr)
        self.assertEqual(done.stdout.splitlines()[-1], "1", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
