#!/usr/bin/env python3
"""Three nodes and two sandboxed plugins at work on the ISO code tables of Debian's `iso-codes`.

Runs the program `troupe` on loopback in a temporary directory, checks each claim that it prints,
and ends with a table. Exit status: 0 when every claim holds, 1 otherwise, 130 after an
interruption.
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

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]
import nodes as support  # noqa: E402
from leftovers import adopt_orphans, groups_left, processes_left, things_of_troupe  # noqa: E402
from partition import Partition  # noqa: E402

LONGEST = 120  # seconds
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TABLES = pathlib.Path("/usr/share/iso-codes/json")
COLOURS = ("\033[1m", "\033[32m", "\033[31m", "\033[0m")
BOLD, GREEN, RED, PLAIN = COLOURS if sys.stdout.isatty() else ("",) * 4


class Claims:
    """The demo's claims and whether they hold. A claim begins before the work that shows it."""

    def __init__(self):
        self.rows = []
        self.under_way = None

    def begin(self, claim):
        self.under_way = claim

    def check(self, holds, detail=""):
        """Records whether the claim under way holds."""
        claim, self.under_way = self.under_way or "the demo runs to its end", None
        self.rows.append((claim, bool(holds), detail))
        verdict = f"{GREEN}ok{PLAIN}" if holds else f"{RED}FAILED{PLAIN}"
        print(f"  {verdict}  {claim}{': ' + detail if detail else ''}", flush=True)

    def table(self):
        width = max(len(claim) for claim, _, _ in self.rows)
        print(f"\n{BOLD}{'CLAIM'.ljust(width)}  HOLDS  MEASURED{PLAIN}")
        for claim, holds, detail in self.rows:
            verdict = f"{GREEN}yes{PLAIN}" if holds else f"{RED}NO {PLAIN}"
            print(f"{claim.ljust(width)}  {verdict}    {detail.splitlines()[0] if detail else ''}")
        return all(holds for _, holds, _ in self.rows)


class Node(support.Node):
    """One node process, and the traces that it may leave."""

    def __init__(self, program, directory, name):
        super().__init__(directory / name, program)
        self.name = name
        self.records, self.groups = set(), set()

    def start(self, *options):
        # A session of its own keeps Ctrl-C away from it; the demo handles that.
        return super().start("--name", self.name, "--cluster", "demo", "--log-level", "info",
                             *options, start_new_session=True)

    def runs(self):
        return self.process is not None and self.process.poll() is None

    def note_groups(self):
        """Remembers the control groups of its plugins. A running node records them in its data
        directory."""
        for record in (self.data / "sandbox").glob("*.sandbox"):
            try:
                self.groups.update(map(pathlib.Path, record.read_text().splitlines()))
                self.records.add(record)
            except FileNotFoundError:
                pass  # the node has just ended

    def stop(self, number=signal.SIGTERM):
        self.note_groups()
        return super().stop(number)


def wait_until(condition, seconds):
    """Waits until the condition holds; returns the seconds that took, or None on timeout."""
    begin = time.monotonic()
    try:
        support.wait_until(condition, seconds)
    except AssertionError:
        return None
    return time.monotonic() - begin


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
    claims.begin("all three nodes converge within 5 s")
    for table in tables:
        imported = a.do("context", "import", table, f"/iso/{table.stem}").strip()
        print(f"  {table.name}: {imported}", flush=True)
    took = wait_until(lambda: converged([a, b, c]), 30)
    leaves = a.ask("context", "verify")["here"]["entries"]
    claims.check(took is not None and took < 5,
                 f"{leaves:,} values, {took:.2f} s after the import" if took is not None else
                 "not within 30 s")
    claims.begin("B's export equals the source files")
    same = all(json.loads(b.do("context", "export", f"/iso/{table.stem}")) ==
               json.loads(table.read_text()) for table in tables)
    claims.check(same, f"{len(tables)} files compared as JSON")


