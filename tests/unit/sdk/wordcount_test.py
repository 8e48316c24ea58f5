"""The example plugin wordcount. Run: python3 -B tests/unit/sdk/wordcount_test.py"""

from __future__ import annotations

import pathlib
import sys
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from python_sdk import ROOT  # noqa: E402

sys.path.insert(0, str(ROOT / "plugins/examples/wordcount"))
import wordcount  # noqa: E402
from troupe_plugin import TroupeError  # noqa: E402
from troupe_plugin_testing import FakeHost  # noqa: E402


class WordCount(unittest.TestCase):
    CONTEXT = {
        "/iso/a": "One two, TWO.",
        "/iso/b/c": {"name": "two three", "codes": ["one", 2, None]},
        "/iso/n": 17,
        "/other": "secret",
    }

    def test_it_counts_words_in_all_strings_below_a_prefix(self) -> None:
        with FakeHost(wordcount.plugin, context=self.CONTEXT) as host:
            counted = host.execute("wordcount.count", {"prefix": "/iso", "top": 2})
        top = [{"word": "two", "count": 3}, {"word": "one", "count": 2}]
        self.assertEqual(counted, {"values": 3, "words": 6, "distinct": 3, "top": top})

    def test_it_stores_the_result(self) -> None:
        with FakeHost(wordcount.plugin, context=self.CONTEXT) as host:
            stored = host.execute("wordcount.store", {"prefix": "/iso"})
            self.assertEqual(stored.pop("path"), "/plugins/wordcount/results/iso")
            self.assertEqual(host.context["/plugins/wordcount/results/iso"], stored)
            # Seven words in the context, and the three that the first result lists.
            self.assertEqual(host.execute("wordcount.store", {"into": "/x"})["words"], 10)
        self.assertIn("/x", host.context)

    def test_storing_twice_is_the_same_as_storing_once(self) -> None:
        with FakeHost(wordcount.plugin, context=self.CONTEXT) as host:
            for into in ("/iso/counted", "/", ""):
                with self.subTest(into=into):
                    once = host.execute("wordcount.store", {"into": into})
                    self.assertEqual(host.execute("wordcount.store", {"into": into}), once)

    def test_words_of_all_languages_are_whole(self) -> None:
        for text, words in (
            ("İstanbul, istanbul", ["i\u0307stanbul", "istanbul"]),
            ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
            ("Straße STRASSE", ["strasse", "strasse"]),
            ("caf\u00e9 CAFE\u0301", ["caf\u00e9", "caf\u00e9"]),
            ("q\u0323y \u0301 \u2764\ufe0f", ["q\u0323y"]),
            ("snake_case a1, b-2", ["snake_case", "a1", "b", "2"]),
            ("", []),
        ):
            with self.subTest(text=text):
                self.assertEqual(list(wordcount.words_in(text)), words)

    def test_short_words_count_and_can_be_left_out_of_the_list(self) -> None:
        with FakeHost(wordcount.plugin, context={"/a": "i i I may, maybe"}) as host:
            counted = host.execute("wordcount.count", {"min_length": 4})
            top = [{"word": "maybe", "count": 1}]
            self.assertEqual(counted, {"values": 1, "words": 5, "distinct": 3, "top": top})
            self.assertEqual(host.execute("wordcount.count")["top"][0], {"word": "i", "count": 3})

    def test_a_path_without_a_grant_is_denied(self) -> None:
        with FakeHost(wordcount.plugin, context=self.CONTEXT, denied=["/other"]) as host:
            self.assertEqual(host.execute("wordcount.peek", {"path": "/iso/n"}), 17)
            self.assertIsNone(host.execute("wordcount.peek", {"path": "/iso/nothing"}))
            with self.assertRaises(TroupeError) as caught:
                host.execute("wordcount.peek", {"path": "/other"})
        self.assertEqual(caught.exception.code, "permission_denied")

    def test_its_memory_is_bounded(self) -> None:
        with mock.patch.object(wordcount, "MAX_DISTINCT_WORDS", 2):
            with FakeHost(wordcount.plugin, context=self.CONTEXT) as host:
                with self.assertRaisesRegex(TroupeError, "limit_exceeded.*choose a smaller part"):
                    host.execute("wordcount.count", {"prefix": "/iso"})

    def test_54000_values_take_54_pages(self) -> None:
        context = {f"/iso/{i % 300}/{i}/name": f"name of number {i}" for i in range(54_000)}
        with FakeHost(wordcount.plugin, context=context) as host:
            with mock.patch.object(host.context, "page", wraps=host.context.page) as page:
                counted = host.execute("wordcount.count", {"prefix": "/iso", "top": 3}, deadline=30)
        numbers = (counted["values"], counted["words"], counted["distinct"])
        self.assertEqual(numbers, (54_000, 216_000, 54_003))
        self.assertEqual([entry["word"] for entry in counted["top"]], ["name", "number", "of"])
        self.assertEqual(page.call_count, 54)


if __name__ == "__main__":
    unittest.main()
