"""The files of this project, for tests of its structure."""

import os
import pathlib
import re
import subprocess

SOURCE = pathlib.Path(os.environ.get("TROUPE_SOURCE", pathlib.Path(__file__).resolve().parents[2]))
CODE_FOLDERS = ("messages", "plugins", "actors", "runtime")
CODE_SUFFIXES = (".cpp", ".hpp", ".cc", ".cxx", ".c", ".h", ".hh", ".inl", ".ipp")


def code(*folders):
    """The C++ files of these folders: path relative to the project -> text."""
    found = {}
    for folder in folders:
        for path in sorted((SOURCE / folder).rglob("*")):
            if path.suffix in CODE_SUFFIXES:
                found[str(path.relative_to(SOURCE))] = path.read_text()
    if not found:
        raise AssertionError(f"there is no code in {', '.join(folders)}; the test looks in the wrong place")
    return found


def tracked():
    """Every file that belongs to the project, those not yet committed too: path relative to the project -> bytes."""
    try:
        listed = subprocess.run(["git", "-C", str(SOURCE), "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
                                capture_output=True, check=True).stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):  # an unpacked archive
        listed = [str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*")
                  if path.is_file() and not str(path.relative_to(SOURCE)).startswith(("build", ".git/"))]
    found = {name: (SOURCE / name).read_bytes() for name in listed if name and (SOURCE / name).is_file()}
    if "CMakeLists.txt" not in found:
        raise AssertionError(f"{SOURCE} is not the project")
    return found


_TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.DOTALL)


def without_text(source):
    """C++ without comments, and with empty strings and characters; lines stay where they are."""
    def blank(match):
        lines = "\n" * match.group().count("\n")
        if match.group().startswith("/"):
            return lines
        if match.group().startswith("'"):
            # A digit separator begins like a character: 1'000'000
            before = source[match.start() - 1:match.start()]
            return match.group() if before.isalnum() else "' '"
        return '""' + lines
    return _TOKEN.sub(blank, source)


def line_of(text, position):
    return text.count("\n", 0, position) + 1
