"""The Python SDK names the methods and fields of the message types, and no others."""

import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from tree import code, tracked  # noqa: E402

_STRUCT = re.compile(r"^struct (\w+) \{\n(.*?)^\};", re.MULTILINE | re.DOTALL)
_METHOD = re.compile(r'\bmethod\s*=\s*"([\w.]+)"')
_ANSWER = re.compile(r"\busing answer\s*=\s*(?:struct )?(\w+);")
_FIELD = re.compile(r'\b(?:required|optional)\(\s*"(\w+)"')

# Method names in the SDK's code: dotted, or one of those without a dot.
_NAMED = re.compile(r'"((?:session|command|context|plugin|grants)\.[a-z]+|ping|cancel|log)"')
# The fields that the SDK reads from an answer.
_READ = re.compile(r'_field\(\w+,\s*"([\w.]+)",\s*"(\w+)"')


def messages(files):
    """Method -> (names of the fields of the messages with it, and of their answers)."""
    structs = {name: body for text in files.values() for name, body in _STRUCT.findall(text)}
    found = {}
    for body in structs.values():
        method = _METHOD.search(body)
        if not method:
            continue
        answer = _ANSWER.search(body)
        fields, answers = found.setdefault(method.group(1), (set(), set()))
        fields.update(_FIELD.findall(body))
        answers.update(_FIELD.findall(structs.get(answer.group(1), "")) if answer else ())
    return found


def wrong(script, known):
    named = [f"there is no method {name}" for name in sorted(set(_NAMED.findall(script)))
             if name not in known]
    # A field of an entry in a list is a field of the answer too, one level down.
    read = [f"the answer to {method} has no {field}" for method, field in _READ.findall(script)
            if method in known and field not in known[method][1] | {"path", "value"}]
    return named + read


class SdkMethods(unittest.TestCase):
    def setUp(self):
        self.known = messages(code("messages"))
        self.assertIn("capabilities", self.known["session.open"][1])

    def test_the_python_sdk_names_only_methods_and_fields_that_exist(self):
        for name in ("troupe_plugin.py", "troupe_plugin_testing.py"):
            with self.subTest(name=name):
                script = tracked()[f"plugins/sdk/python/{name}"].decode()
                self.assertGreater(len(set(_NAMED.findall(script))), 5)
                self.assertEqual(wrong(script, self.known), [])


class TheTestItself(unittest.TestCase):
    KNOWN = {"context.get": ({"path"}, {"found"})}

    def test_an_unknown_method_is_caught(self):
        self.assertEqual(wrong('ask("context.gte", {})', self.KNOWN),
                         ["there is no method context.gte"])

    def test_an_unknown_field_is_caught(self):
        self.assertEqual(wrong('_field(answer, "context.get", "fnd", bool)', self.KNOWN),
                         ["the answer to context.get has no fnd"])

    def test_known_names_are_not(self):
        self.assertEqual(wrong('_field(answer, "context.get", "found", bool)', self.KNOWN), [])

    def test_methods_are_read_from_the_messages(self):
        text = ('struct a {\n  static constexpr std::string_view method = "x.y";\n'
                '  using answer = struct b;\n  required("one", &a::one)\n};\n'
                'struct b {\n  required("two", &b::two)\n};\n')
        self.assertEqual(messages({"m.hpp": text}), {"x.y": ({"one"}, {"two"})})


if __name__ == "__main__":
    unittest.main(verbosity=2)
