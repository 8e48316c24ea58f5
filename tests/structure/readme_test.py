"""What the README shows exists: its program, subcommands, flags, targets and folders."""

import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from tree import SOURCE, code  # noqa: E402

EVERYWHERE = {"--help", "-h"}  # by CLI11 itself

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A span may go on in the next line, but not in the next paragraph.
_SPAN = re.compile(r"`((?:[^`\n]|\n(?!\n))+)`")
_NEW_COMMAND = re.compile(
    r'\b(?:(\w+)\s*(?:\.|->)\s*add_subcommand\s*\(|'
    r'add_\w+_?command\s*\(\s*\*?\s*(\w+)\s*,\s*app\s*,|'
    r'add_(?:pair|named)\s*\(\s*\*?\s*(\w+)\s*,\s*app\s*,)\s*"([a-z]+)"')
_NEW_FLAG = re.compile(r'(?:add_option|add_flag|add_option_function\s*<[^()]*>|set_version_flag)\s*'
                       r'\(\s*"(-[^"]+)"')


def blocks(readme, language):
    return [text for kind, text in _FENCE.findall(readme) if kind == language]


def spans(readme):
    return _SPAN.findall(_FENCE.sub("", readme))


# -- the program -----------------------------------------------------------------------------------


def shown_but_missing(shown, program):
    """The lines of C++ that the program does not contain in this order. Comments do not count;
    `/* … */` stands for any text."""
    have = [" ".join(re.sub(r"//.*", "", line).split()) for line in program.splitlines()]
    missing, at = [], 0
    for line in shown.splitlines():
        wanted = " ".join(re.sub(r"//.*", "", line).split())
        if not wanted:
            continue
        parts = re.fullmatch(r"(.*?)(/\*.*\*/|$)(.*)", wanted).groups()
        begin, elided, end = (part.strip() for part in parts)
        first = next((i for i in range(at, len(have))
                      if (have[i].startswith(begin) if elided else have[i] == begin)), None)
        last = first
        if elided and first is not None:
            last = next((i for i in range(first, len(have)) if have[i].endswith(end)), None)
        if last is None:
            missing.append(line)
        else:
            at = last + 1
    return missing


# -- what a person types ---------------------------------------------------------------------------


def command_line(files):
    """Top-level subcommand -> (its own subcommands, its flags). A subcommand has the flags of the
    file that makes it, and those of every client."""
    shared = {flag for name, text in files.items() if name.endswith("/app.cpp")
              for flag in flags_of(text)}
    found = {"": (set(), EVERYWHERE | flags_of(files.get("runtime/cli/main.cpp", "")))}
    for text in files.values():
        made = [(direct or helper or pair, name)
                for direct, helper, pair, name in _NEW_COMMAND.findall(text)]
        below = {name for parent, name in made if parent == "group"}
        for parent, name in made:
            if parent in ("parent", "program"):
                found[name] = (below, flags_of(text) | shared | EVERYWHERE)
    return found


def flags_of(text):
    return {flag for names in _NEW_FLAG.findall(text) for flag in names.split(",")}


def typed(readme):
    """Every call of `troupe` that the README shows, as words. In a row of a table, the words of its
    other cells complete the call."""
    for block in blocks(readme, "console"):
        for match in re.finditer(r"^(?:\$ )?\S*\btroupe (.*)$", block, re.MULTILINE):
            yield match.group(1).rstrip("& ").split()
    for span in spans(readme):
        if span.split()[0:1] == ["troupe"]:
            yield span.split()[1:]
    for row in re.findall(r"^\|.*$", _FENCE.sub("", readme), re.MULTILINE):
        words = _SPAN.findall(row)
        for call in (span.split()[1:] for span in words if span.startswith("troupe ")):
            yield from (call + [word] for word in words if re.fullmatch(r"-{0,2}[a-z-]+", word))


def unknown_words(readme, commands):
    """Calls with a subcommand or flag that does not exist."""
    wrong = []
    for words in typed(readme):
        flags = [word.split("=")[0] for word in words if word.startswith("-")]
        plain = [word for word in words if not word.startswith("-")]
        name = plain[0] if plain and not words[0].startswith("-") else ""
        below, known = commands.get(name, (None, set()))
        if below is None or (below and len(plain) > 1 and plain[1] not in below) or \
                any(flag not in known for flag in flags):
            wrong.append("troupe " + " ".join(words))
    everything = set().union(*(known for _, known in commands.values()))
    wrong += [span for span in spans(readme)
              if re.fullmatch(r"--[a-z-]+", span) and span not in everything]
    return wrong


def unknown_targets(readme, makefile, setup):
    """Targets of make and words of setup.sh that do not exist."""
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    # setup.sh runs the documented targets that need something first.
    words = set(re.findall(r"^([a-z]+): [a-z$][^#\n]*##", makefile, re.MULTILINE))
    words |= set(re.findall(r"^  ([a-z]+)\) ", setup, re.MULTILINE)) | {"--help"}
    shown = "\n".join([*blocks(readme, "console"), *spans(readme)])
    calls = re.findall(r"^(?:\$ )?(make|\./setup\.sh)\s+([a-z-]+)", shown, re.MULTILINE)
    known = {"make": targets, "./setup.sh": words}
    return [name for program, name in calls if name not in known[program]]


def unknown_folders(readme, source):
    """Folders in the first cell of a row that do not exist, and paths in the others that are not
    below it."""
    wrong = []
    for folder, rest in re.findall(r"^\| `([\w/]+/)` \|(.*)\|$", readme, re.MULTILINE):
        paths = [folder]
        paths += [folder + span for span in _SPAN.findall(rest) if re.fullmatch(r"\w+/\w*", span)]
        wrong += [path for path in paths if not (source / path).is_dir()]
    return wrong


