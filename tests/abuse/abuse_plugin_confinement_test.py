"""Plugins that exceed their limits or look for more than their share, and a node that is killed."""

import pathlib
import signal
import socket
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from hostile import NO_RESTART, PRELUDE, QUICK, AbuseTest  # noqa: E402
from nodes import (  # noqa: E402
    PACKAGES, SUCCESS, UNAVAILABLE, NodeTest, descendants, in_threads, wait_until, write_package)


class Resources(AbuseTest):
    def test_a_memory_bomb_harms_only_itself(self):
        limits = "[resource_limits]\nmax_memory_bytes = 67_108_864\n"
        patient = QUICK.replace("call_ms = 1000", "call_ms = 20000")
        self.load("start(); wait_for_call()\nkept = []\n"
                  "while True: kept.append(bytearray(os.urandom(1 << 20)))",
                  tables=limits + patient + NO_RESTART)
        done = self.call()
        self.assertEqual(done.returncode, UNAVAILABLE, done.stderr)
        self.ended("hostile (ended with|closed its connection)")

    def test_a_fork_bomb_stays_within_its_number_of_processes(self):
        self.load("""
start()
call = wait_for_call()
made = refused = 0
for i in range(200):
    try:
        if os.fork() == 0:
            os.setsid()
            while True: time.sleep(60)
        made += 1
    except OSError:
        refused += 1
answer(call, [made, refused]); serve()
""", tables="[resource_limits]\nmax_processes = 8\n"
            "[deadlines]\ncall_ms = 10000\nstop_ms = 300\n" + NO_RESTART)
        made, refused = self.ask()
        self.assertLessEqual(made, 8)
        self.assertGreaterEqual(refused, 192)
        self.served.do("plugin", "unload", "hostile")
        self.assertEqual(len(descendants(self.served.pid)),
                         len(descendants(self.served.plugin("notes")["process"])) + 1)

    def test_spinning_children_do_not_take_the_machine(self):
        self.load("""
start()
call = wait_for_call()
for i in range(6):
    if os.fork() == 0:
        os.setsid()
        while True: pass
answer(call, "spinning"); serve()
""", tables="[resource_limits]\nmax_cpu_percent = 20\n" + QUICK + NO_RESTART)
        self.assertEqual(self.ask(), "spinning")

        def used():
            return self.served.ask("plugin", "usage", "hostile")["cpu_milliseconds"]

        first, begin = used(), time.monotonic()
        time.sleep(2)  # the time over which the rate is measured
        self.assertLess((used() - first) / (time.monotonic() - begin), 500)

    def test_a_plugin_that_crashes_repeatedly_is_quarantined(self):
        self.load("start(); wait_for_call(); os._exit(1)",
                  tables='[restart]\nintensity = 3\nperiod_ms = 30000\n' + QUICK)

        def quarantined():
            self.call()
            return self.served.plugin("hostile")["phase"] == "quarantined"
        wait_until(quarantined, 20)
        self.assertEqual(len(self.served.audit("hostile", "plugin.quarantined")), 1)
        self.assertEqual(self.served.plugin("hostile")["restarts"], 3)