def use_plugins(claims, b, c, packages, tables):
    heading("2  Two sandboxed plugins on B work on the data")
    claims.begin("wordcount (Python) reads every text below /iso")
    for name in ("wordcount", "notes"):
        print("  " + b.do("plugin", "load", packages / name).splitlines()[0], flush=True)
    # Shorter words are codes.
    counted = b.ask("exec", "wordcount.count", "prefix=/iso", "top=4", "min_length=4")
    expected = sum(count_strings(json.loads(table.read_text())) for table in tables)
    top = ", ".join(f"{each['word']} ({each['count']})" for each in counted["top"])
    claims.check(counted["values"] == expected,
                 f"{counted['values']:,} texts, {counted['words']:,} words; most: {top}")
    claims.begin("notes (C++) finds what it keeps in the context")
    for text in ("buy oranges", "call Ada", "orange paint"):
        b.do("exec", "notes.add", f"text={text}")
    found = [note["text"] for note in b.ask("exec", "notes.find", "text=orange")]
    claims.check(found == ["buy oranges", "orange paint"], str(found))
    claims.begin("the notes reach C")

    def notes_on_c():
        entries = c.ask("context", "list", "/plugins/notes/notes")
        return [entry for entry in entries
                if entry["path"].endswith("/text") or isinstance(entry["value"], dict)]

    reached = wait_until(lambda: len(notes_on_c()) >= 3, 10)
    claims.check(reached is not None)

    claims.begin("a read outside of its grants is denied")
    b.do("context", "set", "/secret/key", "hunter2")
    peeked = b.run("exec", "wordcount.peek", "path=/secret/key")
    print(f"  wordcount.peek path=/secret/key: {peeked.stderr.strip()}", flush=True)
    claims.check(peeked.returncode == support.DENIED, f"exit status {peeked.returncode}")
    claims.begin("and audited")
    audit = b.ask("plugin", "audit", "wordcount", "--event", "plugin.denied")
    subjects = [record["subject"] for record in audit]
    claims.check("context.read:/secret/key" in subjects, "; ".join(subjects))
    claims.begin("the sandbox gives the same answer from outside")
    checked = b.run("plugin", "check", "wordcount", "context.read:/secret/key")
    claims.check(checked.returncode == support.DENIED)


def part_and_heal(claims, a, b, c, partition):
    heading("3  C is cut off; B and C continue to edit")
    claims.begin("C notices that it is alone")
    partition.cut()
    lost = wait_until(lambda: not any(peer["connected"] for peer in c.ask("node", "peers")), 15)
    claims.check(lost is not None)
    claims.begin("the two sides differ while they are apart")
    country = "/iso/iso_3166-1/3166-1/0/name"
    b.do("context", "set", country, "edited on B")
    c.do("context", "set", country, "edited on C")
    b.do("context", "set", "/app/only-b", 1)
    c.do("context", "set", "/app/only-c", 2)
    claims.check(b.root_hash() != c.root_hash())
    claims.begin("C returns and all three hashes are equal")
    partition.heal()
    took = wait_until(lambda: converged([a, b, c]), 30)
    claims.check(took is not None,
                 f"{took:.2f} s after the network is back, {a.root_hash()}" if took is not None else
                 "not within 30 s")
    claims.begin("edits of different paths are both kept")
    both = all(node.ask("context", "get", path) == value for node in (a, b, c)
               for path, value in (("/app/only-b", 1), ("/app/only-c", 2)))
    claims.check(both)
    claims.begin("the conflict has one outcome, and A explains it")
    views = {node.ask("context", "get", country) for node in (a, b, c)}
    explained = a.ask("context", "explain", country)
    print("  " + a.do("context", "explain", country).replace("\n", "\n  ").rstrip(), flush=True)
    claims.check(explained["conflict"] and len(explained["writes"]) == 2 and len(views) == 1,
                 f"\"{next(iter(views))}\" wins everywhere")


def crash(claims, a, b, c, options):
    heading("4  A is killed with SIGKILL during writes")
    claims.begin("A comes back with every acknowledged change")
    acknowledged, problems = [], []
    enough = threading.Event()

    def write():
        try:
            for number in range(100_000):
                if a.run("context", "set", f"/crash/{number}", number).returncode != 0:
                    break
                acknowledged.append(number)
                if number == 200:
                    enough.set()
        except Exception as problem:  # the main thread raises it below
            problems.append(problem)
        enough.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        enough.wait(timeout=30)
        alive = a.process.poll() is None
    finally:
        a.stop(signal.SIGKILL)
        writer.join()
    if problems:
        raise problems[0]
    print(f"  killed after {len(acknowledged)} acknowledged writes; starting A again", flush=True)
    a.start(*options)
    kept = {entry["path"]: entry["value"]
            for entry in a.ask("context", "list", "/crash", "--limit", 200_000)}
    lost = [number for number in acknowledged if kept.get(f"/crash/{number}") != number]
    claims.check(alive and acknowledged and not lost,
                 f"{len(acknowledged)} acknowledged, {len(lost)} lost")
    claims.begin("and the three nodes converge again")
    took = wait_until(lambda: converged([a, b, c]), 30)
    claims.check(took is not None, f"{took:.2f} s" if took is not None else "not within 30 s")
    claims.begin("the trees verify")
    claims.check(all(node.run("context", "verify").returncode == 0 for node in (a, b, c)))


