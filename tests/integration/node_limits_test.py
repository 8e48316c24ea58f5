"""Nodes that meet the limits of their process, and that lose their files while nobody writes: they
say so once, in words that help, and go on when the cause is gone."""

import pathlib
import random
import resource
import shutil
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from nodes import DAMAGED, SUCCESS, NodeTest, wait_until  # noqa: E402


class NodeLimits(NodeTest):
    def problems(self, node):
        return node.ask("node", "info")["problems"]

    def test_a_file_that_may_not_grow(self):
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        limit = 2 << 20
        node = self.node()
        node.start("--no-discovery", preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_FSIZE, (limit, unlimited[1])))
        drawn = random.Random(1)
        node.do("context", "set", "/before", "1")
        for number in range(100):
            text = drawn.randbytes(30_000).hex()
            done = node.run("context", "set", f"/large/{number}", f'"{text}"')
            if done.returncode != SUCCESS:
                break
        self.assertEqual(done.returncode, DAMAGED, done.stderr)
        self.assertIn(f"no file of this process may be larger than {limit} bytes; raise that limit",
                      done.stderr)
        self.assertEqual(len(self.problems(node)), 1)
        self.assertIn("raise that limit", self.problems(node)[0])
        self.assertEqual(node.ask("context", "get", "/before"), 1)
        resource.prlimit(node.pid, resource.RLIMIT_FSIZE, unlimited)
        wait_until(lambda: self.problems(node) == [])
        node.do("context", "set", "/after", "1")
        self.assertEqual(node.stop(), SUCCESS)
        node.start("--no-discovery")
        written = node.ask("context", "list", "/large")
        self.assertEqual(len(written), number + 1)  # the one that was refused is tried again
        self.assertEqual(node.ask("context", "get", "/after"), 1)
        self.stop_all()

    def test_files_that_vanish_while_nobody_writes(self):
        node = self.start("--no-discovery")
        node.do("context", "set", "/a", "1")
        file, kept = node.data / "context.db", self.directory / "kept.db"
        shutil.move(file, kept)
        wait_until(lambda: self.problems(node) != [], 30)
        self.assertIn("context.db' was deleted or moved while this node runs",
                      self.problems(node)[0])
        self.assertEqual(node.log_text().count("context.files_gone"), 1)
        shutil.move(kept, file)
        wait_until(lambda: self.problems(node) == [], 30)
        node.do("context", "set", "/b", "1")
        self.assertEqual(node.stop(), SUCCESS)
        node.start("--no-discovery")
        self.assertEqual(node.ask("context", "get", "/b"), 1)
        self.stop_all()


if __name__ == "__main__":
    unittest.main()