class Surroundings(AbuseTest):
    def test_no_descriptor_file_or_process_of_the_host_is_visible(self):
        hostname = socket.gethostname()
        self.load(f"""
start()
call = wait_for_call()
found = {{}}
def attempt(name, action):
    try:
        found[name] = repr(action())[:200]
    except BaseException as problem:
        found[name] = None
def is_open(fd):
    try:
        return bool(os.fstat(fd))
    except OSError:
        return False
found["fds"] = [fd for fd in range(4, 1024) if is_open(fd)] or None
attempt("data", lambda: os.listdir({str(self.served.data)!r}))
attempt("shadow", lambda: open("/etc/shadow").read())
attempt("root", lambda: os.listdir("/root"))
attempt("home", lambda: os.listdir("/home"))
attempt("proc", lambda: open("/proc/{self.served.pid}/environ").read() or "read")
FOREIGN = ("TROUPE_BINARY", "TROUPE_SOURCE", "SSH", "USER")
attempt("host environ", lambda: [k for k in os.environ if k.startswith(FOREIGN)] or 1/0)
attempt("write package", lambda: open("/plugin/plugin.py", "a").write("x"))
attempt("write usr", lambda: open("/usr/x", "w"))
attempt("other package", lambda: os.listdir({str(PACKAGES)!r}))
attempt("dev mem", lambda: os.open("/dev/mem", os.O_RDONLY))
libc = ctypes.CDLL(None)
attempt("mount", lambda: 1/0 if libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) else "mounted")
attempt("setuid", lambda: os.setuid(0) if os.getuid() else 1/0)
attempt("unshare", lambda: 1/0 if libc.unshare(0x10000000) else "unshared")
found["uid 0"] = "yes" if os.getuid() == 0 else None
found["others"] = [p for p in os.listdir("/proc") if p.isdigit() and int(p) > 50] or None
answer(call, {{key: text for key, text in found.items() if text is not None}}); serve()
""", tables="[deadlines]\ncall_ms = 10000\n" + NO_RESTART)
        self.assertEqual(self.ask(), {})

    def test_there_is_no_network(self):
        port = int(self.served.address.rsplit(":", 1)[1])
        place = str(self.served.data / "troupe.sock")
        self.load(f"""
start()
call = wait_for_call()
reached = []
def attempt(name, family, kind, address):
    try:
        with socket.socket(family, kind) as probe:
            probe.settimeout(1)
            if kind == socket.SOCK_DGRAM: probe.sendto(b"x" * 20, address); probe.recv(1)
            else: probe.connect(address)
        reached.append(name)
    except OSError:
        pass
attempt("node", socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", {port}))
attempt("node6", socket.AF_INET6, socket.SOCK_STREAM, ("::1", {port}))
attempt("metadata", socket.AF_INET, socket.SOCK_STREAM, ("169.254.169.254", 80))
attempt("raw ip", socket.AF_INET, socket.SOCK_STREAM, ("192.0.2.1", 80))
attempt("dns", socket.AF_INET, socket.SOCK_DGRAM, ("192.0.2.53", 53))
attempt("client socket", socket.AF_UNIX, socket.SOCK_STREAM, {place!r})
attempt("abstract", socket.AF_UNIX, socket.SOCK_STREAM, "\\0troupe-abuse")
answer(call, reached); serve()
""", tables="[deadlines]\ncall_ms = 15000\n" + NO_RESTART)
        with socket.socket(socket.AF_UNIX) as abstract:
            abstract.bind("\0troupe-abuse")
            abstract.listen()
            self.assertEqual(self.ask(), [])

    def test_the_host_and_the_sibling_cannot_be_signalled_or_traced(self):
        notes = self.served.plugin("notes")["process"]
        self.load(f"""
start()
call = wait_for_call()
libc = ctypes.CDLL(None, use_errno=True)
done = []
for pid in ({self.served.pid}, {notes}, {notes} + 1, os.getppid(), -1):
    if pid in (0, os.getpid()): continue
    try:
        if pid != -1:
            os.kill(pid, signal.SIGKILL)
            done.append(["killed", pid])
    except OSError:
        pass
    if libc.ptrace(16, pid, 0, 0) == 0: done.append(["traced", pid])
    buffer = ctypes.create_string_buffer(8)
    class iovec(ctypes.Structure): _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
    here = iovec(ctypes.addressof(buffer), 8); there = iovec(0x400000, 8)
    if libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) > 0:
        done.append(["read", pid])
answer(call, done); serve()
""")
        outside = [entry for entry in self.ask() if entry[1] in (self.served.pid, notes, notes + 1)]
        self.assertEqual(outside, [])
        self.assertIsNone(self.served.process.poll())
        self.assertEqual(self.served.plugin("notes")["process"], notes)

    def test_daemons_end_with_their_plugin(self):
        self.load("start(); call = wait_for_call()\n"
                  "for i in range(5):\n"
                  "    if os.fork() == 0:\n"
                  "        os.setsid()\n"
                  "        signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
                  "        if os.fork() == 0:\n"
                  "            while True: time.sleep(60)\n"
                  "        os._exit(0)\n"
                  "answer(call, 'forked'); wait_for_call(); os._exit(0)")
        self.assertEqual(self.ask(), "forked")
        self.assertGreater(self.served.ask("plugin", "usage", "hostile")["processes"], 3)
        self.call()
        self.ended("hostile")
        notes = self.served.plugin("notes")["process"]
        wait_until(lambda: descendants(self.served.pid) == descendants(notes) | {notes})


class KilledHost(NodeTest):
    """Without a sibling, since the node itself is killed."""

    def test_nothing_is_left_when_the_node_is_killed_while_plugins_run_and_start(self):
        script = PRELUDE + ("signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
                            "if os.fork() == 0:\n    os.setsid()\n    link.close()\n"
                            "    while True: time.sleep(60)\n")
        for turn in range(3):
            node = self.start("--plugin", PACKAGES / "notes", name=f"node{turn}")
            running = write_package(
                self.directory / f"running{turn}", "running",
                script + "open_session('running'); tell_commands('running.go'); serve()")
            hanging = write_package(self.directory / f"hanging{turn}", "hanging",
                                    script + "time.sleep(60)")
            node.do("plugin", "load", running)

            def kill_during_the_start():
                time.sleep(0.03 * turn + 0.01)  # another moment of the start in each turn
                node.process.send_signal(signal.SIGKILL)

            in_threads(lambda: node.run("plugin", "load", hanging), kill_during_the_start)
            node.process.wait(timeout=10)
            node.process.stdout.close()
            self.assert_nothing_left()
            again = node.start("--plugin", PACKAGES / "notes")
            again.do("exec", "notes.count")
            self.assertEqual(again.stop(), SUCCESS)
            self.assert_nothing_left()


if __name__ == "__main__":
    unittest.main(verbosity=2)
