"""`troupe context`: values, lists, imports and exports, and every mistake with them."""

import json
import os
import pathlib
import pty
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from nodes import (  # noqa: E402
    DAMAGED, NOT_FOUND, PROGRAM, SUCCESS, UNAVAILABLE, USAGE, ServedTest, troupe)


class Context(ServedTest):
    def test_a_value_is_json_when_it_parses_and_text_otherwise(self):
        for written, kept in [("42", 42), ("-5", -5), ("1.5", 1.5), ("true", True), ("null", None),
                              ("dark", "dark"), ("", ""), ('"42"', "42"), ("[1, [2]]", [1, [2]]),
                              ('["a","b"]', ["a", "b"]),
                              ('{"a": {"b": null}}', {"a": {"b": None}}),
                              ("{}", {}), ("[]", []), ("{", "{"), ("node", "node"),
                              ("ünïcode ☃", "ünïcode ☃"), ("nan", "nan"),
                              ("18446744073709551615", 18446744073709551615),
                              ("-9223372036854775808", -9223372036854775808)]:
            with self.subTest(written=written):
                self.assertEqual(self.served.do("context", "set", "/v", written), "")
                self.assertEqual(self.served.ask("context", "get", "/v"), kept)
        self.served.do("context", "set", "/v", "42", "--string")
        self.assertEqual(self.served.ask("context", "get", "/v"), "42")
        dashes = troupe("context", "set", "--data-dir", self.served.data, "/v", "--", "--dashes")
        self.assertEqual(dashes.returncode, SUCCESS)
        self.assertEqual(self.served.do("context", "get", "/v"), "--dashes\n")

    def test_a_number_that_would_change_is_refused_and_kept_as_text_on_request(self):
        self.served.do("context", "set", "/v", "kept")
        for written, place in [("18446744073709551616", ""),
                               ('{"a": [-9223372036854775809]}', " at /a/0"), ("1e999", "")]:
            problem = "the value cannot be kept: the JSON text has the number [-0-9e]+" + place
            self.refuse(7, problem + ", which is beyond 64 bits .*--string", "context", "set", "/v",
                        written)
        self.assertEqual(self.served.do("context", "get", "/v"), "kept\n")
        self.served.do("context", "set", "/v", "18446744073709551616", "--string")
        self.assertEqual(self.served.ask("context", "get", "/v"), "18446744073709551616")

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
        self.refuse(USAGE, 'the path "kept" must start with \'/\', such as "/kept"',
                    "context", "get", "kept")
        self.refuse(USAGE, "the path \"/kept/\" ends with '/'", "context", "set", "/kept/", "1")
        self.refuse(USAGE, "too long; at most 1024", "context", "set", "/" + "x" * 2000, "1")
        self.refuse(USAGE, "the path \"a\" must start", "context", "import", bad, "a")
        self.refuse(NOT_FOUND, "there is no value at /none; .*troupe context list /none",
                    "context", "get", "/none")
        self.refuse(NOT_FOUND, "'/none' holds no value that could be erased",
                    "context", "delete", "/none")
        self.refuse(NOT_FOUND, "there is nothing at or below '/none'", "context", "export", "/none")
        self.refuse(NOT_FOUND, f"the file {bad} cannot be read: No such file",
                    "context", "import", bad)
        self.refuse(NOT_FOUND, "cannot be read: it is a directory",
                    "context", "import", self.directory)
        invalid, refused = "bad.json is not valid JSON: ", "bad.json is not imported: "
        for text, pattern in [(b"", invalid + ".*line 1, column 1"),
                              (b'{"a": 1,\n', invalid + ".*(line 2|line 1, column 9)"),
                              (b'{"a": "\xff"}', invalid + ".*UTF-8.*line 1"),
                              (b'{"a": 1} x', invalid + ".*line 1, column 10"),
                              (b'{"a": 1, "a": 2}', invalid + '.*"a"'),
                              (b"[" * 100 + b"]" * 100, "bad.json is .*(deep|nest)"),
                              (b"[1e999]", refused + "the JSON text has the number 1e999 at /0, "
                                                     "which is beyond 64 bits"),
                              (b'{"a": {"n": 18446744073709551616}}',
                               refused + ".* number 18446744073709551616 at /a/n, which")]:
            with self.subTest(text=text[:20]):
                bad.write_bytes(text)
                done = self.served.run("context", "import", bad, "/in")
                self.assertIn(done.returncode, (USAGE, 7), done.stderr)
                self.assertRegex(done.stderr, r"\Atroupe: [^\n]+\n\Z")
                self.assertRegex(done.stderr, pattern)
        self.assertEqual(self.served.root_hash(), before)

    def test_an_export_to_an_unwritable_place_fails(self):
        self.served.do("context", "set", "/a", "1")
        for place, why in [("/nowhere/x.json", "No such file or directory"),
                           (self.directory, "Is a directory"),
                           ("/dev/full", "No space left on device"),
                           (self.directory / ("x" * 300), "File name too long")]:
            self.refuse(DAMAGED, f"the file {place} cannot be written: {why}",
                        "context", "export", "-o", place)
        kept = self.directory / "kept.json"
        kept.write_text("before")
        self.refuse(NOT_FOUND, "nothing at or below", "context", "export", "/none", "-o", kept)
        self.assertEqual(kept.read_text(), "before")
        self.assertEqual([each.name for each in self.directory.glob("*.json*")], ["kept.json"])
        with open("/dev/full", "w") as full:
            done = self.served.run("context", "export", stdout=full)
        self.assertEqual((done.returncode, done.stderr), (
            DAMAGED, "troupe: the output cannot be written: No space left on device\n"))

    def test_an_export_replaces_its_file_and_no_other(self):
        self.served.do("context", "set", "/a", "1")
        written = '{\n  "a": 1\n}\n'
        target, link, other = (self.directory / name
                               for name in ("target.json", "link.json", "target.json.part"))
        target.write_text("before")
        target.chmod(0o640)
        link.symlink_to(target.name)
        other.write_text("mine")
        self.served.do("context", "export", "-o", link)
        self.assertTrue(link.is_symlink())
        self.assertEqual((target.read_text(), target.stat().st_mode & 0o7777, other.read_text()),
                         (written, 0o640, "mine"))
        dangling, fresh = self.directory / "dangling.json", self.directory / "fresh.json"
        dangling.symlink_to("behind.json")
        self.served.do("context", "export", "-o", dangling)
        self.assertTrue(dangling.is_symlink())
        self.served.do("context", "export", "-o", fresh)
        mask = os.umask(0)
        os.umask(mask)
        self.assertEqual((dangling.read_text(), fresh.read_text(), fresh.stat().st_mode & 0o7777),
                         (written, written, 0o666 & ~mask))
        pipe = self.directory / "pipe"
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        self.served.do("context", "export", "-o", pipe)
        self.assertEqual(os.read(reader, 100).decode(), written)
        os.close(reader)
        self.assertTrue(pipe.is_fifo())
        self.assertEqual(self.served.do("context", "export", "-o", "/dev/stdout"), written)

    def test_the_progress_of_an_import_and_the_lines_after_it_stay_apart(self):
        source = self.directory / "source.json"
        too_long = json.dumps("x" * 1_100_000)
        for last, lines in [
                ("1", ["checked 1,500 of 1,500 values", "imported 1,500 of 1,500 values"]),
                (too_long, ["checked 1,000 of 1,500 values", "troupe: .*1048576.*"])]:
            members = "".join(f'"a{number}": 1, ' for number in range(1499))
            source.write_text("{" + members + f'"z": {last}}}')
            near, far = pty.openpty()
            words = ["context", "import", str(source), "/in", "--data-dir", str(self.served.data)]
            done = subprocess.run([str(PROGRAM), *words],
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
        self.refuse(NOT_FOUND, "there is no value at /; .*troupe context list /",
                    "context", "get", "/")

    def test_an_imported_document_is_exported_unchanged(self):
        document = {"empty map": {}, "empty list": [], "list": [1, [], {}, ["x", {"y": None}]],
                    "ünï ☃": "𝄞", "": {"": 0}, "a/b~c": True, "number": -1.5,
                    "big": 18446744073709551615,
                    "deep": {"er": {"and": {"deeper": "x" * 5000}}},
                    "text": "line\nbreak \"quoted\" \u0001"}
        source = self.directory / "source.json"
        source.write_text(json.dumps(document))
        self.assertRegex(self.served.do("context", "import", source, "/in"),
                         r"\A[\d,]+ values? written below /in, 0 unchanged\n\Z")
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
        self.refuse(USAGE, "'/mixed' holds a value of its own and has children, .*--flat",
                    "context", "export")
        self.assertEqual(json.loads(self.served.do("context", "export", "--flat")),
                         {"/mixed": 1, "/mixed/child": 2})

    def test_a_list_that_the_limit_cuts_says_so(self):
        for number in range(5):
            self.served.do("context", "set", f"/l/{number}", number)
        done = self.served.run("context", "list", "/l", "--limit", 3)
        self.assertEqual(done.stdout, "/l/0\t0\n/l/1\t1\n/l/2\t2\n")
        self.assertEqual(done.stderr, "troupe: these are the first 3 values; there are more; "
                                      "see them with --limit\n")
        done = self.served.run("context", "list", "/l", "--limit", 1)
        self.assertEqual(done.stderr, "troupe: this is the first value; there are more; "
                                      "see them with --limit\n")
        done = self.served.run("context", "list", "/l", "--limit", 3, "--json")
        self.assertEqual(len(json.loads(done.stdout)), 3)
        self.assertIn("there are more; see them with --limit", json.loads(done.stderr)["remark"])
        done = self.served.run("context", "list", "/l", "--limit", 5, "--json")
        self.assertEqual(done.stderr, "")
        self.assertEqual(len(self.served.ask("context", "list", "/l", "--limit", 5)), 5)

    def test_explain_and_verify_describe_the_state(self):
        self.served.do("context", "set", "/x", "1")
        told = self.served.ask("context", "explain", "/x")
        self.assertFalse(told["conflict"])
        self.assertEqual([write["value"] for write in told["writes"]], [1])
        self.assertIn("nothing was ever written there",
                      self.served.do("context", "explain", "/none"))
        self.assertRegex(self.served.do("context", "verify"),
                         r"\A/: 1 value, 0 conflicts, hash [0-9a-f]{32}: sound\n\Z")
        other = self.start(name="other")
        differs = self.served.run("context", "verify", "--against", other.data)
        self.assertEqual(differs.returncode, DAMAGED)
        self.assertIn("DIFFERENT", differs.stdout)
        self.served.do("context", "delete", "/x")
        self.refuse(UNAVAILABLE, "no node answers on /nowhere/troupe.sock",
                    "context", "verify", "--against", "/nowhere")


if __name__ == "__main__":
    unittest.main(verbosity=2)
