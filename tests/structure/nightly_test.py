"""`make nightly` runs every long proof, and the simulation learns how many seeds to try."""

import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "nightly"))
from mutations import MUTATIONS  # noqa: E402
from tree import SOURCE  # noqa: E402


def unregistered(names, cmake):
    return [name for name in names if f"nightly/{name}" not in cmake]


def seeds_read(cmake, sources):
    """The variables of the nightly simulation's environment that its sources read."""
    properties = cmake.split("set_tests_properties(simulation_nightly ")[1].split(")")[0]
    return [name for name in re.findall(r"\b(TROUPE_\w*SEEDS)=\d{5,}\b", properties)
            if f'"{name}"' in sources]


def misfits(mutations, text_of):
    """The rules whose sound text is not in its file just once."""
    return [each.rule for each in mutations if text_of(each.file).count(each.sound) != 1]


class Nightly(unittest.TestCase):
    def setUp(self):
        self.cmake = (SOURCE / "tests/CMakeLists.txt").read_text()

    def test_every_nightly_test_is_registered(self):
        names = [path.name for path in (SOURCE / "tests/nightly").glob("*_test.py")]
        self.assertIn("fresh_machine_test.py", names)
        self.assertEqual(unregistered(names, self.cmake), [])

    def test_every_mutation_fits_the_source(self):
        self.assertEqual(misfits(MUTATIONS, lambda file: (SOURCE / file).read_text()), [])
        # A header is not compiled alone.
        self.assertEqual([each.rule for each in MUTATIONS if not each.file.endswith(".cpp")], [])

    def test_the_simulation_reads_how_many_seeds_to_try(self):
        sources = "".join(path.read_text() for path in (SOURCE / "tests/simulation").glob("*.cpp"))
        self.assertNotEqual(seeds_read(self.cmake, sources), [])


class TheTestItself(unittest.TestCase):
    CMAKE = ('set_tests_properties(simulation_nightly PROPERTIES TIMEOUT 5\n'
             '  ENVIRONMENT "${x};TROUPE_SEEDS=10000")\nx(nightly/a_test.py)')

    def test_a_test_that_does_not_run_is_caught(self):
        self.assertEqual(unregistered(["a_test.py", "b_test.py"], self.CMAKE), ["b_test.py"])

    def test_a_mutation_that_does_not_fit_is_caught(self):
        one = MUTATIONS[0]
        self.assertEqual(misfits([one], lambda file: one.sound), [])
        self.assertEqual(misfits([one], lambda file: ""), [one.rule])
        self.assertEqual(misfits([one], lambda file: one.sound * 2), [one.rule])

    def test_a_variable_that_is_not_read_or_too_small_is_caught(self):
        self.assertEqual(seeds_read(self.CMAKE, 'getenv("TROUPE_SEEDS")'), ["TROUPE_SEEDS"])
        self.assertEqual(seeds_read(self.CMAKE, 'getenv("TROUPE_SEEDSX")'), [])
        few = self.CMAKE.replace("10000", "9999")
        self.assertEqual(seeds_read(few, 'getenv("TROUPE_SEEDS")'), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