class Readme(unittest.TestCase):
    def setUp(self):
        self.text = (SOURCE / "README.md").read_text()

    def test_its_program_is_the_one_that_is_tested(self):
        shown = blocks(self.text, "cpp")
        self.assertEqual(len(shown), 1)
        program = (SOURCE / "tests/support/embedding_example.cpp").read_text()
        self.assertEqual(shown_but_missing(shown[0], program), [])

    def test_every_subcommand_and_flag_exists(self):
        commands = command_line(code("runtime/cli"))
        self.assertGreater(len(commands), 5)
        self.assertGreater(len(list(typed(self.text))), 10)
        self.assertEqual(unknown_words(self.text, commands), [])

    def test_every_target_exists(self):
        for command in ("./setup.sh demo", "./setup.sh test", "make demo"):
            self.assertIn(command, self.text)
        makefile, setup = ((SOURCE / name).read_text() for name in ("Makefile", "setup.sh"))
        self.assertEqual(unknown_targets(self.text, makefile, setup), [])

    def test_every_folder_exists(self):
        self.assertIn("| `messages/` |", self.text)
        self.assertEqual(unknown_folders(self.text, SOURCE), [])


class TheTestItself(unittest.TestCase):
    PROGRAM = ("// what it is\nint main() {\n  one();\n  two([] {\n    work();\n  });\n  print();\n"
               "  three();  // last\n}\n")
    COMMANDS = {"": (set(), {"--help"}), "run": (set(), {"--name"}),
                "context": ({"get", "set"}, {"--json"})}

    def test_a_line_that_is_not_in_the_program_is_caught(self):
        for shown in ("one(1);", "on", "three();\none();", "two([] { /* … */ }, 2);",
                      "two([](int) { /* … */ });", "one();\none();"):
            with self.subTest(shown=shown):
                self.assertEqual(len(shown_but_missing(shown, self.PROGRAM)), 1)

    def test_lines_in_their_order_are_not(self):
        for shown in ("int main() {\n  one();   // first\n\n  two([] { /* … */ });\n  three();\n}",
                      "  // a remark\n", "one();\nprint();"):
            with self.subTest(shown=shown):
                self.assertEqual(shown_but_missing(shown, self.PROGRAM), [])

    def test_a_subcommand_or_flag_that_does_not_exist_is_caught(self):
        for text in ("`troupe walk`", "`troupe context put`", "`troupe run --nam x`",
                     "`troupe --halp`", "`--xml` everywhere", "`troupe context\nput`",
                     "x `troupe\nwalk` y", "| `troupe context` | `get` `put` |",
                     "```console\n$ build/bin/troupe context get /a --name x\n```\n",
                     "| `troupe run` | runs (`--list`) |"):
            with self.subTest(text=text):
                self.assertNotEqual(unknown_words(text, self.COMMANDS), [])

    def test_one_that_exists_is_not(self):
        for text in ("`troupe run --name x`", "`troupe --help`", "`--json` everywhere",
                     "`troupe run\n--name x`", "| `troupe context` | `get` `set` (`--json`) |",
                     "```console\n$ build/bin/troupe run --name x &\n"
                     "$ build/bin/troupe context get /a --json\n```\n"):
            with self.subTest(text=text):
                self.assertEqual(unknown_words(text, self.COMMANDS), [])

    def test_the_command_line_is_read_from_the_sources(self):
        files = {
            "runtime/cli/app.cpp": 'command->add_flag("--json", app.json, "Print JSON");',
            "runtime/cli/x.cpp": 'auto* group = parent.add_subcommand("x", "y");\n'
                                 'add_client_command(*group, app, "one", "")\n'
                                 'add_pair(*group, app, "two", "")\n'
                                 'add_path_command(*group, app, "three", "")\n'
                                 '    ->add_option("--out,-o", f)',
            "runtime/cli/z.cpp": 'add_client_command(parent, app, "z", "")->add_option("word", w);'}
        found = command_line(files)
        self.assertEqual(found["x"],
                         ({"one", "two", "three"}, {"--json", "--out", "-o"} | EVERYWHERE))
        self.assertEqual(found["z"], (set(), {"--json"} | EVERYWHERE))

    def test_a_line_break_hides_nothing(self):
        files = {"runtime/cli/x.cpp":
                 'auto* group = parent\n    .add_subcommand(\n        "x", "y");\n'
                 'add_client_command(\n    *group,\n    app,\n    "one", "")\n    ->add_option(\n'
                 '        "--out", f);\n'
                 'add_pair(\n    *group, app,\n    "two", "")->add_option_function<\n'
                 '        std::vector<std::string>>(\n        "--in", f);'}
        self.assertEqual(command_line(files)["x"], ({"one", "two"}, {"--out", "--in"} | EVERYWHERE))

    def test_targets_and_folders_that_do_not_exist_are_caught(self):
        self.assertEqual(
            unknown_targets("`make demo`, `make tea`, `make\nwine`, `./setup.sh demo`, "
                            "`./setup.sh caf`, `./setup.sh clean`\n"
                            "```console\nmake soup   # hot\n./setup.sh rice\n```\n",
                            "demo: x ## y\nclean: ## z\n", "  caf) build ;;\n"),
            ["soup", "rice", "tea", "wine", "clean"])
        rows = "| `tests/` | `unit`, `demo/`, `none/x` |\n| `nowhere/` | |\n"
        self.assertEqual(unknown_folders(rows, SOURCE), ["tests/none/x", "nowhere/"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
