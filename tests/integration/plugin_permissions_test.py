"""What plugins may do, as the operator and their manifests decide."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from nodes import DENIED, PACKAGES, SUCCESS, USAGE  # noqa: E402
from plugin_nodes import PluginTest  # noqa: E402


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


if __name__ == "__main__":
    unittest.main(verbosity=2)
