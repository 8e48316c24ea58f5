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
        raise AssertionError(f"{', '.join(folders)} contains no code; the folders are wrong")
    return found


def tracked():
    """Every file of the project, even uncommitted: path relative to the project -> bytes."""
    try:
        command = ["git", "-C", str(SOURCE), "ls-files", "-z"]
        listed = subprocess.run([*command, "--cached", "--others", "--exclude-standard"],
                                capture_output=True, check=True).stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):  # an unpacked archive
        names = [str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*") if path.is_file()]
        listed = [name for name in names if not name.startswith(("build", ".git/"))]
    found = {name: (SOURCE / name).read_bytes() for name in listed
             if name and (SOURCE / name).is_file()}
    if "CMakeLists.txt" not in found:
        raise AssertionError(f"{SOURCE} is not the project")
    return found


_TEXT = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|'
                   r"'(?:\\.|[^'\\\n])+'", re.DOTALL)
_TOKEN = re.compile(r'"(?:\\.|[^"\\\n])*"|\w+|::|->|\S')


def without_text(source):
    """C++ without comments and with empty strings and characters. Lines keep their numbers."""
    def blank(match):
        lines = "\n" * match.group().count("\n")
        if match.group().startswith("/"):
            return lines
        if match.group().startswith("'"):
            # A digit separator begins like a character: 1'000'000
            before = source[match.start() - 1:match.start()]
            return match.group() if before.isalnum() else "' '"
        return '""' + lines
    return _TEXT.sub(blank, source)


def cpp(pattern):
    """Compiles a pattern for C++ with any line breaks: white space may surround `::`, `->` and
    `\\.`, and precede brackets."""
    pattern = re.sub(r"(?<!\?)::|->|\\\.", r"\\s*\g<0>\\s*", pattern)
    return re.compile(re.sub(r"\\[()]", r"\\s*\g<0>", pattern), re.MULTILINE | re.DOTALL)


def broken(source):
    """C++ with a line break between all tokens. Directives remain as they are."""
    return source if source.startswith("#") else "\n    ".join(_TOKEN.findall(source))


def line_of(text, position):
    return text.count("\n", 0, position) + 1
