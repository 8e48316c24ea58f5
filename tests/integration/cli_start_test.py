"""`troupe run`: its settings, every start that fails, and a start without a sandbox."""

import json
import pathlib
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from nodes import (  # noqa: E402
    DAMAGED, NOT_FOUND, PACKAGES, PROGRAM, UNAVAILABLE, USAGE, Node, NodeTest, environment, troupe)


class Settings(NodeTest):
    def test_flags_win_over_the_environment_and_that_over_the_file(self):
        file = self.directory / "troupe.toml"
        file.write_text('name = "file"\ncluster = "file"\ndata_dir = "from-file"\n'
                        'listen = "127.0.0.1:0"\n')
        node = Node(self.directory / "from-file")
        self.nodes.append(node)
        with open(node.log, "ab") as log:
            node.process = subprocess.Popen(
                [str(PROGRAM), "run", "--json", "--config", str(file), "--name", "flag"], text=True,
                stdout=subprocess.PIPE, stderr=log, env=environment(TROUPE_NAME="variable"))
        ready = json.loads(node.process.stdout.readline())
        self.assertEqual((ready["name"], ready["data_dir"]), ("flag", str(node.data)))
        self.assertRegex(ready["listens"], r"127\.0\.0\.1:\d+")
        self.stop_all()

    def test_an_empty_flag_cancels_a_setting_of_the_file(self):
        file = self.directory / "troupe.toml"
        file.write_text('listen = "127.0.0.1:0"\n')
        self.assertEqual(self.start("--config", file, "--listen", "").address, "")
        self.stop_all()


