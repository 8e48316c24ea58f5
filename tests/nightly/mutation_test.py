"""Breaks the rules of the context one by one and sees the tests fail.

A test that cannot fail proves nothing. Each mutation changes a line of one source file; the file is
compiled alone and linked into the tests in the place of the sound one. The simulation must find
what concerns several replicas, the unit tests the rest. `make nightly` runs it; it takes about half
a minute for each mutation. TROUPE_MUTATIONS=words runs those only whose rule has these words.
"""

import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from mutation import ACTOR, RECOVERY, SIMULATION, STATE, UNIT  # noqa: E402
from mutations import MUTATIONS  # noqa: E402
from tree import SOURCE  # noqa: E402

BUILD = pathlib.Path(os.environ["TROUPE_BINARY"]).parents[1]
COMPILE_SECONDS = 300
RUN_SECONDS = 600
SEEDS = "300"


def commands():
    """The compile command of each source file."""
    known = json.loads((BUILD / "compile_commands.json").read_text())
    return {os.path.realpath(each["file"]): each for each in known}


def link_command(program):
    out = subprocess.run(["ninja", "-C", str(BUILD), "-t", "commands", program], check=True,
                         capture_output=True, text=True, timeout=60).stdout
    return out.strip().splitlines()[-1]


class MutationTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.commands = commands()
        place = tempfile.TemporaryDirectory()
        cls.addClassCleanup(place.cleanup)
        cls.place = pathlib.Path(place.name)

    def run_command(self, command, seconds):
        return subprocess.run(command, shell=True, cwd=BUILD, capture_output=True, text=True,
                              timeout=seconds)

    def compile(self, file, text):
        """Compiles a text in the place of a source file. Returns the object file."""
        known = self.commands[os.path.realpath(SOURCE / file)]
        source, made = self.place / "mutated.cpp", self.place / "mutated.o"
        source.write_text(text)
        words = shlex.split(known["command"])
        words[words.index("-o") + 1] = str(made)
        words[words.index("-c") + 1] = str(source)
        done = self.run_command(shlex.join(words), COMPILE_SECONDS)
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        return made

    def outcome(self, found_by, made):
        """Runs tests with an object file in the place of the sound one. Returns the exit code."""
        program = self.place / found_by[0]
        command = link_command(found_by[0])
        sound = f"-o bin/{found_by[0]} "
        self.assertIn(sound, command)
        command = command.replace(sound, f"-o {program} {made} ")
        done = self.run_command(command, COMPILE_SECONDS)
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        environment = dict(os.environ, TROUPE_SEEDS=SEEDS)
        try:
            return subprocess.run([str(program)] + found_by[1:], cwd=self.place, env=environment,
                                  timeout=RUN_SECONDS, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL).returncode
        except subprocess.TimeoutExpired:
            return "it never ends"

    def test_the_sound_source_passes(self):
        for found_by in (SIMULATION, UNIT, ACTOR, RECOVERY):
            text = (SOURCE / STATE / "engine.cpp").read_text()
            self.assertEqual(self.outcome(found_by, self.compile(STATE + "engine.cpp", text)), 0)

    def test_each_broken_rule_is_found(self):
        wanted = os.environ.get("TROUPE_MUTATIONS", "")
        for each in (each for each in MUTATIONS if wanted in each.rule):
            with self.subTest(each.rule):
                text = (SOURCE / each.file).read_text()
                self.assertEqual(text.count(each.sound), 1, "the mutation does not fit the source")
                made = self.compile(each.file, text.replace(each.sound, each.broken))
                self.assertNotEqual(self.outcome(each.found_by, made), 0)
                print(f"found: {each.rule}", flush=True)


if __name__ == "__main__":
    unittest.main()
