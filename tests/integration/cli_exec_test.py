"""`troupe exec`, `metrics` and `plugin` with the commands of the example plugin `notes`."""

import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from nodes import DENIED, NOT_FOUND, PACKAGES, USAGE, ServedTest  # noqa: E402


class Commands(ServedTest):
    OPTIONS = ("--plugin", PACKAGES / "notes")

    def test_arguments_are_given_by_name_or_in_order(self):
        self.served.do("exec", "notes.add", "text=buy milk", 'tags=["shop","x, y"]')
        self.served.do("exec", "notes.add", "call Ada", '["phone","z"]')
        self.served.do("exec", "notes.add", "text=")
        self.served.do("exec", "notes.add", "{}")
        self.served.do("exec", "notes.add", "[braces]")
        self.served.do("exec", "notes.add", "-5")
        self.served.do("exec", "notes.add", "text=--dashes")
        found = self.served.ask("exec", "notes.find", "text=", "limit=10")
        self.assertEqual([(note["text"], note["tags"]) for note in found], [
            ("buy milk", ["shop", "x, y"]), ("call Ada", ["phone", "z"]), ("", []), ("{}", []),
            ("[braces]", []), ("-5", []), ("--dashes", [])])
        self.assertEqual(self.served.do("exec", "notes.count"), "7\n")

    def test_wrong_words_are_named_with_the_nearest_right_one_and_the_usage(self):
        before = self.served.root_hash()
        usage = r"; usage: troupe exec notes.add text=string \[tags=array\]"
        for status, pattern, words in [
                (NOT_FOUND, 'there is no command "notes.ad"; did you mean "notes.add"',
                 ["notes.ad", "text=x"]),
                (NOT_FOUND, 'there is no command "nope"; see them with: troupe exec --list',
                 ["nope"]),
                (USAGE, '"text": expected a string.*, received nothing' + usage, ["notes.add"]),
                (USAGE, '"txt": expected one of the parameters text, tags.*did you mean '
                        r'"text"\?.*' + usage, ["notes.add", "txt=hi"]),
                (USAGE, '"tags": expected an array of at most 32 elements, received "3".*' + usage,
                 ["notes.add", "text=x", "tags=3"]),
                (USAGE, '"limit": expected an integer from 1 to 1000, received "x"',
                 ["notes.find", "text=", "limit=x"]),
                (USAGE, '"limit": expected an integer from 1 to 1000, received 5000',
                 ["notes.find", "text=", "limit=5000"]),
                (USAGE, '--deadline: ', ["notes.find", "text=", "--deadline", "abc"]),
                (USAGE, '--deadline: ', ["notes.find", "text=", "--deadline", "0"]),
                (USAGE, 'expected at most 2 arguments, received "4"',
                 ["notes.find", "h", "3", "4"])]:
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
        self.assertRegex(text, r"\AFinds notes by a part of their text, oldest first\n\n"
                               r"Usage: troupe exec notes.find text=string \[limit=integer\]\n")
        self.assertRegex(text, r"(?m)^limit +an integer from 1 to 1000 +\d+ ")
        self.assertRegex(text, r"(?m)^text +a string.* +\(required\) ")
        self.assertRegex(self.served.do("exec", "notes.count", "-h"),
                         r"\n\nIt takes no parameters\.\n\Z")
        self.assertEqual(self.served.ask("exec", "notes.find", "--help")["name"], "notes.find")
        self.refuse(NOT_FOUND, 'there is no command "notes.ad"; did you mean "notes.add"',
                    "exec", "notes.ad", "--help")

    def test_commands_are_listed_with_their_parameters(self):
        text = self.served.do("exec", "--list")
        self.assertRegex(text, r"(?m)^COMMAND +SUMMARY$")
        self.assertRegex(text, r"(?m)^notes\.add text=string \[tags=array\] +Keeps a note")
        self.assertEqual([each["name"] for each in self.served.ask("exec", "--list", "notes.f")],
                         ["notes.find"])

    def test_metrics_count_executions(self):
        for _ in range(3):
            self.served.do("exec", "notes.count")
        self.refuse(NOT_FOUND, '"notes.cuont"; did you mean "notes.count"',
                    "metrics", "notes.cuont")
        only = self.served.ask("metrics", "notes.count")
        counts = [(each["name"], each["execution_count"], each["error_count"]) for each in only]
        self.assertEqual(counts, [("notes.count", 3, 0)])
        self.assertRegex(self.served.do("metrics"), r"(?m)^notes\.count +3 +0 +100\.0 %")
        self.assertEqual(self.served.do("metrics", "--reset"),
                         "the measurements of all commands are reset\n")
        self.assertEqual(self.served.do("metrics"), "no command has run yet\n")

    def test_a_request_without_a_result_is_confirmed(self):
        for words, text in [
                (["metrics", "--reset"], "the measurements of all commands are reset\n"),
                (["plugin", "grant", "notes", "log"], "log is granted to plugin notes\n"),
                (["plugin", "revoke", "notes", "log"], "log is revoked from plugin notes\n")]:
            with self.subTest(words=words):
                self.assertEqual(self.served.do(*words), text)
                self.assertEqual(self.served.ask(*words), {})
        self.assertEqual(self.served.do("plugin", "unload", "notes"), "plugin notes is unloaded\n")
        self.served.do("plugin", "load", PACKAGES / "notes")
        self.assertEqual(self.served.ask("plugin", "unload", "notes"), {})

    def test_a_plugin_that_does_not_exist_is_named(self):
        for words in (["unload", "note"], ["usage", "note"], ["grant", "note", "state"],
                      ["revoke", "note", "state"], ["check", "note", "state"]):
            with self.subTest(words=words):
                self.refuse(NOT_FOUND, 'there is no plugin "note"', "plugin", *words)
        self.refuse(NOT_FOUND, "there is no directory nowhere: No such file",
                    "plugin", "load", "nowhere")
        self.refuse(USAGE, "the plugin notes is loaded already; unload it first",
                    "plugin", "load", PACKAGES / "notes")
        self.refuse(USAGE, 'is not a capability; did you mean "context.read"',
                    "plugin", "grant", "notes", "context.raed:/x")
        self.refuse(USAGE, 'the capability "state" is not enforced by this build',
                    "plugin", "grant", "notes", "state")
        self.refuse(USAGE, "\"all\" is not a capability; one is a verb with what it is for",
                    "plugin", "grant", "notes", "all")
        self.refuse(USAGE, "the pattern \"x\" must start with '/'",
                    "plugin", "grant", "notes", "context.read:x")
        denied = self.served.run("plugin", "check", "notes", "context.read:/secret")
        self.assertEqual((denied.returncode, denied.stdout, denied.stderr),
                         (DENIED, "denied: not granted\n", ""))


if __name__ == "__main__":
    unittest.main(verbosity=2)
