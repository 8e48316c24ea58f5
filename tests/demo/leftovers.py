"""What nodes may leave behind on the machine: processes, control groups, files and sockets."""

import ctypes
import os
import pathlib
import re
import tempfile

from nodes import children, descendants


def adopt_orphans():
    """Makes every orphan of a node a child of this process, from now on."""
    set_child_subreaper = 36
    if ctypes.CDLL(None, use_errno=True).prctl(set_child_subreaper, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "this process cannot adopt orphans")


def processes_left():
    """All running processes below this one: pid -> name. Reaps children that have ended."""
    for child in children():
        try:
            os.waitpid(child, os.WNOHANG)
        except ChildProcessError:
            pass
    found = {}
    for pid in descendants(os.getpid()):
        try:
            found[pid] = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:
            pass  # it has ended since
    return found


def groups_left(nodes):
    """The control groups of the nodes' plugins that still exist, even when no record names them."""
    places = {group.parent for node in nodes for group in node.groups}
    # A group is called troupe-<host>-<plugin>-<number>.
    hosts = {record.stem for node in nodes for record in node.records}
    return {group for place in places for host in hosts
            for group in place.glob(f"troupe-{host}-*")}


def things_of_troupe():
    """Temporary files, shared memory and sockets with Troupe's name, except those of other demos
    and of tests."""
    places = (pathlib.Path(tempfile.gettempdir()), pathlib.Path("/dev/shm"))
    found = {str(entry) for place in places for entry in place.glob("*troupe*")}
    for line in pathlib.Path("/proc/net/unix").read_text().splitlines():
        found.update(f"socket {word}" for word in line.split()[7:] if "troupe" in word)
    others = re.compile(r"/troupe-(demo|test|nightly)-")
    return {thing for thing in found if not others.search(thing)}
