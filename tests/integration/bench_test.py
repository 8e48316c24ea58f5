"""The benchmarks run, verify their results, and write a summary in the documented form. This test
judges no figure."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

PROGRAM = pathlib.Path(os.environ.get("TROUPE_BENCH_PROGRAM", "build/bin/troupe-bench"))
FIELDS = ["suite", "name", "unit", "ours", "beside", "beside_name", "ratio", "target", "met"]
ALL_MET, TARGET_MISSED, USAGE, NOT_MEASURED = range(4)


def bench(*arguments):
    return subprocess.run([str(PROGRAM), *arguments], capture_output=True, text=True, timeout=300)


@unittest.skipUnless(PROGRAM.exists(), "the benchmarks are not part of this build")
class Benchmarks(unittest.TestCase):
    def test_a_quick_run_writes_its_summary(self):
        with tempfile.TemporaryDirectory() as results:
            done = bench("--quick", "--json", "--results", results)
            self.assertIn(done.returncode, (ALL_MET, TARGET_MISSED), done.stderr)
            summary = json.loads(done.stdout)
            latest = json.loads((pathlib.Path(results) / "latest" / "summary.json").read_text())
            dated = [each for each in pathlib.Path(results).iterdir() if each.name != "latest"]
            self.assertEqual(len(dated), 1)
            self.assertEqual({each.name for each in dated[0].iterdir()},
                             {"summary.json", "run.json", "table.md"})
        self.assertEqual(summary, latest)
        self.assertEqual({each["suite"] for each in summary}, {"commands", "context", "network"})
        for each in summary:
            self.assertEqual(list(each), FIELDS)
            self.assertGreater(each["ours"], 0)
            self.assertAlmostEqual(each["ratio"], each["ours"] / each["beside"],
                                   delta=0.01 * each["ratio"])
            self.assertEqual(each["met"], each["ratio"] >= each["target"])
        self.assertEqual(done.returncode == ALL_MET, all(each["met"] for each in summary))

    def test_an_unknown_suite_is_refused(self):
        done = bench("--suite", "netwrok")
        self.assertEqual(done.returncode, USAGE)
        self.assertIn("netwrok", done.stderr)

    def test_an_unwritable_place_is_refused_before_anything_is_measured(self):
        done = bench("--results", "/proc/nowhere")
        self.assertEqual(done.returncode, NOT_MEASURED)
        self.assertEqual(done.stderr, "troupe-bench: reports cannot be written to /proc/nowhere\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)
