"""A program outside of this tree that uses it with `add_subdirectory`. It gets Troupe's targets and
keeps its own settings. The test only configures: a build would repeat the whole one."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from nodes import PROGRAM, SOURCE  # noqa: E402

PROJECT = """cmake_minimum_required(VERSION 3.22)
project(outside LANGUAGES CXX)
add_subdirectory({source} troupe)
add_executable(outside main.cpp)
target_link_libraries(outside PRIVATE troupe_runtime)
"""


class OutsideProject(unittest.TestCase):
    def setUp(self):
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="troupe-test-"))
        self.addCleanup(shutil.rmtree, self.place)
        (self.place / "CMakeLists.txt").write_text(PROJECT.format(source=SOURCE))
        shutil.copy(SOURCE / "tests/support/embedding_example.cpp", self.place / "main.cpp")
        cache = (PROGRAM.parents[1] / "CMakeCache.txt").read_text()
        self.caf = re.search(r"^CAF_DIR:PATH=(.+)$", cache, re.MULTILINE).group(1)

    def test_it_has_the_libraries_and_the_helper_of_plugins_but_no_tests_and_benchmarks(self):
        build = self.place / "build"
        command = ["cmake", "-G", "Ninja", "-S", str(self.place), "-B", str(build),
                   f"-DCAF_DIR={self.caf}", "-DTROUPE_FETCH_CAF=OFF"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300,
                              env=dict(os.environ))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        steps = (build / "build.ninja").read_text()
        made = set(re.findall(r"^build ([^ :|]+)", steps, re.MULTILINE))
        self.assertIn("outside", made)
        self.assertIn("troupe/bin/troupe-plugin-init", made)  # the README says so
        tests = re.compile("unit-tests|troupe-bench|integration-tests")
        self.assertEqual({name for name in made if tests.search(name)}, set())
        self.assertNotRegex(steps, r"(?m)^build troupe/tests/")
        compiled = re.search(r"^build CMakeFiles/outside\.dir/main\.cpp\.o:.*\n(?:  .*\n)*", steps,
                             re.MULTILINE).group()
        self.assertIn("troupe/include", compiled)
        self.assertNotIn("-Wno-restrict", compiled)  # only for Troupe's own sources
        planned = subprocess.run(["ninja", "-C", str(build), "-t", "commands", "outside"],
                                 capture_output=True, text=True, timeout=300)
        self.assertEqual(planned.returncode, 0, planned.stdout + planned.stderr)
        self.assertIn("libtroupe_runtime.a", planned.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
