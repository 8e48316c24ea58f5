#!/usr/bin/env python3
"""Three nodes and two sandboxed plugins at work on the ISO code tables of Debian's `iso-codes`.

Runs everything with the program `troupe`, on loopback, in a temporary directory; checks each claim that it prints; and
ends with a table. Exit status 0 when every claim holds, 1 otherwise.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from partition import Partition  # noqa: E402

TABLES = pathlib.Path("/usr/share/iso-codes/json")
BOLD, GREEN, RED, PLAIN = ("\033[1m", "\033[32m", "\033[31m", "\033[0m") if sys.stdout.isatty() else ("",) * 4


class Claims:
    """What the demo promises, and whether it held."""

    def __init__(self):
        self.rows = []

    def check(self, claim, holds, detail=""):
        self.rows.append((claim, bool(holds), detail))
        print(f"  {GREEN + 'ok' if holds else RED + 'FAILED'}{PLAIN}  {claim}{': ' + detail if detail else ''}", flush=True)

    def table(self):
        width = max(len(claim) for claim, _, _ in self.rows)
        print(f"\n{BOLD}{'CLAIM'.ljust(width)}  HOLDS  MEASURED{PLAIN}")
        for claim, holds, detail in self.rows:
            print(f"{claim.ljust(width)}  {GREEN + 'yes  ' if holds else RED + 'NO   '}{PLAIN}  {detail}")
        return all(holds for _, holds, _ in self.rows)


class Node:
    """One node process with a data directory of its own."""

    def __init__(self, program, directory, name):
        self.program, self.name, self.data = program, name, directory / name
        self.log = directory / f"{name}.log"
        self.process = None
        self.address = ""

    def start(self, *options):
        arguments = [self.program, "run", "--json", "--data-dir", self.data, "--name", self.name, "--cluster", "demo",
                     "--log-level", "info", *options]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(list(map(str, arguments)), stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"demo: node {self.name} did not start:\n{self.log.read_text()[-2000:]}")
        self.address = json.loads(line)["listens"]
        return self

    def run(self, *arguments, check=True):
        """Runs `troupe` against this node; returns (exit status, standard output, standard error)."""
        done = subprocess.run([self.program, *map(str, arguments), "--data-dir", str(self.data)],
                              capture_output=True, text=True, timeout=60)
        if check and done.returncode != 0:
            raise RuntimeError(f"troupe {' '.join(map(str, arguments))} on {self.name}: {done.stderr.strip()}")
        return done.returncode, done.stdout, done.stderr

    def ask(self, *arguments):
        return json.loads(self.run(*arguments, "--json")[1])

    def root_hash(self):
        return self.ask("node", "info")["root_hash"]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=20)


def wait_until(condition, seconds):
    """Waits until the condition holds; returns how long that took, or None when it did not within the time."""
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        if condition():
            return time.monotonic() - begin
        time.sleep(0.02)
    return None


def heading(text):
    print(f"\n{BOLD}{text}{PLAIN}", flush=True)


def converged(nodes):
    hashes = {node.root_hash() for node in nodes}
    return len(hashes) == 1


def count_strings(document):
    if isinstance(document, dict):
        return sum(map(count_strings, document.values()))
    if isinstance(document, list):
        return sum(map(count_strings, document))
    return isinstance(document, str)


def replicate(claims, a, b, c, tables):
    heading("1  A imports the ISO code tables; B and C receive them")
    for table in tables:
        print(f"  {table.name}: {a.run('context', 'import', table, f'/iso/{table.stem}')[1].strip()}", flush=True)
    begin = time.monotonic()
    took = wait_until(lambda: converged([a, b, c]), 30)
    leaves = a.ask("context", "verify")["here"]["entries"]
    claims.check("all three nodes converge within 5 s", took is not None and time.monotonic() - begin < 5,
                 f"{leaves:,} values, {took:.2f} s after the import" if took is not None else "not within 30 s")
    same = all(json.loads(b.run("context", "export", f"/iso/{table.stem}")[1]) == json.loads(table.read_text())
               for table in tables)
    claims.check("B's export equals the source files", same, f"{len(tables)} files compared as JSON")


def use_plugins(claims, b, c, packages, tables):
    heading("2  Two sandboxed plugins on B work on the data")
    for name in ("wordcount", "notes"):
        print("  " + b.run("plugin", "load", packages / name)[1].splitlines()[0], flush=True)
    counted = b.ask("exec", "wordcount.count", "prefix=/iso")
    expected = sum(count_strings(json.loads(table.read_text())) for table in tables)
    top = ", ".join(f"{each['word']} ({each['count']})" for each in counted["top"][:4])
    claims.check("wordcount (Python) reads every text below /iso", counted["values"] == expected,
                 f"{counted['values']:,} texts, {counted['words']:,} words; most: {top}")
    for text in ("buy oranges", "call Ada", "orange paint"):
        b.run("exec", "notes.add", f"text={text}")
    found = [note["text"] for note in b.ask("exec", "notes.find", "text=orange")]
    claims.check("notes (C++) finds what it keeps in the context", found == ["buy oranges", "orange paint"], str(found))
    reached = wait_until(lambda: len([entry for entry in c.ask("context", "list", "/plugins/notes/notes")
                                      if entry["path"].endswith("/text") or isinstance(entry["value"], dict)]) >= 3, 10)
    claims.check("the notes reach C", reached is not None)

    b.run("context", "set", "/secret/key", "hunter2")
    status, _, complaint = b.run("exec", "wordcount.peek", "path=/secret/key", check=False)
    print(f"  wordcount.peek path=/secret/key: {complaint.strip()}", flush=True)
    claims.check("a read outside of its grants is denied", status == 4, f"exit status {status}")
    audit = b.ask("plugin", "audit", "wordcount", "--event", "plugin.denied")
    subjects = [record["subject"] for record in audit]
    claims.check("and audited", "context.read:/secret/key" in subjects, "; ".join(subjects))
    status, _, _ = b.run("plugin", "check", "wordcount", "context.read:/secret/key", check=False)
    claims.check("the sandbox gives the same answer from outside", status == 4)


def part_and_heal(claims, a, b, c, partition):
    heading("3  C is cut off; B and C go on editing")
    partition.cut()
    lost = wait_until(lambda: not any(peer["connected"] for peer in c.ask("node", "peers")), 15)
    claims.check("C notices that it is alone", lost is not None)
    country = "/iso/iso_3166-1/3166-1/0/name"
    b.run("context", "set", country, "edited on B")
    c.run("context", "set", country, "edited on C")
    b.run("context", "set", "/app/only-b", 1)
    c.run("context", "set", "/app/only-c", 2)
    claims.check("the two sides differ while they are apart", b.root_hash() != c.root_hash())
    partition.heal()
    took = wait_until(lambda: converged([a, b, c]), 30)
    claims.check("C returns and all three hashes are equal", took is not None,
                 f"{took:.2f} s after the network is back, {a.root_hash()}" if took is not None else "not within 30 s")
    both = all(node.ask("context", "get", path) == value for node in (a, b, c)
               for path, value in (("/app/only-b", 1), ("/app/only-c", 2)))
    claims.check("edits of different paths are both there", both)
    views = {node.ask("context", "get", country) for node in (a, b, c)}
    explained = a.ask("context", "explain", country)
    print("  " + a.run("context", "explain", country)[1].replace("\n", "\n  ").rstrip(), flush=True)
    claims.check("the conflict has one outcome, and A explains it",
                 explained["conflict"] and len(explained["writes"]) == 2 and len(views) == 1,
                 f"\"{next(iter(views))}\" wins everywhere")


def crash(claims, a, b, c, options):
    heading("4  A is killed with SIGKILL while it is written to")
    acknowledged = []
    enough = threading.Event()

    def write():
        for number in range(100_000):
            status, _, _ = a.run("context", "set", f"/crash/{number}", number, check=False)
            if status != 0:
                return
            acknowledged.append(number)
            if number == 200:
                enough.set()

    writer = threading.Thread(target=write)
    writer.start()
    enough.wait(timeout=30)
    a.kill()
    writer.join()
    print(f"  killed after {len(acknowledged)} acknowledged writes; starting A again", flush=True)
    a.start(*options)
    kept = {entry["path"]: entry["value"] for entry in a.ask("context", "list", "/crash", "--limit", 200_000)}
    lost = [number for number in acknowledged if kept.get(f"/crash/{number}") != number]
    claims.check("A comes back with every acknowledged change", len(acknowledged) > 200 and not lost,
                 f"{len(acknowledged)} acknowledged, {len(lost)} lost")
    took = wait_until(lambda: converged([a, b, c]), 30)
    claims.check("and the three nodes converge again", took is not None, f"{took:.2f} s" if took is not None else "")
    claims.check("the trees verify", all(node.run("context", "verify", check=False)[0] == 0 for node in (a, b, c)))


def leftovers(directory):
    """Processes that know of the demo's directory, and files that outlive it."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        if int(process.name) == os.getpid():
            continue
        try:
            if str(directory).encode() in (process / "cmdline").read_bytes():
                found.append(f"process {process.name}")
        except OSError:
            pass
    found += [str(path) for path in directory.rglob("*") if path.is_socket()]
    return found


