"""Counts the words in a part of the context."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Dict, Iterator

from troupe_plugin import Call, Parameter, Plugin, TroupeError

MAX_DISTINCT_WORDS = 500_000  # about 60 MiB, well inside the plugin's memory budget
RESULTS = "/plugins/wordcount/results"

plugin = Plugin("wordcount", "0.1.0")

_WORD = re.compile(r"\w+")
_PREFIX = Parameter("prefix", "string", "Where to look: this path and all below it.", default="/")
_TOP = Parameter("top", "integer", "How many of the most frequent words to list.", default=10, minimum=0, maximum=1000)


@plugin.command(
    "count", summary="Counts the words in all string values below a path", parameters=[_PREFIX, _TOP], idempotent=True
)
def count(call: Call, prefix: str = "/", top: int = 10) -> Dict[str, Any]:
    """Returns how many string `values` there are, how many `words` they have, how many of those are `distinct`, and the
    `top` words with their counts. Words are compared in lower case; strings inside of arrays and maps count too."""
    words: Counter[str] = Counter()
    values = 0
    for _, value in call.context.items(prefix):
        for text in strings_in(value):
            values += 1
            words.update(_WORD.findall(text.lower()))
        if len(words) > MAX_DISTINCT_WORDS:
            raise TroupeError(
                "limit_exceeded", f"`{prefix}` has more than {MAX_DISTINCT_WORDS} distinct words; choose a smaller part"
            )
    call.log.debug(f"counted {values} values below {prefix}")
    ranked = sorted(words.items(), key=lambda entry: (-entry[1], entry[0]))[:top]
    return {
        "values": values,
        "words": sum(words.values()),
        "distinct": len(words),
        "top": [{"word": word, "count": occurrences} for word, occurrences in ranked],
    }


@plugin.command(
    "store",
    summary="Counts the words below a path and writes the result into the context",
    parameters=[
        _PREFIX,
        _TOP,
        Parameter("into", "string", f"Where to write; the empty default is {RESULTS}<prefix>.", default=""),
    ],
    idempotent=True,
)
def store(call: Call, prefix: str = "/", top: int = 10, into: str = "") -> Dict[str, Any]:
    """Returns the result of `wordcount.count` and the `path` where it was written."""
    result = count(call, prefix, top)
    path = into or RESULTS + ("" if prefix == "/" else prefix)
    call.context.set(path, result)
    return {"path": path, **result}


@plugin.command("peek", summary="Reads one path of the context", idempotent=True)
def peek(call: Call, path: str) -> Any:
    """Returns the value at the path, nil when there is none. The node refuses a path that the plugin may not read."""
    return call.context.get(path)


def strings_in(value: Any) -> Iterator[str]:
    """All strings in a value, those inside of arrays and maps included."""
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
