"""The method table lists every message that says who serves it, once."""

import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from tree import code  # noqa: E402

TABLE = "actors/links/methods.cpp"
_STRUCT = re.compile(r"^struct (\w+) \{\n(.*?)^\};", re.MULTILINE | re.DOTALL)
_ACCESS = re.compile(r"\bmethod_access access\b")
_LIST = re.compile(r"using served_messages =\s*message_types<(.*?)>;", re.DOTALL)


def differences(files):
    """What the messages and the table disagree about."""
    served = {name for path, text in files.items() if path.startswith("messages/")
              for name, body in _STRUCT.findall(text) if _ACCESS.search(body)}
    listed = re.findall(r"\w+", _LIST.search(files[TABLE]).group(1))
    missing = [f"{name} is missing in the table" for name in sorted(served - set(listed))]
    unknown = [f"{name} has no access" for name in sorted(set(listed) - served)]
    twice = [f"{name} is listed twice" for name in sorted(set(listed)) if listed.count(name) > 1]
    return missing + unknown + twice


class ServedMessages(unittest.TestCase):
    def test_the_table_lists_all_of_them(self):
        self.assertEqual(differences(code("messages", "actors")), [])


class TheTestItself(unittest.TestCase):
    def files(self, listed):
        message = "struct {} {{\n  static constexpr method_access access{{.service = x}};\n}};\n"
        return {"messages/x.hpp": message.format("ask") + "struct other {\n  int x;\n};\n",
                TABLE: f"using served_messages =\n    message_types<{listed}>;\n"}

    def test_each_difference_is_caught(self):
        self.assertEqual(differences(self.files("ask")), [])
        self.assertEqual(differences(self.files("")), ["ask is missing in the table"])
        self.assertEqual(differences(self.files("ask, other")), ["other has no access"])
        self.assertEqual(differences(self.files("ask,\n ask")), ["ask is listed twice"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
