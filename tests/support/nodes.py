"""Real nodes for tests: start the program `troupe`, use it as a person would, and leave nothing."""

import ctypes
import json
import os
import pathlib
import re
import select
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
import unittest

SOURCE = pathlib.Path(os.environ.get("TROUPE_SOURCE", pathlib.Path(__file__).resolve().parents[2]))
PROGRAM = pathlib.Path(os.environ.get("TROUPE_BINARY", SOURCE / "build/bin/troupe"))
PACKAGES = pathlib.Path(os.environ.get("TROUPE_PACKAGES", SOURCE / "build/packages"))

# The exit codes that `troupe --help` documents.
SUCCESS, FAILED, USAGE, NOT_FOUND, DENIED, UNAVAILABLE, TIMEOUT, REFUSED, DAMAGED = range(9)

# Options of a node that meets others only where it is told to.
ALONE = ("--listen", "127.0.0.1:0", "--no-discovery")

_PR_SET_CHILD_SUBREAPER = 36


def wait_until(condition, seconds=10.0):
    """Waits until the condition holds and returns its value. An AssertionError on timeout."""
    until = time.monotonic() + seconds
    while True:
        held = condition()
        if held:
            return held
        if time.monotonic() > until:
            raise AssertionError(f"not within {seconds} s: {condition}")
        time.sleep(0.02)


def environment(**changes):
    """The environment without Troupe's own variables, with these changes."""
    kept = {key: text for key, text in os.environ.items()
            if not key.startswith("TROUPE_") and key != "XDG_DATA_HOME"}
    return {**kept, **changes}


def troupe(*arguments, program=PROGRAM, **options):
    """Runs the program to its end within 60 s; returns subprocess.CompletedProcess with text."""
    options.setdefault("env", environment())
    options.setdefault("stdout", subprocess.PIPE)
    return subprocess.run([str(program), *map(str, arguments)], stderr=subprocess.PIPE, text=True,
                          timeout=60, **options)


def children():
    """The children of this process: pid -> name. A `NodeTest` adopts the orphans of its nodes."""
    found = {}
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue
        name, rest = stat[stat.index("(") + 1:stat.rindex(")")], stat[stat.rindex(")") + 2:].split()
        if int(rest[1]) == os.getpid():
            found[int(entry.name)] = f"{name} ({rest[0]})"
    return found


def descendants(pid):
    """All processes below one, even when those between have ended."""
    parents = {}
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue
        parents[int(entry.name)] = int(stat[stat.rindex(")") + 2:].split()[1])
    found, frontier = set(), {pid}
    while frontier:
        frontier = {child for child, parent in parents.items() if parent in frontier} - found
        found |= frontier
    return found


