"""Messages give thread safety: no locks, no shared mutable state, no waiting in an actor."""

import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from tree import broken, code, cpp, line_of, without_text  # noqa: E402

# Names that messages, actors and runtime do not contain.
FORBIDDEN = {
    "a lock": cpp(
        r"\b(std::)?\w*mutex\w*\b|"
        r"\bstd::(lock_guard|unique_lock|scoped_lock|shared_lock|lock|once_flag|call_once)\b|"
        r"\bpthread_(mutex|cond|rwlock|spin|barrier)\w*|"
        r"\bstd::(counting_|binary_)?semaphore\b|\bsem_(wait|post|init)\b"),
    "a condition variable": cpp(r"\bstd::condition_variable\w*"),
    "a latch or barrier": cpp(r"\bstd::(latch|barrier)\b"),
    "a spin lock": cpp(
        r"\b(while|for|do)\b[^;{}]*[;{]?[^;{}]*\b(test_and_set|compare_exchange_\w+)\b|"
        r"\bspin_?lock\w*|\b_mm_pause\b|\bstd::this_thread::yield\b"),
    "a sleep": cpp(r"\bstd::this_thread::sleep_\w+|\b(u|nano)?sleep\("),
    "state of a thread": cpp(r"\bthread_local\b"),
    "an endless deadline": cpp(r"\bcaf::infinite\b"),
    "an await that blocks the mailbox": cpp(r"(\.|->)await\("),
    "all of CAF at once": cpp(r"<caf/all.hpp>"),
}

# Names that actors do not contain, because they wait. `actors/kernel/outside.hpp` is for code
# outside of actors.
WAITING = {
    "a wait for another thread": cpp(
        r"\bask_and_wait\b|(\.|->)(wait|wait_for|wait_until|notify_one|notify_all)\(|"
        r"\batomic_wait\w*"),
    "a future": cpp(r"\bstd::(future|shared_future|promise|packaged_task|async)\b|"
                    r"#[ \t]*include[ \t]*<future>"),
    "a thread to join": cpp(r"\bstd::j?thread\b|(\.|->)join\(\)"),
}

# The kernel's `ask` keeps the deadlines that it does not give to CAF.
KEEPS_DEADLINES = "actors/kernel/messaging.hpp"

# Mutable globals that have a reason.
ALLOWED_GLOBALS = {"runtime/cli/run.cpp": {"signal_pipe"}}  # all that a signal handler can reach

_SCOPE = re.compile(r"[{};]")
_ATTRIBUTES = r"\A\s*(?:\[\[[^\]]*\]\]\s*)*"
_GLOBAL = cpp(
    _ATTRIBUTES + r"(?:(?:static|inline|extern|thread_local|volatile)\s+)*"
    r"(?:::)?\w+(?:::\w+)*(?:\s*<[^;=]*>)?[\s*&]+(\w+)\s*(?:\[[^\]]*\]\s*)?(?:=|\Z)")
_NOT_A_VARIABLE = re.compile(
    _ATTRIBUTES + r"(using|typedef|class|struct|enum|union|template|friend|namespace|return|"
    r"static_assert|extern\s*\"\"|concept|public|private|protected|operator|case|default|goto|"
    r"throw|delete|new|else)\b")
_CONSTANT = re.compile(r"\b(const|constexpr|constinit\s+const)\b")
_LOCAL_STATIC = re.compile(r"\bstatic\s+(?!assert)([^;=(){}]*?\b(\w+)\s*(?:=|;|\{|\[))")
_NAMESPACE = re.compile(r"\bnamespace\b[^;]*\Z|\bextern\s*\"\"\s*\Z")
_NOT_A_BRACED_VALUE = re.compile(r"[()]|\b(class|struct|enum|union|concept|requires)\b")
_DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)


def namespace_statements(text):
    """The statements in a namespace, without those in a class or function: (position, text)."""
    depth_is_namespace, begin = [], 0
    for match in _SCOPE.finditer(text):
        chunk = text[begin:match.start()]
        if match.group() == "{":
            if all(depth_is_namespace):
                initialised = re.search(r"=\s*\Z", chunk)
                is_namespace = _NAMESPACE.search(chunk) is not None
                if not is_namespace and (initialised or not _NOT_A_BRACED_VALUE.search(chunk)):
                    yield begin, chunk.rstrip().removesuffix("=")
                depth_is_namespace.append(is_namespace)
            else:
                depth_is_namespace.append(False)
        elif match.group() == "}":
            if depth_is_namespace:
                depth_is_namespace.pop()
        elif all(depth_is_namespace):
            yield begin, chunk
        begin = match.end()


def mutable_globals(text):
    """Variables with static lifetime that can change: (line, name)."""
    text = _DIRECTIVE.sub(lambda match: "\n" * match.group().count("\n"), without_text(text))
    found = []
    for position, statement in namespace_statements(text):
        declared = statement.split("=")[0]
        if not declared.strip() or "(" in declared or _NOT_A_VARIABLE.match(statement) or \
                _CONSTANT.search(declared):
            continue
        if match := _GLOBAL.match(statement):
            found.append((line_of(text, position + match.start(1)), match.group(1)))
    for match in _LOCAL_STATIC.finditer(text):
        variable = (line_of(text, match.start()), match.group(2))
        if not _CONSTANT.search(match.group(1)) and variable not in found:
            found.append(variable)
    return found


