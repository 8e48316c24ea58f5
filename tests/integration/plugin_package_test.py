"""Packages of plugins: the examples work, and those with mistakes are refused with the reason."""

import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from nodes import (  # noqa: E402
    DENIED, NOT_FOUND, PACKAGES, SOURCE, SUCCESS, UNAVAILABLE, USAGE, NodeTest, descendants,
    wait_until, write_package)
from plugin_nodes import PluginTest  # noqa: E402


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
