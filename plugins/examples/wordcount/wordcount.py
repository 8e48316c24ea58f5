"""Counts the words in a part of the context."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import Any, Dict, Iterator, Optional

from troupe_plugin import Call, Parameter, Plugin, TroupeError

MAX_DISTINCT_WORDS = 500_000  # about 60 MiB; the manifest allows 256 MiB
RESULTS = "/plugins/wordcount/results"

plugin = Plugin("wordcount", "0.1.0")

#: Marks that combine with the letter before them. Higher planes only have rarely used ones.
_MARKS = "".join(each for each in map(chr, range(0x20000))
                 if unicodedata.category(each).startswith("M"))
#: Letters, digits and `_`, with the marks on them.
_WORD = re.compile(rf"\w[\w{_MARKS}]*")
_PREFIX = Parameter("prefix", "string", "Count at this path and all below it.", default="/")
_TOP = Parameter("top", "integer", "How many of the most frequent words to list.", default=10,
                 minimum=0, maximum=1000)
_MIN_LENGTH = Parameter("min_length", "integer", "List no words of fewer characters.", default=1,
                        minimum=1)
_INTO = Parameter("into", "string", default="",
                  summary=f"Where to write; the empty default is {RESULTS}<prefix>.")


@plugin.command("count", summary="Counts the words in all string values below a path",
                parameters=[_PREFIX, _TOP, _MIN_LENGTH], idempotent=True)
def count(call: Call, prefix: str, top: int, min_length: int) -> Dict[str, Any]:
    """Returns the numbers of string `values`, their `words`, and the `distinct` words, and the
    `top` words of at least `min_length` characters with their counts. Compares words in Unicode's
    composed form and without case. Includes strings in arrays and maps."""
    return counted(call, prefix, top, min_length)


def counted(call: Call, prefix: str, top: int, min_length: int,
            leave_out: Optional[str] = None) -> Dict[str, Any]:
    """The result of `wordcount.count`, without the value at the path `leave_out`."""
    words: Counter[str] = Counter()
    values = 0
    for path, value in call.context.items(prefix):
        if path == leave_out:
            continue
        for text in strings_in(value):
            values += 1
            words.update(words_in(text))
        if len(words) > MAX_DISTINCT_WORDS:
            raise TroupeError("limit_exceeded", f"`{prefix}` has more than {MAX_DISTINCT_WORDS} "
                                                "distinct words; choose a smaller part")
    call.log.debug(f"counted {values} values below {prefix}")
    long_enough = (entry for entry in words.items() if len(entry[0]) >= min_length)
    ranked = sorted(long_enough, key=lambda entry: (-entry[1], entry[0]))[:top]
    return {"values": values, "words": sum(words.values()), "distinct": len(words),
            "top": [{"word": word, "count": occurrences} for word, occurrences in ranked]}


@plugin.command("store", summary="Counts words below a path and writes the result into the context",
                parameters=[_PREFIX, _TOP, _MIN_LENGTH, _INTO], idempotent=True)
def store(call: Call, prefix: str, top: int, min_length: int, into: str) -> Dict[str, Any]:
    """Returns the result of `wordcount.count` and the `path` where it was written. Does not count
    the value at that path, which is an earlier result."""
    path = into or RESULTS + ("" if prefix == "/" else prefix)
    result = counted(call, prefix, top, min_length, leave_out="" if path == "/" else path)
    call.context.set(path, result)
    return {"path": path, **result}


@plugin.command("peek", summary="Reads one path of the context", idempotent=True)
def peek(call: Call, path: str) -> Any:
    """Returns the value at the path, nil when there is none. The node refuses a path that the
    plugin may not read."""
    return call.context.get(path)


def words_in(text: str) -> Iterator[str]:
    """The words of a text, equal when they differ only in case or composition."""
    for word in _WORD.findall(unicodedata.normalize("NFC", text)):
        yield word.casefold()


def strings_in(value: Any) -> Iterator[str]:
    """All strings in a value, arrays and maps included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for element in value:
            yield from strings_in(element)
    elif isinstance(value, dict):
        for member in value.values():
            yield from strings_in(member)


if __name__ == "__main__":
    raise SystemExit(plugin.run())