def clean_up(claims, nodes, partition, directory, before):
    heading("5  Everything stops")
    claims.begin("all nodes stop cleanly")
    statuses = [node.stop() for node in nodes]
    partition.close()
    claims.check(statuses == [0, 0, 0], f"exit statuses {statuses}")
    claims.begin("no process, control group, socket or temporary file remains")
    wait_until(lambda: not processes_left() and not groups_left(nodes), 2)
    found = [f"process {pid} ({name})" for pid, name in processes_left().items()]
    found += [f"control group {group}" for group in groups_left(nodes)]
    found += [f"socket {path}" for path in directory.rglob("*") if path.is_socket()]
    sockets = pathlib.Path("/proc/net/unix").read_text().splitlines()
    found += [line for line in sockets if str(directory) in line]
    found += sorted(things_of_troupe() - before)
    if not nodes[1].records:
        found.append("B, which ran plugins, has no record of control groups")
    shutil.rmtree(directory)
    claims.check(not found and not directory.exists(), ", ".join(found))


def end_everything(nodes, doors, directory):
    """Stops the nodes, kills what is left, and removes the files."""
    for node in nodes:
        if node.runs():
            try:
                node.stop()
            except (OSError, subprocess.TimeoutExpired):
                node.stop(signal.SIGKILL)
    for door in doors:
        door.close()
    until = time.monotonic() + 5
    while (left := processes_left()) and time.monotonic() < until:
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.02)
    for group in groups_left(nodes):
        try:
            group.rmdir()
        except OSError as problem:
            print(f"demo: {problem}", file=sys.stderr)
    shutil.rmtree(directory, ignore_errors=True)


def show(claims, build, tables, directory, nodes, doors):
    begin, before = time.monotonic(), things_of_troupe()
    a, b, c = nodes
    heading("0  Three nodes on loopback")
    claims.begin("the nodes find each other")
    a.start("--listen", "127.0.0.1:0")
    own_port = ("--listen", a.address)
    b.start("--listen", "127.0.0.1:0", "--join", a.address)
    # C reaches the others only through a door that the demo can shut.
    partition = Partition(a.address)
    doors.append(partition)
    c.start("--join", partition.address, "--no-discovery")
    for node in nodes:
        where = node.address or "dials only"
        print(f"  node {node.name}: process {node.process.pid}, {where}, data in {node.data}")
    met = wait_until(lambda: len([p for p in a.ask("node", "peers") if p["connected"]]) == 2, 15)
    claims.check(met is not None)

    replicate(claims, a, b, c, tables)
    use_plugins(claims, b, c, build / "packages", tables)
    part_and_heal(claims, a, b, c, partition)
    crash(claims, a, b, c, own_port)
    clean_up(claims, nodes, partition, directory, before)
    claims.begin("all of this takes less than two minutes")
    took = time.monotonic() - begin
    claims.check(took < LONGEST, f"{took:.0f} s")


def ignore_ends():
    for number in ENDS:
        signal.signal(number, signal.SIG_IGN)  # cleaning up takes a moment and must finish


def end(number, _):
    """Ends the demo. Later signals do not interrupt the cleaning up."""
    ignore_ends()
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(f"ended by {signal.Signals(number).name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build", help="build directory (default: build)")
    build = pathlib.Path(parser.parse_args().build).resolve()
    tables = sorted(TABLES.glob("iso_*.json"))
    if not tables:
        sys.exit(f"demo: {TABLES} contains no tables. Install the package iso-codes")
    adopt_orphans()
    begin = time.monotonic()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="troupe-demo-"))
    claims = Claims()
    nodes = [Node(build / "bin" / "troupe", directory, name) for name in "ABC"]
    doors = []
    interrupted = False
    for number in ENDS:
        signal.signal(number, end)
    try:
        show(claims, build, tables, directory, nodes, doors)
    except KeyboardInterrupt:
        interrupted = True
    except BaseException as problem:
        claims.check(False, f"{type(problem).__name__}: {problem}")
    finally:
        try:
            ignore_ends()
        finally:
            end_everything(nodes, doors, directory)
    if interrupted:
        print("\ndemo: interrupted. Its nodes are stopped and its files removed", file=sys.stderr)
        return 130
    good = claims.table()
    verdict = "every claim holds" if good else "NOT every claim holds"
    print(f"\n{verdict} ({time.monotonic() - begin:.0f} s)")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