class WrongStart(NodeTest):
    """A node that cannot start says why and changes nothing."""

    def refuse(self, status, pattern, *options, **popen):
        popen.setdefault("cwd", self.directory)
        self.assert_refused(troupe("run", *options, **popen), status, pattern)

    def test_a_wrong_setting_is_named_with_its_place(self):
        data = self.directory / "never"
        file = self.directory / "troupe.toml"
        for text, pattern in [
                ('nmae = "x"', r'troupe.toml:1:1: nmae: is not a known key; did you mean "name"\?'),
                ('\nname = 3', r"troupe.toml:2:8: name: must be a string, not an integer"),
                ('name = "x', r"troupe.toml:1:\d+: "),
                ('listen = "here"',
                 'troupe.toml:1:10: listen: the address "here" has no port; write it as host:port'),
                ('listen = "0.0.0.0:7400"',
                 r'troupe.toml:1:10: listen: "0.0.0.0" is not a loopback address'),
                ('join = ["127.0.0.1:1",\n "b:x"]',
                 r'troupe.toml:2:2: join\[1\]: the address "b:x" has no port'),
                ('sandbox = "nine"',
                 r'troupe.toml:1:11: sandbox: must be one of bubblewrap, none, not "nine"'),
                ('stop_deadline_ms = 5',
                 r"troupe.toml:1:20: stop_deadline_ms: must be between 100 and 600000, not 5"),
                ('history = -1',
                 r"troupe.toml:1:11: history: must be between 0 and 1000000000, not -1"),
                ('member_lease_ms = 5',
                 r"member_lease_ms: must be 0, or 1000 to "),
        ]:
            with self.subTest(text=text):
                file.write_text(text)
                self.refuse(USAGE, pattern, "--config", file, "--data-dir", data)
        self.assertFalse(data.exists())

    def test_a_missing_configuration_file_is_named(self):
        self.refuse(NOT_FOUND, "the configuration file nope.toml cannot be read: No such file",
                    "--config", "nope.toml")
        self.refuse(NOT_FOUND, "cannot be read: it is not a file", "--config", self.directory)

    def test_a_wrong_variable_is_named(self):
        for name, text, problem in [
                ("TROUPE_SANDBOX", "nine", '"nine" is not one of bubblewrap, none'),
                ("TROUPE_LOG_LEVEL", "loud", ".*debug, info"),
                ("TROUPE_LOG_FORMAT", "xml", ".*text, json"),
                ("TROUPE_LISTEN", "here", 'the address "here" has no port'),
                ("TROUPE_JOIN", "127.0.0.1:1,there", 'the address "there" has no port'),
                ("TROUPE_CLUSTER", "x" * 65, "must be 1 to 64 bytes"),
                ("TROUPE_NAME", "x" * 65, "must be 1 to 64 bytes")]:
            with self.subTest(name=name):
                self.refuse(USAGE, f"{name}: {problem}", "--data-dir", self.directory / "never",
                            env=environment(**{name: text}))
        self.assertFalse((self.directory / "never").exists())

    def test_a_misspelt_variable_is_named_with_the_right_one(self):
        self.refuse(USAGE, "there is no environment variable TROUPE_DATA_DRI; "
                           'did you mean "TROUPE_DATA_DIR"',
                    "--data-dir", self.directory / "never", env=environment(TROUPE_DATA_DRI="x"))
        self.assertFalse((self.directory / "never").exists())

    def test_a_wrong_address_is_named(self):
        for text, pattern in [("127.0.0.1", "has no port"),
                              ("127.0.0.1:99999", "no port from 0 to 65535"),
                              ("127.0.0.1:http", "no port from 0 to 65535"),
                              (":7400", "has no host"),
                              ("::1:7400", "IPv6 address without brackets"),
                              ("0.0.0.0:7400", "is not a loopback address"),
                              ("192.0.2.1:7400", "is not a loopback address")]:
            with self.subTest(text=text):
                self.refuse(USAGE, "listen: .*" + pattern, "--listen", text)
        self.refuse(USAGE, 'join: the address "there" has no port', "--join", "there")
        self.refuse(USAGE, "cluster: must be 1 to 64 bytes", "--cluster", "x" * 65)

    def test_a_port_in_use_is_named(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            where = f"127.0.0.1:{taken.getsockname()[1]}"
            self.refuse(UNAVAILABLE, f"cannot listen on {where}: Address already in use",
                        "--data-dir", "data", "--listen", where)
        self.assertFalse((self.directory / "data").exists())

    def test_a_data_directory_that_cannot_be_made_is_named(self):
        (self.directory / "file").write_text("x")
        self.refuse(USAGE, r"the data directory \S+/file cannot be used: it is not a directory",
                    "--data-dir", "file")
        self.refuse(USAGE, r"the data directory \S+/file/a/b cannot be made: \S+/file: "
                           "it is not a directory", "--data-dir", "file/a/b")
        self.assertEqual((self.directory / "file").read_text(), "x")

    def test_a_place_that_cannot_have_the_socket_is_refused_before_anything_is_made(self):
        deep = self.directory / ("x" * 120)
        self.refuse(USAGE, "the socket path .* is too long for the system", "--data-dir", deep)
        self.assertFalse(deep.exists())
        data = self.directory / "data"
        data.mkdir()
        (data / "troupe.sock").write_text("mine")
        self.refuse(USAGE, "troupe.sock is not a socket; move it away", "--data-dir", data)
        self.assertEqual([(each.name, each.read_text()) for each in data.iterdir()],
                         [("troupe.sock", "mine")])

    def test_a_data_directory_that_is_in_use_names_the_process(self):
        node = self.start()
        self.refuse(USAGE, rf"is in use by process {node.pid}", "--data-dir", node.data)
        self.assertEqual(node.ask("node", "info")["process"], node.pid)
        self.stop_all()

    def test_the_data_of_another_cluster_is_not_taken(self):
        self.start("--cluster", "one")
        self.stop_all()
        self.refuse(USAGE, r'belongs to another cluster than "two"',
                    "--data-dir", self.directory / "node", "--cluster", "two")

    def test_a_plugin_that_cannot_start_ends_the_start(self):
        self.refuse(NOT_FOUND, "the plugin nowhere cannot be started: "
                               "the package .*/nowhere has no readable file plugin.toml",
                    "--data-dir", "data", "--plugin", "nowhere", "--log-level", "off")
        self.assertFalse((self.directory / "data").exists())

    def test_a_file_that_nothing_can_be_read_of_is_not_served(self):
        node = self.start()
        node.do("context", "set", "/a", "1")
        self.stop_all()
        for extra in node.data.glob("context.*"):
            extra.unlink()
        (node.data / "context.db").write_bytes(b"no database at all" * 1000)
        self.refuse(DAMAGED, "is damaged, and not even the node that it belongs to can be read",
                    "--data-dir", node.data)


class Sandbox(NodeTest):
    def test_a_node_without_its_sandbox_serves_everything_but_plugins(self):
        node = self.start("--plugin-init", self.directory / "nothing")
        self.assert_refused(node.run("plugin", "load", PACKAGES / "notes"), UNAVAILABLE,
                            f'there is no program "{self.directory}/nothing"; '
                            "give the absolute path of troupe-plugin-init")
        self.assertIn("plugin.no_sandbox", node.log_text())
        node.do("context", "set", "/still", "here")
        self.assertEqual(node.do("plugin", "list"),
                         "no plugins are loaded; load one with: troupe plugin load DIRECTORY\n")
        self.stop_all()

    def test_no_sandbox_is_a_choice_that_is_reported(self):
        node = self.start("--sandbox", "none")
        self.assertEqual(node.ask("node", "info")["sandbox"], "none")
        self.assertIn("node.plugins_unconfined", node.log_text())
        self.stop_all()


if __name__ == "__main__":
    unittest.main(verbosity=2)
