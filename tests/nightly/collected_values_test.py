"""200,000 values, written and erased twice while all members are connected: minutes later nothing
of them is left, neither on the disks nor in memory, without a restart."""

import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from nodes import NodeTest, wait_until  # noqa: E402

MASS_WRITER = os.environ["TROUPE_MASS_WRITER"]
VALUES = int(os.environ.get("TROUPE_COLLECTED_VALUES", "200000"))
MINUTES = 5
MOST = 1.5  # times what a fresh node has
MEBIBYTE = 1 << 20


class CollectedValues(NodeTest):
    def start_with_short_log(self, name, *options):
        return self.start_configured(name, {"history": 1000}, *options)

    def disk(self, node):
        return sum(file.stat().st_size for file in node.data.glob("context.db*"))

    def write(self, writer, what):
        print(what, file=writer.stdin, flush=True)
        self.assertEqual(writer.stdout.readline(), "done\n")

    def test_what_was_erased_leaves_disks_and_memory(self):
        nodes = [self.start_with_short_log("a")]
        nodes.append(self.start_with_short_log("b", "--join", nodes[0].address))
        with subprocess.Popen([MASS_WRITER, self.directory / "writer", nodes[0].address],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
            wait_until(lambda: all(node.ask("node", "info")["members"] == 3 for node in nodes))
            # A node that has a history of the same length, of one value.
            self.write(writer, "fill fresh 1")
            self.write(writer, "erase")
            for number in range(500):
                nodes[0].do("context", "set", "/counted", number)
            fresh = [(node.memory(), self.disk(node)) for node in nodes]
            most = [0, 0]
            for text in ("first", "second"):
                self.write(writer, f"fill {text} {VALUES}")
                most = [max(most[0], nodes[0].memory()), max(most[1], self.disk(nodes[0]))]
                self.write(writer, "erase")
            self.assertGreater(most[0], 2 * fresh[0][0])  # else there was nothing to give back
            self.assertGreater(most[1], 2 * fresh[0][1])

            def small():
                return all(node.memory() <= MOST * memory and self.disk(node) <= MOST * disk
                           for node, (memory, disk) in zip(nodes, fresh))
            try:
                wait_until(small, 60 * MINUTES)
            finally:
                for node, (memory, disk) in zip(nodes, fresh):
                    print(f"{node.data.name}: memory {node.memory() / MEBIBYTE:.1f} MiB, fresh "
                          f"{memory / MEBIBYTE:.1f}; disk {self.disk(node) / MEBIBYTE:.1f} MiB, "
                          f"fresh {disk / MEBIBYTE:.1f}; at most {most[0] / MEBIBYTE:.0f} and "
                          f"{most[1] / MEBIBYTE:.0f}")
            writer.stdin.close()
            self.assertEqual(writer.wait(timeout=30), 0)
        self.stop_all()


if __name__ == "__main__":
    unittest.main()