def found_in(name, text, patterns):
    """What the patterns find in a file, as text: place, what it is, and how it stands there."""
    plain = without_text(text)
    return [f"{name}:{line_of(plain, match.start())}: {what}: {match.group().strip()[:60]}"
            for what, pattern in patterns.items() for match in pattern.finditer(plain)]


def forbidden(files):
    found = []
    for name, text in files.items():
        patterns = {what: pattern for what, pattern in FORBIDDEN.items()
                    if what != "an endless deadline" or name != KEEPS_DEADLINES}
        found += found_in(name, text, patterns)
        found += [f"{name}:{line}: a mutable global: {variable}"
                  for line, variable in mutable_globals(text)
                  if variable not in ALLOWED_GLOBALS.get(name, ())]
    return found


def waiting(files):
    found = []
    for name, text in files.items():
        if name.startswith("actors/") and name != "actors/kernel/outside.hpp":
            found += found_in(name, text, WAITING)
    return found


class NoLocks(unittest.TestCase):
    def test_nothing_locks_waits_or_is_shared_and_mutable(self):
        self.assertEqual(forbidden(code("messages", "actors", "runtime")), [])

    def test_no_actor_waits_for_another(self):
        self.assertEqual(waiting(code("actors")), [])


class TheTestItself(unittest.TestCase):
    BAD = [
        "std::mutex guard_;", "mutable std::shared_mutex m;", "std::lock_guard lock{m};",
        "std::condition_variable changed;", "void f() { pthread_mutex_lock(&m); }",
        "void f() { while (flag.test_and_set()) {} }", "std::once_flag once;",
        "void f() { while (!x.compare_exchange_weak(a, b)) {} }", "class spin_lock {};",
        "void f() { do {} while (flag.test_and_set()); }", "void f() { usleep(3); }",
        "void f() { std::this_thread::sleep_for(1s); }", "thread_local int x = 0;",
        "void f() { self->request(a, caf::infinite, m); }", "void f() { pending.await([] {}); }",
        "#include <caf/all.hpp>",
        "int counter = 0;", "static std::string last;", "namespace { std::vector<int> seen; }",
        "inline std::map<int, int> cache{};", "int pair[2] = {1, 2};", "char* name;",
        "namespace a::b { std::array<int, 3> table = {1, 2, 3}; }", "extern int shared;",
        "int f() { static int calls = 0; return ++calls; }", "::a::b x;",
        "void f() { static std::map<int, int> cache; }"]
    GOOD = [
        "constexpr int x = 3;", 'static const std::string name = "x";', "int f();",
        "namespace { constexpr auto second = 1s; }", 'const char* text = "std::mutex";',
        "inline constexpr std::array<int, 2> a{1, 2};", "using x = int;",
        "void f() { static const bool once = g(); }",
        "class x { int member_ = 0; std::atomic<int> count{0}; };",
        "void f() { int local = 0; for (int i = 0; i < 3; ++i) {} }",
        "struct s { static constexpr int n = 3; static int made(); static r<int> open(int x); };",
        "template <class T> T make() { T sample{}; return sample; }",
        "std::vector<int> f() { return {1, 2}; }", "enum class kind : std::uint8_t { a, b };",
        "void f() { if (!once->test_and_set()) g(); }",
        "result<int> parse(std::string_view text) noexcept { return 1; }",
        "template <>\nstruct enum_names<e> { static constexpr std::array<int, 1> names{{{1}}}; };"]
    UNBROKEN = ["// std::mutex is not used", "constexpr std::uint64_t big = 1'000'000;"]

    def test_each_bad_sample_is_caught(self):
        for sample in self.BAD:
            for written in {sample, broken(sample)}:
                with self.subTest(written=written):
                    self.assertNotEqual(forbidden({"actors/x/y.cpp": written + "\n"}), [])

    def test_good_samples_are_not(self):
        for written in self.GOOD + self.UNBROKEN + [broken(sample) for sample in self.GOOD]:
            with self.subTest(written=written):
                self.assertEqual(forbidden({"actors/x/y.cpp": written + "\n"}), [])

    def test_a_mutable_global_is_found_in_its_line(self):
        text = "#define X \\\n  1\n/* one\ntwo */\nint counter = 0;\n"
        self.assertEqual(mutable_globals(text), [(5, "counter")])

    def test_waiting_in_an_actor_is_caught(self):
        for sample in ("auto x = ask_and_wait<int>(system, a, 1s, b);", "std::future<int> answer;",
                       "answer.wait();", "state_.wait(old);", "answer->wait_for(1s);",
                       "std::promise<void> done;", "auto x = std::async(f);",
                       "state_.notify_all();", "std::atomic_wait(&x, 1);", "#include <future>",
                       "std::thread helper{f};", "helper.join();"):
            for written in {sample, broken(sample)}:
                with self.subTest(written=written):
                    self.assertNotEqual(waiting({"actors/links/x.cpp": written + "\n"}), [])
                    self.assertEqual(waiting({"actors/kernel/outside.hpp": written,
                                              "runtime/host.cpp": written}), [])
        good = "// answer.wait()\nwaiting_.get(); await_more(); promise.deliver(x);\n"
        self.assertEqual(waiting({"actors/links/x.cpp": good}), [])

    def test_only_the_kernel_asks_caf_without_a_deadline(self):
        sample = "self->request(to, caf::infinite, message);"
        self.assertEqual(forbidden({KEEPS_DEADLINES: sample}), [])
        self.assertEqual(len(forbidden({"actors/kernel/outside.hpp": sample})), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
