"""A plugin with the Python SDK as a process.

Run: python3 -B tests/unit/sdk/python_sdk_process_test.py
"""

from __future__ import annotations

import os
import pathlib
import select
import socket
import subprocess
import sys
import unittest
from typing import Any
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from python_sdk import ROOT, SDK, SESSION, execute_frame, frames_in  # noqa: E402

import msgpack  # noqa: E402
import troupe_plugin as sdk  # noqa: E402


class Processes(unittest.TestCase):
    """A plugin as a node starts it."""

    COMMAND = ["/usr/bin/python3", "-B", str(ROOT / "plugins/examples/wordcount/wordcount.py")]

    def test_the_socket_comes_as_an_inherited_descriptor(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            environment = {"PYTHONPATH": str(SDK), "TROUPE_SOCKET": str(theirs.fileno())}
            process = subprocess.Popen(self.COMMAND, env=environment, pass_fds=[theirs.fileno()],
                                       stderr=subprocess.PIPE)
            theirs.close()
            ours.settimeout(30)
            unpacker = msgpack.Unpacker()

            def receive() -> Any:
                while True:
                    for frame in unpacker:
                        return frame
                    unpacker.feed(ours.recv(1 << 16))

            _, msgid, method, [hello] = receive()
            self.assertEqual(method, "session.open")
            self.assertEqual((hello["name"], hello["sdk"]), ("wordcount", "python/0.1"))
            ours.sendall(msgpack.packb([1, msgid, None, SESSION]))
            ours.sendall(msgpack.packb([0, 1, "plugin.start", [{}]]))
            commands = [spec["name"] for spec in receive()[3]["commands"]]
            self.assertEqual(commands, ["wordcount.count", "wordcount.store", "wordcount.peek"])
            ours.sendall(msgpack.packb([0, 2, "plugin.stop", [{}]]))
            self.assertEqual(receive(), [1, 2, None, None])
            _, stderr = process.communicate(timeout=30)
            self.assertEqual((process.returncode, stderr), (0, b""))

    def test_its_output_is_flushed_line_by_line(self) -> None:
        script = ("from troupe_plugin import Plugin\n"
                  "plugin = Plugin('p', '1.0.0')\n"
                  "plugin.command('say')(lambda call: print('said'))\n"
                  "raise SystemExit(plugin.run())\n")
        ours, theirs = socket.socketpair()
        with theirs:
            environment = {"PYTHONPATH": str(SDK), "TROUPE_SOCKET": str(theirs.fileno())}
            with subprocess.Popen(["/usr/bin/python3", "-B", "-c", script], env=environment,
                                  pass_fds=[theirs.fileno()], stdout=subprocess.PIPE) as process:
                theirs.close()
                with ours:  # closing it ends the process
                    ours.settimeout(30)
                    [[_, msgid, _, _]] = frames_in(ours.recv(1 << 16))
                    ours.sendall(msgpack.packb([1, msgid, None, SESSION]))
                    ours.sendall(execute_frame(1, "p.say"))
                    self.assertEqual(frames_in(ours.recv(1 << 16)), [[1, 1, None, None]])
                    # The plugin is still running.
                    ready, _, _ = select.select([process.stdout], [], [], 10)
                    self.assertEqual([each.readline() for each in ready], [b"said\n"])

    def test_started_by_hand_it_names_the_missing_socket(self) -> None:
        for named in ("3", "x", "-1"):
            environment = {"PYTHONPATH": str(SDK), "TROUPE_SOCKET": named}
            done = subprocess.run(self.COMMAND, env=environment, capture_output=True, timeout=30)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr.decode(),
                             r"\Aplugin wordcount: only a Troupe node can start a plugin.*\n\Z")

    def test_its_children_do_not_inherit_the_socket(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, mock.patch.dict(os.environ, {"TROUPE_SOCKET": str(theirs.detach())}):
            with sdk._inherited_socket() as inherited:
                self.assertFalse(inherited.get_inheritable())


if __name__ == "__main__":
    unittest.main()