def clean_up(claims, nodes, partition, directory):
    heading("5  Everything stops")
    statuses = [node.stop() for node in nodes]
    partition.close()
    claims.check("all nodes stop cleanly", statuses == [0, 0, 0], f"exit statuses {statuses}")
    found = leftovers(directory)
    shutil.rmtree(directory)
    claims.check("no process, socket or temporary file remains", not found and not directory.exists(), ", ".join(found))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build", help="build directory (default: build)")
    build = pathlib.Path(parser.parse_args().build).resolve()
    tables = sorted(TABLES.glob("iso_*.json"))
    if not tables:
        sys.exit(f"demo: {TABLES} holds no tables; install the package iso-codes")
    begin = time.monotonic()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="troupe-demo-"))
    claims = Claims()
    nodes = [Node(build / "bin" / "troupe", directory, name) for name in "ABC"]
    a, b, c = nodes
    partition = None
    try:
        heading("0  Three nodes on loopback")
        a.start("--listen", "127.0.0.1:0")
        own_port = ("--listen", a.address)
        b.start("--listen", "127.0.0.1:0", "--join", a.address)
        partition = Partition(a.address)
        # C reaches the others through a door that the demo can shut, and only through it.
        c.start("--join", partition.address, "--no-discovery")
        for node in nodes:
            print(f"  node {node.name}: process {node.process.pid}, {node.address or 'dials only'}, data in {node.data}")
        met = wait_until(lambda: len([p for p in a.ask("node", "peers") if p["connected"]]) == 2, 15)
        claims.check("the nodes find each other", met is not None)

        replicate(claims, a, b, c, tables)
        use_plugins(claims, b, c, build / "packages", tables)
        part_and_heal(claims, a, b, c, partition)
        crash(claims, a, b, c, own_port)
        clean_up(claims, nodes, partition, directory)
    except (KeyboardInterrupt, RuntimeError, subprocess.TimeoutExpired) as problem:
        print(f"\ndemo: stopped: {problem or 'interrupted'}", file=sys.stderr)
        claims.check("the demo runs to its end", False, str(problem))
    finally:
        for node in nodes:
            if node.process and node.process.poll() is None:
                node.kill()
        if partition:
            partition.close()
        shutil.rmtree(directory, ignore_errors=True)
    good = claims.table()
    print(f"\n{'every claim holds' if good else 'NOT every claim holds'} ({time.monotonic() - begin:.0f} s)")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
