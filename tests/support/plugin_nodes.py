"""A node, and a plugin for it that sleeps, crashes and writes on demand."""

from nodes import ServedTest, write_package

SLEEPER = """
import time
from troupe_plugin import Cancelled, Plugin

plugin = Plugin("sleeper", "1.0.0")

@plugin.command("nap", summary="Sleeps", idempotent=False)
def nap(call, seconds: float):
    print("going to sleep")
    time.sleep(seconds)
    return "awake"

@plugin.command("wait", summary="Waits until it is cancelled")
def wait(call):
    print("waiting")
    while not call.cancelled:
        time.sleep(0.01)
    print("cancelled")
    raise Cancelled

@plugin.command("crash", summary="Ends the process")
def crash(call, status: int = 3):
    import os
    os._exit(status)

@plugin.command("put", summary="Writes a value")
def put(call, path: str, text: str):
    call.context.set(path, text)

@plugin.command("boom", summary="Raises")
def boom(call):
    raise RuntimeError("out of luck")

raise SystemExit(plugin.run())
"""


class PluginTest(ServedTest):
    """One node, and the package of a plugin for it."""

    def sleeper(self, **manifest):
        manifest.setdefault("tables", "[deadlines]\nstart_ms = 10000\ncall_ms = 20000\n"
                                      "stop_ms = 1000\n")
        return write_package(self.directory / "sleeper", "sleeper", SLEEPER, **manifest)
