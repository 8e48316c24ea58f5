"""The program `troupe` as a person meets it: its help, its answers, every way to be wrong, and how it ends."""

import contextlib
import json
import os
import pathlib
import pty
import re
import signal
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from nodes import (DAMAGED, DENIED, FAILED, NOT_FOUND, PACKAGES, PROGRAM, SOURCE, SUCCESS, TIMEOUT, UNAVAILABLE, USAGE, Node,
                   NodeTest, descendants, environment, troupe, wait_until, write_package)  # noqa: E402

GROUPS = {"context": "get set delete list import export explain verify",
          "node": "info peers stop",
          "plugin": "list load unload usage grant revoke check audit"}
ALONE = "run exec metrics version"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def silent_address():
    """Where connecting takes long, because nobody accepts and the queue is full."""
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
    """Whether the process has sent a first packet to the address that is not answered yet."""
    port, sent = int(address.rpartition(":")[2]), "02"
    held = set()
    for descriptor in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            held.add(os.readlink(descriptor))
    lines = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(int(line[2].rpartition(":")[2], 16) == port and line[3] == sent and f"socket:[{line[9]}]" in held for line in lines)


class Help(NodeTest):
    def test_version_is_told_both_ways(self):
        told = troupe("version")
        self.assertRegex(told.stdout, r"\Atroupe \d+\.\d+\.\d+\n\Z")
        self.assertEqual(troupe("--version").stdout, told.stdout)
        self.assertEqual((told.returncode, told.stderr), (SUCCESS, ""))
        self.assertEqual(f"troupe {json.loads(troupe('version', '--json').stdout)['version']}\n", told.stdout)

    def test_the_help_lists_every_subcommand_and_every_exit_code(self):
        told = troupe("--help")
        self.assertEqual((told.returncode, told.stderr), (SUCCESS, ""))
        for name in (*GROUPS, *ALONE.split()):
            self.assertRegex(told.stdout, rf"(?m)^  {name} +[A-Z]\w+")
        header = (SOURCE / "runtime/cli/exit_codes.hpp").read_text()
        codes = {int(code) for code in re.findall(r"^  \w+ = (\d+),", header, re.MULTILINE)}
        self.assertGreaterEqual(codes, set(range(9)))
        for code in codes:
            self.assertRegex(told.stdout, rf"(?m)(^|\s){code} [a-zA-Z]")

    def test_every_subcommand_explains_itself_and_each_of_its_options(self):
        every = [[name] for name in (*GROUPS, *ALONE.split())]
        every += [[group, name] for group, names in GROUPS.items() for name in names.split()]
        for words in every:
            told = troupe(*words, "--help")
            self.assertEqual((told.returncode, told.stderr), (SUCCESS, ""), words)
            self.assertRegex(told.stdout, r"\A[A-Z][^\n]{10,}\n", words)
            self.assertIn(f"Usage: troupe {' '.join(words)}", told.stdout)
            options = re.findall(r"(?m)^  (-\S+)(?: \S+)*?(?:  +(\S.*)|\n +(\S.*))$", told.stdout)
            self.assertTrue(options, words)
            for option, beside, below in options:
                self.assertGreater(len(beside or below), 5, f"{words} {option}")

    def test_the_groups_list_what_they_have(self):
        for group, names in GROUPS.items():
            told = troupe(group, "--help").stdout
            listed = re.search(r"Subcommands:\n((?:  .*\n)+)", told).group(1)
            self.assertEqual(re.findall(r"(?m)^  (\w+) ", listed), names.split())


