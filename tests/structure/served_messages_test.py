"""Every message that says who serves it is in the list from which the method table is made."""

import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from tree import code  # noqa: E402

LIST = "actors/kernel/type_ids.hpp"
_STRUCT = re.compile(r"^struct (\w+) \{\n(.*?)^\};", re.MULTILINE | re.DOTALL)
_ACCESS = re.compile(r"\bmethod_access access\b")
_LISTED = re.compile(r"^  X\(troupe::(\w+)\)", re.MULTILINE)


def missing(files):
    """The served messages that the list lacks."""
    served = {name for path, text in files.items() if path.startswith("messages/")
              for name, body in _STRUCT.findall(text) if _ACCESS.search(body)}
    return sorted(served - set(_LISTED.findall(files[LIST])))


class ServedMessages(unittest.TestCase):
    def test_the_list_has_all_of_them(self):
        self.assertEqual(missing(code("messages", "actors")), [])


class TheTestItself(unittest.TestCase):
    def files(self, listed):
        message = "struct {} {{\n  static constexpr method_access access{{.service = x}};\n}};\n"
        return {"messages/x.hpp": message.format("ask") + "struct other {\n  int x;\n};\n",
                LIST: "".join(f"  X(troupe::{name})   \\\n" for name in listed)}

    def test_a_missing_message_is_found(self):
        self.assertEqual(missing(self.files(["ask", "other"])), [])
        self.assertEqual(missing(self.files(["other"])), ["ask"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
