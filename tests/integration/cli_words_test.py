"""The words given to the program `troupe`: its help, and every mistake in them."""

import json
import os
import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from nodes import (  # noqa: E402
    DAMAGED, PROGRAM, SOURCE, SUCCESS, UNAVAILABLE, USAGE, NodeTest, environment, troupe)


GROUPS = {"context": "get set delete list import export explain verify quarantine clock",
          "node": "info peers members forget stop",
          "plugin": "list load unload usage grant revoke check audit"}
ALONE = "run exec metrics version"


class Help(NodeTest):
    def test_both_ways_print_the_version(self):
        told = troupe("version")
        self.assertRegex(told.stdout, r"\Atroupe \d+\.\d+\.\d+\n\Z")
        self.assertEqual(troupe("--version").stdout, told.stdout)
        self.assertEqual((told.returncode, told.stderr), (SUCCESS, ""))
        self.assertEqual(f"troupe {json.loads(troupe('version', '--json').stdout)['version']}\n",
                         told.stdout)

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
    """Mistakes in the words. Each ends with 2, names the word, and says where help is."""

    CASES = [
        ([], r'"troupe" needs a subcommand: run, exec, plugin, context, node, metrics, version; '
             r'see: troupe --help'),
        (["versoin"], r'"troupe" has no subcommand "versoin"; did you mean "version"\?; '
                      r'see: troupe --help'),
        (["xyzzy"], r'"troupe" has no subcommand "xyzzy"; there are run, exec,'),
        (["context"], r'"troupe context" needs a subcommand: get, set,'),
        (["context", "gett"], r'"troupe context" has no subcommand "gett"; did you mean "get"\?'),
        (["context", "get"], r"path is required; see: troupe context get --help"),
        (["context", "get", "/a", "/b"], r'"troupe context get" takes no further argument "/b"'),
        (["context", "get", "/a", "--jsno"],
         r'"troupe context get" has no option --jsno; did you mean "--json"\?'),
        (["context", "set", "/a", "-x"],
         r"has no option -x; .*a value that begins with '-' goes after --"),
        (["context", "list", "--limit", "0"], r"--limit: .*0.*1.*100000000"),
        (["context", "list", "--limit", "many"], r"--limit"),
        (["node", "info", "--deadline", "0"], r"--deadline: .*0.*1.*86400000"),
        (["node", "info", "--data-dir"], r"--data-dir.*see: troupe node info --help"),
        (["run", "--sandbox", "sand"], r"--sandbox: sand not in \{bubblewrap,none\}"),
        (["run", "--log-level", "loud"],
         r"--log-level: loud not in \{debug,info,warning,error,off\}"),
        (["run", "--log-format", "xml"], r"--log-format: xml not in \{text,json\}"),
        (["run", "--listne", "127.0.0.1:0"], r'has no option --listne; did you mean "--listen"\?'),
        (["plugin", "audit", "--limit", "1001"], r"--limit: .*1001.*1 to 1000"),
        (["metrics", "notes.add", "--reset"], r"--reset"),
        (["exec", "x.y", "--jsno"], r'"troupe exec" has no option --jsno; did you mean "--json"\?; '
                                    r'see: troupe exec --help'),
        (["exec", "x.y", "-x"], r"has no option -x; .*a value that begins with '-' is given with "
                                r"the name of its parameter, such as text=-x"),
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
                    continue  # --json counts as another word there
                self.assertEqual((done.returncode, done.stdout), (USAGE, ""))
                self.assertEqual(json.loads(done.stderr)["error"]["code"], "invalid_argument")

    def test_words_that_are_not_utf_8_are_refused_in_any_position(self):
        word = os.fsdecode(b"bad\xff\xc3")
        for words in (["context", "set", "/a", word], ["context", "get", "/" + word],
                      ["exec", word], ["exec", "x.y", "text=" + word],
                      ["plugin", "load", word], ["run", "--name", word],
                      ["run", "--data-dir", word], [word]):
            with self.subTest(words=words):
                self.assert_refused(troupe(*words, cwd=self.directory), USAGE,
                                    r'the argument "\S*bad\?\?" is not UTF-8')
                told = json.loads(troupe(*words, "--json", cwd=self.directory).stderr)["error"]
                self.assertEqual(told["code"], "invalid_argument")
        self.assertEqual(list(self.directory.iterdir()), [])

    def test_a_setting_that_is_not_utf_8_is_reported(self):
        env = environment(TROUPE_DATA_DIR=os.fsdecode(b"/bad\xff"))
        self.assert_refused(troupe("node", "info", env=env), UNAVAILABLE,
                            r"no node answers on /bad\?/troupe.sock")
        told = json.loads(troupe("node", "info", "--json", env=env).stderr)["error"]
        self.assertIn("/bad?/troupe.sock", told["message"])
        self.assert_refused(troupe("run", env=env), USAGE,
                            r"the path of the data directory /bad\? is not UTF-8")

    def test_an_empty_word_is_not_a_missing_one(self):
        for words, pattern in [
                (["context", "get", ""], 'the path is empty; the root is "/"'),
                (["context", "set", "", "1"], "the path is empty"),
                (["context", "delete", ""], "the path is empty"),
                (["context", "list", ""], "the path is empty"),
                (["context", "import", "x.json", ""], "the path is empty"),
                (["node", "info", "--data-dir", ""], "the name of the data directory is empty"),
                (["run", "--data-dir", ""], "data_dir: is missing"),
                (["run", "--name", ""], "name: must be 1 to 64"),
                (["run", "--cluster", ""], "cluster: must be 1 to 64"),
                (["run", "--join", ""], "join: .*has no port"),
                (["run", "--plugin", ""], "plugins: the name of a package directory is empty"),
                (["run", "--config", ""], "--config: must not be empty; see: troupe run --help")]:
            with self.subTest(words=words):
                self.assert_refused(troupe(*words, cwd=self.directory), USAGE, pattern)
                done = troupe(*words, "--json", cwd=self.directory)
                self.assertIn("error", json.loads(done.stderr))
        self.assertEqual(list(self.directory.iterdir()), [])

    def test_output_that_cannot_be_written_is_a_failure(self):
        for words in (["--help"], ["version"], ["version", "--json"]):
            with self.subTest(words=words), open("/dev/full", "w") as full:
                done = troupe(*words, stdout=full)
                self.assertEqual(done.returncode, DAMAGED)
                self.assertIn("the output cannot be written: No space left on device", done.stderr)
        closed = subprocess.run(["sh", "-c", 'exec "$0" version >&-', str(PROGRAM)],
                                stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(closed.returncode, DAMAGED)
        self.assertIn("the output cannot be written: Bad file descriptor", closed.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