class WrongWords(NodeTest):
    """Mistakes in the words themselves: all end with 2, name the word, and say where help is."""

    CASES = [
        ([], r'"troupe" needs a subcommand: run, exec, plugin, context, node, metrics, version; see: troupe --help'),
        (["versoin"], r'"troupe" has no subcommand "versoin"; did you mean "version"\?; see: troupe --help'),
        (["xyzzy"], r'"troupe" has no subcommand "xyzzy"; there are run, exec,'),
        (["context"], r'"troupe context" needs a subcommand: get, set,'),
        (["context", "gett"], r'"troupe context" has no subcommand "gett"; did you mean "get"\?'),
        (["context", "get"], r"path is required; see: troupe context get --help"),
        (["context", "get", "/a", "/b"], r'"troupe context get" takes no further argument "/b"'),
        (["context", "get", "/a", "--jsno"], r'"troupe context get" has no option --jsno; did you mean "--json"\?'),
        (["context", "set", "/a", "-x"], r"has no option -x; .*a value that begins with '-' goes behind --"),
        (["context", "list", "--limit", "0"], r"--limit: .*0.*1.*100000000"),
        (["context", "list", "--limit", "many"], r"--limit"),
        (["node", "info", "--deadline", "0"], r"--deadline: .*0.*1.*86400000"),
        (["node", "info", "--data-dir"], r"--data-dir.*see: troupe node info --help"),
        (["run", "--sandbox", "sand"], r"--sandbox: sand not in \{bubblewrap,none\}"),
        (["run", "--log-level", "loud"], r"--log-level: loud not in \{debug,info,warning,error,off\}"),
        (["run", "--log-format", "xml"], r"--log-format: xml not in \{text,json\}"),
        (["run", "--listne", "127.0.0.1:0"], r'has no option --listne; did you mean "--listen"\?'),
        (["plugin", "audit", "--limit", "1001"], r"--limit: .*1001.*1 to 1000"),
        (["metrics", "notes.add", "--reset"], r"--reset"),
        (["exec", "x.y", "--jsno"], r'"troupe exec" has no option --jsno; did you mean "--json"\?; see: troupe exec --help'),
        (["exec", "x.y", "-x"], r"has no option -x; .*a value that begins with '-' is given with the name of its parameter, such as text=-x"),
        (["exec"], r"exec needs the name of a command; see them with: troupe exec --list"),
    ]

    def test_each_names_the_word_and_where_help_is(self):
        for words, pattern in self.CASES:
            with self.subTest(words=words):
                self.assert_refused(troupe(*words), USAGE, pattern)

    def test_each_is_json_on_request(self):
        for words, pattern in self.CASES:
            with self.subTest(words=words):
                done = troupe(*(words + ["--json"] if words else ["--json"]))
                if words[-1:] == ["--data-dir"] or not words:
                    continue  # there, --json is taken for something else
                self.assertEqual((done.returncode, done.stdout), (USAGE, ""))
                self.assertEqual(json.loads(done.stderr)["error"]["code"], "invalid_argument")


    def test_words_that_are_not_utf_8_are_refused_wherever_they_stand(self):
        word = os.fsdecode(b"bad\xff\xc3")
        for words in (["context", "set", "/a", word], ["context", "get", "/" + word], ["exec", word], ["exec", "x.y", "text=" + word],
                      ["plugin", "load", word], ["run", "--name", word], ["run", "--data-dir", word], [word]):
            with self.subTest(words=words):
                self.assert_refused(troupe(*words, cwd=self.directory), USAGE, r'the argument "\S*bad\?\?" is not UTF-8')
                told = json.loads(troupe(*words, "--json", cwd=self.directory).stderr)["error"]
                self.assertEqual(told["code"], "invalid_argument")
        self.assertEqual(list(self.directory.iterdir()), [])

    def test_what_comes_from_elsewhere_and_is_not_utf_8_is_told_all_the_same(self):
        env = environment(TROUPE_DATA_DIR=os.fsdecode(b"/bad\xff"))
        self.assert_refused(troupe("node", "info", env=env), UNAVAILABLE, r"no node answers on /bad\?/troupe.sock")
        self.assertIn("/bad?/troupe.sock", json.loads(troupe("node", "info", "--json", env=env).stderr)["error"]["message"])
        self.assert_refused(troupe("run", env=env), USAGE, r"the path of the data directory /bad\? is not UTF-8")

    def test_an_empty_word_is_not_taken_for_none(self):
        for words, pattern in [(["context", "get", ""], 'the path is empty; the root is "/"'),
                               (["context", "set", "", "1"], "the path is empty"), (["context", "delete", ""], "the path is empty"),
                               (["context", "list", ""], "the path is empty"), (["context", "import", "x.json", ""], "the path is empty"),
                               (["node", "info", "--data-dir", ""], "the name of the data directory is empty"),
                               (["run", "--data-dir", ""], "data_dir: is missing"), (["run", "--name", ""], "name: must be 1 to 64"),
                               (["run", "--cluster", ""], "cluster: must be 1 to 64"), (["run", "--join", ""], "join: .*has no port"),
                               (["run", "--plugin", ""], "plugins: the name of a package directory is empty"),
                               (["run", "--config", ""], "--config: must not be empty; see: troupe run --help")]:
            with self.subTest(words=words):
                self.assert_refused(troupe(*words, cwd=self.directory), USAGE, pattern)
                self.assertIn("error", json.loads(troupe(*words, "--json", cwd=self.directory).stderr))
        self.assertEqual(list(self.directory.iterdir()), [])

    def test_output_that_cannot_be_written_is_a_failure(self):
        for words in (["--help"], ["version"], ["version", "--json"]):
            with self.subTest(words=words), open("/dev/full", "w") as full:
                done = troupe(*words, stdout=full)
                self.assertEqual(done.returncode, DAMAGED)
                self.assertIn("the output cannot be written: No space left on device", done.stderr)
        closed = subprocess.run(["sh", "-c", 'exec "$0" version >&-', str(PROGRAM)], stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(closed.returncode, DAMAGED)
        self.assertIn("the output cannot be written: Bad file descriptor", closed.stderr)


class WithoutNode(NodeTest):
    def test_a_missing_node_is_named_with_what_to_do(self):
        place = self.directory / "nobody"
        for words in (["node", "info"], ["exec", "x.y"], ["context", "get", "/a"], ["plugin", "list"], ["metrics"]):
            done = troupe(*words, "--data-dir", place)
            self.assert_refused(done, UNAVAILABLE, re.escape(f"{place}/troupe.sock") + ".*troupe run --data-dir " + re.escape(str(place)))

    def test_the_data_directory_comes_from_the_flag_then_the_environment_then_the_home(self):
        env = environment(TROUPE_DATA_DIR=str(self.directory / "env"), HOME=str(self.directory / "home"))
        self.assertIn(f"{self.directory}/flag/troupe.sock", troupe("node", "info", "--data-dir", self.directory / "flag", env=env).stderr)
        self.assertIn(f"{self.directory}/env/troupe.sock", troupe("node", "info", env=env).stderr)
        del env["TROUPE_DATA_DIR"]
        self.assertIn(f"{self.directory}/home/.local/share/troupe/troupe.sock", troupe("node", "info", env=env).stderr)
        env["XDG_DATA_HOME"] = str(self.directory / "xdg")
        self.assertIn(f"{self.directory}/xdg/troupe/troupe.sock", troupe("node", "info", env=env).stderr)

    def test_an_error_is_one_json_document_on_request(self):
        done = troupe("node", "info", "--json", "--data-dir", self.directory)
        self.assertEqual((done.returncode, done.stdout), (UNAVAILABLE, ""))
        told = json.loads(done.stderr)["error"]
        self.assertEqual(told["code"], "unavailable")
        self.assertIn("troupe.sock", told["message"])

    def test_a_socket_that_nobody_serves_is_no_node(self):
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(self.directory / "troupe.sock"))
        self.assert_refused(troupe("node", "info", "--data-dir", self.directory), UNAVAILABLE, "no node answers .*Connection refused")

    def test_a_server_that_never_answers_is_given_up_at_the_deadline(self):
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(str(self.directory / "troupe.sock"))
            silent.listen()
            done = troupe("node", "info", "--data-dir", self.directory, "--deadline", 200)
        self.assert_refused(done, TIMEOUT, "no answer before the deadline")

    def test_a_server_that_speaks_another_language_is_told(self):
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(self.directory / "troupe.sock"))
            other.listen()
            program = subprocess.Popen([str(PROGRAM), "node", "info", "--data-dir", str(self.directory)],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            link, _ = other.accept()
            link.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            out, err = program.communicate(timeout=20)
            link.close()
        self.assertEqual((program.returncode, out), (1, ""))
        self.assertRegex(err, r"\Atroupe: [^\n]+\n\Z")

    def test_a_data_directory_too_deep_for_a_socket_is_named(self):
        done = troupe("node", "info", "--data-dir", self.directory / ("x" * 120))
        self.assert_refused(done, USAGE, "too long|108|107")


class WrongStart(NodeTest):
    """A node that cannot be started says why, and changes nothing."""

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
                ('listen = "here"', r'troupe.toml:1:10: listen: the address "here" has no port; write it as host:port'),
                ('listen = "0.0.0.0:7400"', r'troupe.toml:1:10: listen: "0.0.0.0" is not a loopback address'),
                ('join = ["127.0.0.1:1",\n "b:x"]', r'troupe.toml:2:2: join\[1\]: the address "b:x" has no port'),
                ('sandbox = "nine"', r'troupe.toml:1:11: sandbox: must be one of bubblewrap, none, not "nine"'),
                ('stop_deadline_ms = 5', r"troupe.toml:1:20: stop_deadline_ms: must be between 100 and 600000, not 5"),
        ]:
            with self.subTest(text=text):
                file.write_text(text)
                self.refuse(USAGE, pattern, "--config", file, "--data-dir", data)
        self.assertFalse(data.exists())

    def test_a_missing_configuration_file_is_named(self):
        self.refuse(NOT_FOUND, "the configuration file nope.toml cannot be read: No such file", "--config", "nope.toml")
        self.refuse(NOT_FOUND, "cannot be read: it is not a file", "--config", self.directory)

    def test_a_wrong_variable_is_named(self):
        for name, text, pattern in [("TROUPE_SANDBOX", "nine", "TROUPE_SANDBOX: \"nine\" is not one of bubblewrap, none"),
                                    ("TROUPE_LOG_LEVEL", "loud", "TROUPE_LOG_LEVEL: .*debug, info"),
                                    ("TROUPE_LOG_FORMAT", "xml", "TROUPE_LOG_FORMAT: .*text, json"),
                                    ("TROUPE_LISTEN", "here", "TROUPE_LISTEN: the address \"here\" has no port"),
                                    ("TROUPE_JOIN", "127.0.0.1:1,there", "TROUPE_JOIN: the address \"there\" has no port"),
                                    ("TROUPE_CLUSTER", "x" * 65, "TROUPE_CLUSTER: must be 1 to 64 bytes"),
                                    ("TROUPE_NAME", "x" * 65, "TROUPE_NAME: must be 1 to 64 bytes")]:
            with self.subTest(name=name):
                self.refuse(USAGE, pattern, "--data-dir", self.directory / "never", env=environment(**{name: text}))
        self.assertFalse((self.directory / "never").exists())

    def test_a_wrong_address_is_named(self):
        for text, pattern in [("127.0.0.1", "has no port"), ("127.0.0.1:99999", "no port from 0 to 65535"),
                              ("127.0.0.1:http", "no port from 0 to 65535"), (":7400", "has no host"),
                              ("::1:7400", "IPv6 address without brackets"), ("0.0.0.0:7400", "is not a loopback address"),
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
            self.refuse(UNAVAILABLE, f"cannot listen on {where}: Address already in use", "--data-dir", "data", "--listen", where)
        self.assertFalse((self.directory / "data").exists())

    def test_a_data_directory_that_cannot_be_made_is_named(self):
        (self.directory / "file").write_text("x")
        self.refuse(USAGE, r"the data directory \S+/file cannot be used: it is not a directory", "--data-dir", "file")
        self.refuse(USAGE, r"the data directory \S+/file/a/b cannot be made: \S+/file: it is not a directory", "--data-dir", "file/a/b")
        self.assertEqual((self.directory / "file").read_text(), "x")

    def test_a_place_where_the_socket_cannot_be_is_refused_before_anything_is_made(self):
        deep = self.directory / ("x" * 120)
        self.refuse(USAGE, "the socket path .* is too long for the system", "--data-dir", deep)
        self.assertFalse(deep.exists())
        data = self.directory / "data"
        data.mkdir()
        (data / "troupe.sock").write_text("mine")
        self.refuse(USAGE, "troupe.sock is not a socket; move it away", "--data-dir", data)
        self.assertEqual([(each.name, each.read_text()) for each in data.iterdir()], [("troupe.sock", "mine")])

    def test_a_data_directory_that_is_in_use_names_the_process(self):
        node = self.start()
        self.refuse(USAGE, rf"is in use by process {node.pid}", "--data-dir", node.data)
        self.assertEqual(node.ask("node", "info")["process"], node.pid)
        self.stop_all()

    def test_the_data_of_another_cluster_is_not_taken(self):
        self.start("--cluster", "one")
        self.stop_all()
        self.refuse(USAGE, r'belongs to another cluster than "two"', "--data-dir", self.directory / "node", "--cluster", "two")

    def test_a_plugin_that_cannot_start_ends_the_start(self):
        self.refuse(NOT_FOUND, "the plugin nowhere cannot be started: the package .*/nowhere has no readable file plugin.toml",
                    "--data-dir", "data", "--plugin", "nowhere", "--log-level", "off")
        self.assertFalse((self.directory / "data").exists())

    def test_a_damaged_database_is_not_served(self):
        node = self.start()
        node.do("context", "set", "/a", "1")
        self.stop_all()
        (node.data / "context.db").write_bytes(b"no database at all" * 1000)
        for extra in node.data.glob("context.db-*"):
            extra.unlink()
        self.refuse(DAMAGED, r"context\.db|data directory|damaged|not a database", "--data-dir", node.data)


class Running(NodeTest):
    """One node, and what can be asked of it."""

    def setUp(self):
        super().setUp()
        self.served = self.start()

    def tearDown(self):
        self.stop_all()
        super().tearDown()

    def refuse(self, status, pattern, *words, **options):
        self.assert_refused(self.served.run(*words, **options), status, pattern)

    def test_node_info_is_for_people_and_for_programs(self):
        told = self.served.ask("node", "info")
        self.assertEqual(told["name"], "node")
        self.assertEqual(told["process"], self.served.pid)
        self.assertEqual(told["entries"], 0)
        text = self.served.do("node", "info")
        for label in "name id version incarnation process up data listens sandbox entries conflicts".split() + ["root hash"]:
            self.assertRegex(text, rf"(?m)^{label} +\S")
        self.assertIn(told["id"], text)
        self.assertEqual(self.served.do("node", "peers"), "no other nodes are known\n")

    def test_json_is_understood_wherever_it_stands(self):
        for words in (["--json", "node", "info"], ["node", "--json", "info"], ["node", "info", "--json"]):
            with self.subTest(words=words):
                self.assertEqual(json.loads(self.served.do(*words))["name"], "node")

    def test_names_that_are_empty_are_refused(self):
        for words in (["plugin", "load", ""], ["plugin", "audit", ""], ["context", "import", ""], ["context", "export", "-o", ""],
                      ["metrics", ""]):
            with self.subTest(words=words):
                self.refuse(USAGE, "must not be empty; see: troupe " + " ".join(words[:2 if words[0] != "metrics" else 1]), *words)

    def test_a_list_that_finds_no_command_says_so(self):
        self.assertEqual(self.served.do("exec", "--list", "zzz"), "no command begins with \"zzz\"; see all with: troupe exec --list\n")

    def test_values_are_json_where_they_are_json_and_text_where_not(self):
        for written, kept in [("42", 42), ("-5", -5), ("1.5", 1.5), ("true", True), ("null", None), ("dark", "dark"), ("", ""),
                              ('"42"', "42"), ("[1, [2]]", [1, [2]]), ('["a","b"]', ["a", "b"]), ('{"a": {"b": null}}', {"a": {"b": None}}),
                              ("{}", {}), ("[]", []), ("{", "{"), ("node", "node"), ("ünïcode ☃", "ünïcode ☃"), ("nan", "nan"),
                              ("18446744073709551615", 18446744073709551615), ("-9223372036854775808", -9223372036854775808)]:
            with self.subTest(written=written):
                self.assertEqual(self.served.do("context", "set", "/v", written), "")
                self.assertEqual(self.served.ask("context", "get", "/v"), kept)
        self.served.do("context", "set", "/v", "42", "--string")
        self.assertEqual(self.served.ask("context", "get", "/v"), "42")
        self.assertEqual(troupe("context", "set", "--data-dir", self.served.data, "/v", "--", "--dashes").returncode, SUCCESS)
        self.assertEqual(self.served.do("context", "get", "/v"), "--dashes\n")

    def test_text_cannot_command_the_terminal(self):
        self.served.do("context", "set", "/red", "\x1b[31mred\x07\u009b0m")
        for words in (["get", "/red"], ["list"], ["explain", "/red"], ["export"]):
            shown = self.served.do("context", *words)
            self.assertNotRegex(shown, "[\x00-\x08\x0b-\x1f\x7f\u0080-\u009f]", words)
        self.served.do("context", "set", "/pa\x1bth", "1")
        self.assertNotIn("\x1b", self.served.do("context", "list"))
        self.assertNotIn("\x1b", self.served.run("context", "get", "/no\x1bth").stderr)

    def test_bad_input_is_named_and_changes_nothing(self):
        self.served.do("context", "set", "/kept", '{"a": 1}')
        before = self.served.root_hash()
        bad = self.directory / "bad.json"
        self.refuse(USAGE, 'the path "kept" must start with \'/\', such as "/kept"', "context", "get", "kept")
        self.refuse(USAGE, "the path \"/kept/\" ends with '/'", "context", "set", "/kept/", "1")
        self.refuse(USAGE, "too long; at most 1024", "context", "set", "/" + "x" * 2000, "1")
        self.refuse(USAGE, "the path \"a\" must start", "context", "import", bad, "a")
        self.refuse(NOT_FOUND, "there is no value at /none; .*troupe context list /none", "context", "get", "/none")
        self.refuse(NOT_FOUND, "'/none' holds no value that could be erased", "context", "delete", "/none")
        self.refuse(NOT_FOUND, "there is nothing at or below '/none'", "context", "export", "/none")
        self.refuse(NOT_FOUND, f"the file {bad} cannot be read: No such file", "context", "import", bad)
        self.refuse(NOT_FOUND, "cannot be read: it is a directory", "context", "import", self.directory)
        for text, pattern in [(b"", r"bad.json is not valid JSON: .*line 1, column 1"),
                              (b'{"a": 1,\n', r"bad.json is not valid JSON: .*line 2, column 0|line 1, column 9|line 2"),
                              (b'{"a": "\xff"}', r"bad.json is not valid JSON: .*UTF-8.*line 1"),
                              (b'{"a": 1} x', r"bad.json is not valid JSON: .*line 1, column 10"),
                              (b'{"a": 1, "a": 2}', r"bad.json is not valid JSON: .*\"a\""),
                              (b"[" * 100 + b"]" * 100, r"bad.json is .*(deep|nest)"),
                              (b"[1e999]", r"bad.json is not valid JSON")]:
            with self.subTest(text=text[:20]):
                bad.write_bytes(text)
                done = self.served.run("context", "import", bad, "/in")
                self.assertIn(done.returncode, (USAGE, 7), done.stderr)
                self.assertRegex(done.stderr, r"\Atroupe: [^\n]+\n\Z")
                self.assertRegex(done.stderr, pattern)
        self.assertEqual(self.served.root_hash(), before)

    def test_an_export_cannot_be_written_where_there_is_no_place(self):
        self.served.do("context", "set", "/a", "1")
        for place, why in [("/nowhere/x.json", "No such file or directory"), (self.directory, "Is a directory"),
                           ("/dev/full", "No space left on device"), (self.directory / ("x" * 300), "File name too long")]:
            self.refuse(DAMAGED, f"the file {place} cannot be written: {why}", "context", "export", "-o", place)
        kept = self.directory / "kept.json"
        kept.write_text("before")
        self.refuse(NOT_FOUND, "nothing at or below", "context", "export", "/none", "-o", kept)
        self.assertEqual(kept.read_text(), "before")
        self.assertEqual([each.name for each in self.directory.glob("*.json*")], ["kept.json"])
        with open("/dev/full", "w") as full:
            done = self.served.run("context", "export", stdout=full)
        self.assertEqual((done.returncode, done.stderr), (DAMAGED, "troupe: the output cannot be written: No space left on device\n"))

    def test_an_export_takes_the_place_of_a_file_and_of_nothing_else(self):
        self.served.do("context", "set", "/a", "1")
        written = '{\n  "a": 1\n}\n'
        target, link, other = (self.directory / name for name in ("target.json", "link.json", "target.json.part"))
        target.write_text("before")
        target.chmod(0o640)
        link.symlink_to(target.name)
        other.write_text("mine")
        self.served.do("context", "export", "-o", link)
        self.assertTrue(link.is_symlink())
        self.assertEqual((target.read_text(), target.stat().st_mode & 0o7777, other.read_text()), (written, 0o640, "mine"))
        dangling, fresh = self.directory / "dangling.json", self.directory / "fresh.json"
        dangling.symlink_to("behind.json")
        self.served.do("context", "export", "-o", dangling)
        self.assertTrue(dangling.is_symlink())
        self.served.do("context", "export", "-o", fresh)
        mask = os.umask(0)
        os.umask(mask)
        self.assertEqual((dangling.read_text(), fresh.read_text(), fresh.stat().st_mode & 0o7777), (written, written, 0o666 & ~mask))
        pipe = self.directory / "pipe"
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        self.served.do("context", "export", "-o", pipe)
        self.assertEqual(os.read(reader, 100).decode(), written)
        os.close(reader)
        self.assertTrue(pipe.is_fifo())
        self.assertEqual(self.served.do("context", "export", "-o", "/dev/stdout"), written)

    def test_the_progress_of_an_import_and_what_follows_stand_on_lines_of_their_own(self):
        source = self.directory / "source.json"
        for last, lines in [("1", ["checked 1,500 of 1,500 values", "imported 1,500 of 1,500 values"]),
                            (json.dumps("x" * 1_100_000), ["checked 1,000 of 1,500 values", "troupe: .*1048576.*"])]:
            source.write_text("{" + "".join(f'"a{number}": 1, ' for number in range(1499)) + f'"z": {last}}}')
            near, far = pty.openpty()
            done = subprocess.run([str(PROGRAM), "context", "import", str(source), "/in", "--data-dir", str(self.served.data)],
                                  stdout=subprocess.DEVNULL, stderr=far, timeout=60)
            os.close(far)
            shown = os.read(near, 1_000_000).decode()
            os.close(near)
            self.assertEqual(done.returncode == 0, last == "1")
            self.assertTrue(shown.endswith("\n"))
            shown = [line.split("\r")[-1] for line in shown.replace("\r\n", "\n").split("\n")[:-1]]
            self.assertEqual(len(shown), len(lines), shown)
            for line, pattern in zip(shown, lines):
                self.assertRegex(line, rf"\A{pattern}\Z")

    def test_the_root_is_written_as_a_slash(self):
        self.served.do("context", "set", "/", "1")
        self.assertEqual(self.served.do("context", "get", "/"), "1\n")
        self.assertEqual(self.served.do("context", "list"), "/\t1\n")
        self.assertEqual([entry["path"] for entry in self.served.ask("context", "list")], ["/"])
        self.assertTrue(self.served.do("context", "explain", "/").startswith("/: "))
        self.assertEqual(json.loads(self.served.do("context", "export", "--flat")), {"/": 1})
        self.served.do("context", "delete", "/")
        self.refuse(NOT_FOUND, "there is no value at /; .*troupe context list /", "context", "get", "/")

    def test_node_info_counts_what_verify_counts(self):
        self.served.do("context", "set", "/a", "1")
        self.served.do("context", "set", "/b", "2")
        self.served.do("context", "delete", "/a")
        told, verified = self.served.ask("node", "info"), self.served.ask("context", "verify")["here"]
        self.assertEqual((told["entries"], told["conflicts"]), (1, 0))
        self.assertEqual((verified["entries"], verified["conflicts"]), (1, 0))

    def test_what_was_imported_is_exported_again(self):
        document = {"empty map": {}, "empty list": [], "list": [1, [], {}, ["x", {"y": None}]], "ünï ☃": "𝄞", "": {"": 0},
                    "a/b~c": True, "number": -1.5, "big": 18446744073709551615, "deep": {"er": {"and": {"deeper": "x" * 5000}}},
                    "text": "line\nbreak \"quoted\" \u0001"}
        source = self.directory / "source.json"
        source.write_text(json.dumps(document))
        self.assertRegex(self.served.do("context", "import", source, "/in"), r"\A[\d,]+ values? written below /in, 0 unchanged\n\Z")
        self.assertEqual(json.loads(self.served.do("context", "export", "/in")), document)
        again = self.served.ask("context", "import", source, "/in")
        self.assertEqual(again["written"], 0)
        target = self.directory / "target.json"
        self.assertEqual(self.served.do("context", "export", "/in", "--output", target), "")
        self.assertEqual(self.served.ask("context", "export", "/in", "--output", target), {})
        self.assertEqual(json.loads(target.read_text()), document)
        for value in ("text", 3, None, [], {}, [1, 2], {"only": 1}):
            with self.subTest(value=value):
                source.write_text(json.dumps(value))
                self.served.do("context", "import", source, "/single")
                self.assertEqual(json.loads(self.served.do("context", "export", "/single")), value)
                for entry in self.served.ask("context", "list", "/single"):
                    self.served.do("context", "delete", entry["path"])

    def test_a_value_with_children_needs_the_flat_form(self):
        self.served.do("context", "set", "/mixed", "1")
        self.served.do("context", "set", "/mixed/child", "2")
        self.refuse(USAGE, "'/mixed' holds a value of its own and has children, .*--flat", "context", "export")
        self.assertEqual(json.loads(self.served.do("context", "export", "--flat")), {"/mixed": 1, "/mixed/child": 2})

    def test_lists_are_cut_at_the_limit_and_say_so(self):
        for number in range(5):
            self.served.do("context", "set", f"/l/{number}", number)
        done = self.served.run("context", "list", "/l", "--limit", 3)
        self.assertEqual(done.stdout, "/l/0\t0\n/l/1\t1\n/l/2\t2\n")
        self.assertEqual(done.stderr, "troupe: these are the first 3 values; there are more; see them with --limit\n")
        done = self.served.run("context", "list", "/l", "--limit", 3, "--json")
        self.assertEqual(len(json.loads(done.stdout)), 3)
        self.assertIn("there are more; see them with --limit", json.loads(done.stderr)["remark"])
        self.assertEqual(self.served.run("context", "list", "/l", "--limit", 5, "--json").stderr, "")
        self.assertEqual(len(self.served.ask("context", "list", "/l", "--limit", 5)), 5)

    def test_explain_and_verify_say_what_holds(self):
        self.served.do("context", "set", "/x", "1")
        told = self.served.ask("context", "explain", "/x")
        self.assertFalse(told["conflict"])
        self.assertEqual([write["value"] for write in told["writes"]], [1])
        self.assertIn("nothing was ever written there", self.served.do("context", "explain", "/none"))
        self.assertRegex(self.served.do("context", "verify"), r"\A/: 1 values, 0 conflicts, hash [0-9a-f]{32}: sound\n\Z")
        other = self.start(name="other")
        differs = self.served.run("context", "verify", "--against", other.data)
        self.assertEqual(differs.returncode, DAMAGED)
        self.assertIn("DIFFERENT", differs.stdout)
        self.served.do("context", "delete", "/x")
        self.refuse(UNAVAILABLE, "no node answers on /nowhere/troupe.sock", "context", "verify", "--against", "/nowhere")

    def test_the_deadline_bounds_the_wait(self):
        self.served.process.send_signal(signal.SIGSTOP)
        try:
            self.refuse(TIMEOUT, "no answer before the deadline", "node", "info", "--deadline", 300)
        finally:
            self.served.process.send_signal(signal.SIGCONT)

    def test_a_node_that_dies_meanwhile_is_told(self):
        self.served.process.send_signal(signal.SIGSTOP)
        asking = subprocess.Popen([str(PROGRAM), "node", "info", "--data-dir", str(self.served.data)],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_until(lambda: "socket:" in " ".join(links_of(asking.pid)))
        self.served.stop(signal.SIGKILL)
        out, err = asking.communicate(timeout=20)
        self.assertEqual((asking.returncode, out), (UNAVAILABLE, ""))
        self.assertRegex(err, r"\Atroupe: (the node closed the connection|no node answers[^\n]*)\n\Z")


def command_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""


def links_of(pid):
    links = []
    for entry in pathlib.Path(f"/proc/{pid}/fd").glob("*"):
        try:
            links.append(os.readlink(entry))
        except OSError:
            pass
    return links


class Commands(NodeTest):
    """`exec`, `metrics` and `plugin` against the example plugin `notes`."""

    def setUp(self):
        super().setUp()
        self.served = self.start("--plugin", PACKAGES / "notes")

    def tearDown(self):
        self.stop_all()
        super().tearDown()

    def refuse(self, status, pattern, *words):
        self.assert_refused(self.served.run(*words), status, pattern)

    def test_arguments_come_by_name_or_in_order(self):
        self.served.do("exec", "notes.add", "text=buy milk", 'tags=["shop","x, y"]')
        self.served.do("exec", "notes.add", "call Ada", '["phone","z"]')
        self.served.do("exec", "notes.add", "text=")
        self.served.do("exec", "notes.add", "{}")
        self.served.do("exec", "notes.add", "[braces]")
        self.served.do("exec", "notes.add", "-5")
        self.served.do("exec", "notes.add", "text=--dashes")
        found = self.served.ask("exec", "notes.find", "text=", "limit=10")
        self.assertEqual([(note["text"], note["tags"]) for note in found],
                         [("buy milk", ["shop", "x, y"]), ("call Ada", ["phone", "z"]), ("", []), ("{}", []), ("[braces]", []), ("-5", []),
                          ("--dashes", [])])
        self.assertEqual(self.served.do("exec", "notes.count"), "7\n")

    def test_wrong_words_are_named_with_the_nearest_right_one_and_the_usage(self):
        before = self.served.root_hash()
        usage = r"; usage: troupe exec notes.add text=string \[tags=array\]"
        for status, pattern, words in [
                (NOT_FOUND, 'there is no command "notes.ad"; did you mean "notes.add"', ["notes.ad", "text=x"]),
                (NOT_FOUND, 'there is no command "nope"; see them with: troupe exec --list', ["nope"]),
                (USAGE, '"text": expected a string.*, received nothing' + usage, ["notes.add"]),
                (USAGE, r'"txt": expected one of the parameters text, tags.*did you mean "text"\?.*' + usage, ["notes.add", "txt=hi"]),
                (USAGE, '"tags": expected an array of at most 32 elements, received "3"' + ".*" + usage, ["notes.add", "text=x", "tags=3"]),
                (USAGE, '"limit": expected an integer from 1 to 1000, received "x"', ["notes.find", "text=", "limit=x"]),
                (USAGE, '"limit": expected an integer from 1 to 1000, received 5000', ["notes.find", "text=", "limit=5000"]),
                (USAGE, 'expected at most 2 arguments, received "4"', ["notes.find", "h", "3", "4"])]:
            with self.subTest(words=words):
                self.refuse(status, pattern, "exec", *words)
        self.assertEqual(self.served.root_hash(), before)

    def test_errors_carry_detail_in_json(self):
        done = self.served.run("exec", "notes.find", "text=", "limit=x", "--json")
        told = json.loads(done.stderr)["error"]
        self.assertEqual((done.returncode, told["code"]), (USAGE, "invalid_argument"))
        self.assertTrue(told["detail"])

    def test_a_command_explains_itself(self):
        text = self.served.do("exec", "notes.find", "--help")
        self.assertRegex(text, r"\AFinds notes by a part of their text, oldest first\n\nUsage: troupe exec notes.find text=string \[limit=integer\]\n")
        self.assertRegex(text, r"(?m)^limit +an integer from 1 to 1000 +\d+ ")
        self.assertRegex(text, r"(?m)^text +a string.* +\(required\) ")
        self.assertRegex(self.served.do("exec", "notes.count", "-h"), r"\n\nIt takes no parameters\.\n\Z")
        self.assertEqual(self.served.ask("exec", "notes.find", "--help")["name"], "notes.find")
        self.refuse(NOT_FOUND, 'there is no command "notes.ad"; did you mean "notes.add"', "exec", "notes.ad", "--help")

    def test_commands_are_listed_with_their_parameters(self):
        text = self.served.do("exec", "--list")
        self.assertRegex(text, r"(?m)^COMMAND +SUMMARY$")
        self.assertRegex(text, r"(?m)^notes\.add text=string \[tags=array\] +Keeps a note")
        self.assertEqual([each["name"] for each in self.served.ask("exec", "--list", "notes.f")], ["notes.find"])

    def test_metrics_count_what_ran(self):
        for _ in range(3):
            self.served.do("exec", "notes.count")
        self.refuse(NOT_FOUND, '"notes.cuont"; did you mean "notes.count"', "metrics", "notes.cuont")
        only = self.served.ask("metrics", "notes.count")
        self.assertEqual([(each["name"], each["execution_count"], each["error_count"]) for each in only], [("notes.count", 3, 0)])
        self.assertRegex(self.served.do("metrics"), r"(?m)^notes\.count +3 +0 +100\.0 %")
        self.assertEqual(self.served.do("metrics", "--reset"), "the measurements of all commands start anew\n")
        self.assertEqual(self.served.do("metrics"), "no command has run yet\n")

    def test_what_has_no_answer_of_its_own_is_confirmed(self):
        for words, text in [(["metrics", "--reset"], "the measurements of all commands start anew\n"),
                            (["plugin", "grant", "notes", "state"], "state is granted to plugin notes\n"),
                            (["plugin", "revoke", "notes", "state"], "state is revoked from plugin notes\n")]:
            with self.subTest(words=words):
                self.assertEqual(self.served.do(*words), text)
                self.assertEqual(self.served.ask(*words), {})
        self.assertEqual(self.served.do("plugin", "unload", "notes"), "plugin notes is unloaded\n")
        self.served.do("plugin", "load", PACKAGES / "notes")
        self.assertEqual(self.served.ask("plugin", "unload", "notes"), {})

    def test_plugins_that_are_not_there_are_named(self):
        for words in (["unload", "note"], ["usage", "note"], ["grant", "note", "state"], ["revoke", "note", "state"], ["check", "note", "state"]):
            with self.subTest(words=words):
                self.refuse(NOT_FOUND, 'there is no plugin "note"', "plugin", *words)
        self.refuse(NOT_FOUND, "there is no directory nowhere: No such file", "plugin", "load", "nowhere")
        self.refuse(USAGE, "the plugin notes is loaded already; unload it first", "plugin", "load", PACKAGES / "notes")
        self.refuse(USAGE, 'is not a capability; did you mean "context.read"', "plugin", "grant", "notes", "context.raed:/x")
        self.refuse(USAGE, "\"all\" is not a capability; one is a verb with what it is for", "plugin", "grant", "notes", "all")
        self.refuse(USAGE, "the pattern \"x\" must start with '/'", "plugin", "grant", "notes", "context.read:x")
        denied = self.served.run("plugin", "check", "notes", "context.read:/secret")
        self.assertEqual((denied.returncode, denied.stdout, denied.stderr), (DENIED, "denied: not granted\n", ""))


class Sandbox(NodeTest):
    def test_a_node_without_its_sandbox_serves_everything_but_plugins(self):
        node = self.start("--plugin-init", self.directory / "nothing")
        self.assert_refused(node.run("plugin", "load", PACKAGES / "notes"), UNAVAILABLE,
                            f'there is no program "{self.directory}/nothing"; give the absolute path of troupe-plugin-init')
        self.assertIn("plugin.no_sandbox", node.log_text())
        node.do("context", "set", "/still", "here")
        self.assertEqual(node.do("plugin", "list"), "no plugins are loaded; load one with: troupe plugin load DIRECTORY\n")
        self.stop_all()

    def test_no_sandbox_is_a_choice_that_is_reported(self):
        node = self.start("--sandbox", "none")
        self.assertEqual(node.ask("node", "info")["sandbox"], "none")
        self.assertIn("node.plugins_unconfined", node.log_text())
        self.stop_all()


class EndingAndReturning(NodeTest):
    def test_a_node_tells_people_that_it_is_ready_and_why_it_stops(self):
        with subprocess.Popen([str(PROGRAM), "run", "--data-dir", str(self.directory / "n"), "--listen", "127.0.0.1:0"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()) as node:
            ready = node.stdout.readline()
            self.assertRegex(ready, rf"\Anode node is ready; data in {self.directory}/n, listens on 127\.0\.0\.1:\d+\n\Z")
            node.send_signal(signal.SIGINT)
            out, log = node.communicate(timeout=20)
        self.assertEqual((node.returncode, out), (SUCCESS, "stopping: interrupted\n"))
        self.assertIn("node.started", log)

    def test_interrupt_terminate_and_the_stop_command_all_end_well(self):
        for end in (lambda n: n.stop(signal.SIGINT), lambda n: n.stop(signal.SIGTERM),
                    lambda n: (self.assertEqual(n.do("node", "stop"), "the node is stopping\n"), n.process.wait(timeout=20))[1],
                    lambda n: (self.assertEqual(n.ask("node", "stop"), {}), n.process.wait(timeout=20))[1]):
            node = self.start()
            self.assertEqual(end(node), SUCCESS, node.log_text())
            self.assertFalse((node.data / "troupe.sock").exists())
            self.assert_refused(node.run("node", "info"), UNAVAILABLE, "no node answers")
            node.process.stdout.close()
        self.assert_nothing_left()

    def test_a_stop_ends_plugins_and_open_links_too(self):
        node = self.start("--plugin", PACKAGES / "notes", "--plugin", PACKAGES / "wordcount")
        with socket.socket(socket.AF_UNIX) as idle:
            idle.connect(str(node.data / "troupe.sock"))
            self.assertEqual(node.stop(signal.SIGINT), SUCCESS, node.log_text())
        self.assert_nothing_left()

    def test_a_closed_output_does_not_end_a_node(self):
        for options in ([], ["--json"]):
            node = self.node()
            node.process = subprocess.Popen([str(PROGRAM), "run", *options, "--log-level", "debug", "--data-dir", str(node.data)],
                                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
            self.assertIn("ready", node.process.stdout.readline())
            node.process.stdout.close()
            node.process.stderr.close()
            node.do("context", "set", "/a", "1")
            node.process.send_signal(signal.SIGTERM)
            self.assertEqual(node.process.wait(timeout=20), SUCCESS)

    def test_a_node_without_standard_streams_keeps_its_files_whole(self):
        node = self.node()
        node.process = subprocess.Popen(["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', str(PROGRAM), "run", "--log-level", "debug",
                                         "--data-dir", str(node.data)], env=environment())
        wait_until(lambda: node.run("node", "info").returncode == SUCCESS)
        node.do("context", "set", "/a", "1")
        node.process.send_signal(signal.SIGTERM)
        self.assertEqual(node.process.wait(timeout=20), SUCCESS)
        node.start()
        self.assertEqual(node.ask("context", "verify")["here"]["sound"], True)
        self.stop_all()

    def test_a_signal_ends_a_node_that_still_starts(self):
        package = write_package(self.directory / "mute", "mute", "import time\nwhile True:\n    time.sleep(1)\n",
                                tables="[deadlines]\nstart_ms = 60000\n")
        for number in (signal.SIGINT, signal.SIGTERM):
            starting = subprocess.Popen([str(PROGRAM), "run", "--data-dir", str(self.directory / "data"), "--plugin", str(package)],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment())
            wait_until(lambda: any("plugin.py" in command_of(pid) for pid in descendants(starting.pid)), 30)
            starting.send_signal(number)
            self.assertEqual(starting.wait(timeout=10), -number)
            self.assertEqual(starting.stdout.read(), b"")
            starting.stdout.close()
            self.assert_nothing_left()

    def run_beside_silence(self, stop_deadline_ms, *options):
        """A node that is ready and dialing, which takes three seconds."""
        (self.directory / "troupe.toml").write_text(f"stop_deadline_ms = {stop_deadline_ms}\n")
        address = self.enterContext(silent_address())
        node = subprocess.Popen([str(PROGRAM), "run", "--config", str(self.directory / "troupe.toml"), "--data-dir", str(self.directory / "data"),
                                 "--join", address, "--log-level", "off", *options],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
        self.addCleanup(node.kill)
        self.assertIn("ready", node.stdout.readline())
        wait_until(lambda: is_connecting(node.pid, address))
        return node

    def test_a_stop_that_blocks_ends_all_the_same_and_names_what_blocks(self):
        for options in ([], ["--json"]):
            with self.run_beside_silence(100, *options) as node:
                node.send_signal(signal.SIGTERM)
                _, told = node.communicate(timeout=20)
            self.assertEqual(node.returncode, FAILED)
            if options:
                self.assertEqual(json.loads(told)["error"]["message"], "did not stop in time: dialer")
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

    def test_what_was_acknowledged_survives_a_kill(self):
        node = self.start()
        for number in range(20):
            node.do("context", "set", f"/k/{number}", number)
        before = node.root_hash()
        incarnation = node.ask("node", "info")["incarnation"]
        self.assertEqual(node.stop(signal.SIGKILL), -signal.SIGKILL)
        self.assertTrue((node.data / "troupe.sock").exists())  # a stale one, which is replaced
        node.start()
        self.assertEqual(node.root_hash(), before)
        self.assertGreater(node.ask("node", "info")["incarnation"], incarnation)
        self.assertEqual(sorted(entry["value"] for entry in node.ask("context", "list", "/k")), list(range(20)))
        self.assertEqual(len(node.ask("context", "list", "/k")), 20)
        self.assertEqual(node.run("context", "verify").returncode, SUCCESS)
        self.stop_all()

    def test_a_kill_takes_the_plugins_along(self):
        node = self.start("--plugin", PACKAGES / "notes", "--plugin", PACKAGES / "wordcount")
        self.assertEqual(node.stop(signal.SIGKILL), -signal.SIGKILL)
        self.assert_nothing_left()
        node.start("--plugin", PACKAGES / "notes")
        node.do("exec", "notes.add", "text=x")
        self.stop_all()

    def test_settings_come_from_the_file_the_environment_and_flags_in_this_order(self):
        file = self.directory / "troupe.toml"
        file.write_text('name = "file"\ncluster = "file"\ndata_dir = "from-file"\nlisten = "127.0.0.1:0"\n')
        node = Node(self.directory / "from-file")
        self.nodes.append(node)
        with open(node.log, "ab") as log:
            node.process = subprocess.Popen([str(PROGRAM), "run", "--json", "--config", str(file), "--name", "flag"], text=True,
                                            stdout=subprocess.PIPE, stderr=log, env=environment(TROUPE_NAME="variable"))
        ready = json.loads(node.process.stdout.readline())
        self.assertEqual((ready["name"], ready["data_dir"]), ("flag", str(node.data)))
        self.assertRegex(ready["listens"], r"127\.0\.0\.1:\d+")
        self.stop_all()

    def test_an_empty_flag_undoes_what_the_file_says(self):
        file = self.directory / "troupe.toml"
        file.write_text('listen = "127.0.0.1:0"\n')
        self.assertEqual(self.start("--config", file, "--listen", "").address, "")
        self.stop_all()


class Several(NodeTest):
    def join(self, *nodes):
        wait_until(lambda: all(len([p for p in node.ask("node", "peers") if p["connected"]]) >= len(nodes) - 1 for node in nodes), 20)

    def test_two_nodes_find_each_other_and_share_their_values(self):
        a = self.start("--listen", "127.0.0.1:0", name="a")
        b = self.start("--join", a.address, name="b")
        self.join(a, b)
        a.do("context", "set", "/from/a", "1")
        b.do("context", "set", "/from/b", "2")
        wait_until(lambda: a.root_hash() == b.root_hash() and a.ask("node", "info")["entries"] == 2)
        self.assertRegex(a.do("node", "peers"), r"(?m)^b +\S* +connected +[0-9a-f-]{36}")
        self.assertEqual(a.run("context", "verify", "--against", b.data).returncode, SUCCESS)
        self.stop_all()

    def test_both_sides_count_the_conflicts_between_them(self):
        a = self.start("--listen", "127.0.0.1:0", name="a")
        b = self.start(name="b")
        for node in (a, b):
            node.do("context", "set", "/same", node.data.name)
        self.assertEqual(b.stop(), SUCCESS)
        b.start("--join", a.address)
        for node in (a, b):
            wait_until(lambda: node.ask("node", "info")["conflicts"] == 1)
            self.assertEqual(node.ask("node", "info")["entries"], 1)
            self.assertRegex(node.do("node", "info"), r"(?m)^conflicts +1$")
        a.do("context", "set", "/same", "again")
        for node in (a, b):
            wait_until(lambda: node.ask("node", "info")["conflicts"] == 0)
        self.stop_all()

    def test_a_copied_data_directory_is_refused_by_its_origin(self):
        a = self.start("--listen", "127.0.0.1:0", name="a")
        a.do("context", "set", "/a", "1")
        self.assertEqual(a.stop(), SUCCESS)
        subprocess.run(["cp", "-a", str(a.data), str(self.directory / "copy")], check=True)
        a.start("--listen", "127.0.0.1:0")
        copy = self.start("--join", a.address, name="copy")
        problem = wait_until(lambda: next((p["problem"] for p in copy.ask("node", "peers") if "copied" in p["problem"]), None))
        self.assertRegex(problem, "the data directory was copied; give the copy its own|copied")
        self.assertIn(problem[:40], copy.do("node", "peers"))
        self.assertFalse(any(p["connected"] for p in copy.ask("node", "peers")))
        a.do("context", "set", "/still", "served")
        self.stop_all()

    def test_a_node_of_another_cluster_is_refused_with_the_reason(self):
        a = self.start("--listen", "127.0.0.1:0", "--cluster", "one", name="a")
        b = self.start("--join", a.address, "--cluster", "two", name="b")
        problem = wait_until(lambda: next((p["problem"] for p in b.ask("node", "peers") if "cluster" in p["problem"]), None))
        self.assertIn("nodes of one cluster are started with the same --cluster", problem)
        a.do("context", "set", "/secret", "1")
        self.assertEqual(b.ask("context", "list"), [])
        self.stop_all()

    def test_a_node_that_nobody_serves_is_shown_as_away(self):
        lone = self.start("--join", f"127.0.0.1:{free_port()}", name="lone")
        wait_until(lambda: any("refused" in p["problem"] for p in lone.ask("node", "peers")))
        self.assertRegex(lone.do("node", "peers"), r"away .*refused")
        self.stop_all()


if __name__ == "__main__":
    unittest.main(verbosity=2)