class Node:
    """One node process with a data directory of its own and a log beside it."""

    def __init__(self, data, program=PROGRAM):
        self.program = program
        self.data = pathlib.Path(data)
        self.log = self.data.with_name(self.data.name + ".log")
        self.process = None
        self.ready = None

    def start(self, *options, **popen):
        """Starts it and waits until it serves. An AssertionError with its log when it does not."""
        popen.setdefault("env", environment())
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(self.program), "run", "--json", "--data-dir", str(self.data),
                 *map(str, options)],
                stdout=subprocess.PIPE, stderr=log, text=True, **popen)
        spoke, _, _ = select.select([self.process.stdout], [], [], 60)
        line = self.process.stdout.readline() if spoke else ""
        if not line:
            what = f"ended with {self.process.wait(timeout=10)}" if spoke else "prints nothing"
            raise AssertionError(f"the node {what}:\n{self.log_text()[-4000:]}")
        self.ready = json.loads(line)
        return self

    @property
    def address(self):
        return self.ready["listens"]

    @property
    def pid(self):
        return self.process.pid

    def memory(self):
        """Bytes of its private memory."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+) kB", status).group(1)) * 1024

    def query(self, statement):
        """What a statement finds in the database of its context: of one row, the first column."""
        database = sqlite3.connect(f"file:{self.data / 'context.db'}?mode=ro", uri=True)
        try:
            return database.execute(statement).fetchone()[0]
        finally:
            database.close()

    def changes_in_log(self):
        return self.query("SELECT coalesce(sum(last - first + 1), 0) FROM log")

    def log_text(self):
        return self.log.read_bytes().decode("utf-8", "replace")

    def run(self, *arguments, **options):
        return troupe(*arguments, "--data-dir", self.data, program=self.program, **options)

    def do(self, *arguments):
        """Runs a subcommand that must succeed; returns its output."""
        done = self.run(*arguments)
        if done.returncode != 0:
            command = " ".join(map(str, arguments))
            raise AssertionError(f"troupe {command}: {done.returncode}: {done.stderr}")
        return done.stdout

    def ask(self, *arguments):
        """Runs a subcommand with `--json`; returns the parsed output."""
        return json.loads(self.do(*arguments, "--json"))

    def root_hash(self):
        return self.ask("node", "info")["root_hash"]

    def plugin(self, name):
        """The node's state of one plugin; None when it is not loaded."""
        return next((each for each in self.ask("plugin", "list") if each["name"] == name), None)

    def audit(self, plugin, event):
        return self.ask("plugin", "audit", plugin, "--event", event, "--limit", 1000)

    def stop(self, number=signal.SIGTERM, seconds=20):
        """Stops it with a signal; returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(timeout=seconds)
        self.process.stdout.close()
        return status


class NodeTest(unittest.TestCase):
    """A temporary directory and nodes in it. Checks that no process outlives them.

    The test process is a subreaper: it adopts orphans, so that a process which escapes a node shows
    up among its own children.
    """

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "this process cannot adopt orphans")

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="troupe-test-"))
        self.nodes = []
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.addCleanup(self._end_nodes)

    def node(self, name="node"):
        made = Node(self.directory / name)
        self.nodes.append(made)
        return made

    def start(self, *options, name="node", **popen):
        return self.node(name).start("--name", name, *options, **popen)

    def start_configured(self, name, settings, *options):
        """Starts a node on a port of its own, with the settings of a file that it can use again."""
        file = self.directory / f"{name}.toml"
        file.write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))
        return self.start("--config", file, *ALONE, *options, name=name)

    def stop_all(self):
        """Stops all nodes, which must succeed and leave nothing behind."""
        for node in self.nodes:
            if node.process and node.process.poll() is None:
                self.assertEqual(node.stop(), SUCCESS, node.log_text()[-4000:])
        self.assert_nothing_left()

    def assert_nothing_left(self):
        """No process is left but running nodes. Reaps those that have ended."""
        def nothing():
            known = {node.pid for node in self.nodes
                     if node.process and node.process.poll() is None}
            for orphan in set(children()) - known:
                try:
                    os.waitpid(orphan, os.WNOHANG)
                except ChildProcessError:
                    pass
            return not set(children()) - known
        try:
            wait_until(nothing, 5)
        except AssertionError:
            self.fail(f"processes were left behind: {children()}")

    def _end_nodes(self):
        for node in self.nodes:
            if node.process and node.process.poll() is None:
                node.stop(signal.SIGKILL)
        self.assert_nothing_left()

    # -- claims about one run of the program -------------------------------------------------------

    def assert_refused(self, done, status, pattern):
        """It ended with this status and one matching line on standard error, and no output."""
        self.assertEqual(done.returncode, status, f"{done.args}: {done.stdout}{done.stderr}")
        self.assertEqual(done.stdout, "", done.args)
        self.assertRegex(done.stderr, r"\Atroupe: [^\n]+\n\Z", done.args)
        self.assertRegex(done.stderr, pattern, done.args)


class ServedTest(NodeTest):
    """One node, `served`, started with `OPTIONS` before each test and stopped after it."""

    OPTIONS = ()

    def setUp(self):
        super().setUp()
        self.served = self.start(*self.OPTIONS)

    def tearDown(self):
        self.stop_all()
        super().tearDown()

    def refuse(self, status, pattern, *words, **options):
        """The node refuses this command line."""
        self.assert_refused(self.served.run(*words, **options), status, pattern)


def write_package(directory, name, script, **manifest):
    """Makes the package of a Python plugin. `manifest` replaces or adds top-level keys as TOML."""
    package = pathlib.Path(directory)
    package.mkdir(parents=True)
    tables = manifest.pop("tables", "")
    settings = {"name": f'"{name}"', "version": '"1.0.0"', "permission_level": '"user"',
                "entry": '["/usr/bin/python3", "-B", "plugin.py"]', **manifest}
    (package / "plugin.toml").write_text(
        "".join(f"{key} = {text}\n" for key, text in settings.items()) + tables)
    (package / "plugin.py").write_text(script)
    for path in (package, *package.iterdir()):
        path.chmod(0o755)
    return package


def in_threads(*functions):
    """Runs them at the same time and waits for all. Raises the first exception."""
    problems = []

    def guarded(function):
        try:
            function()
        except BaseException as problem:  # raised below
            problems.append(problem)

    threads = [threading.Thread(target=guarded, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]
