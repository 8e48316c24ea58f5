"""Thread safety comes from message passing: no locks, no shared mutable state, no waiting inside of actors."""

import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from tree import code, line_of, without_text  # noqa: E402

# What must not be named at all in messages, actors and runtime.
FORBIDDEN = {
    "a lock": re.compile(r"\b(std::)?\w*mutex\w*\b|\bstd::(lock_guard|unique_lock|scoped_lock|shared_lock|lock|once_flag|call_once)\b|"
                         r"\bpthread_(mutex|cond|rwlock|spin|barrier)\w*|\bstd::(counting_|binary_)?semaphore\b|\bsem_(wait|post|init)\b"),
    "a condition variable": re.compile(r"\bstd::condition_variable\w*"),
    "a latch or barrier": re.compile(r"\bstd::(latch|barrier)\b"),
    "a spin lock": re.compile(r"\b(while|for|do)\b[^;{}]*[;{]?[^;{}]*\b(test_and_set|compare_exchange_\w+)\b|\bspin_?lock\w*|\b_mm_pause\b|"
                              r"\bstd::this_thread::yield\b"),
    "a sleep": re.compile(r"\bstd::this_thread::sleep_\w+|\b(u|nano)?sleep\("),
    "state of a thread": re.compile(r"\bthread_local\b"),
    "an endless deadline": re.compile(r"\bcaf::infinite\b"),
    "an await that blocks the mailbox": re.compile(r"(\.|->)await\("),
    "all of CAF at once": re.compile(r"<caf/all\.hpp>"),
}

# What must not be named in actors, which would wait. `actors/kernel/outside.hpp` is for those who are none.
WAITING = {
    "a wait for another thread": re.compile(r"\bask_and_wait\b|(\.|->)(wait|wait_for|wait_until|notify_one|notify_all)\(|\batomic_wait\w*"),
    "a future": re.compile(r"\bstd::(future|shared_future|promise|packaged_task|async)\b|#[ \t]*include[ \t]*<future>"),
    "a thread to join": re.compile(r"\bstd::j?thread\b|(\.|->)join\(\)"),
}

# Who sends is decided in one place.
SENDING = re.compile(r"->(send|request|delayed_send|scheduled_send|delayed_anon_send|run_delayed|run_scheduled|delegate)(<[^;()]*>)?\("
                     r"|\bcaf::(send|request|delayed_send|anon_send|delayed_anon_send|anon_send_exit|scoped_actor)\b")

# Mutable globals that have a reason.
ALLOWED_GLOBALS = {"runtime/cli/run.cpp": {"signal_pipe"}}  # a signal handler can reach nothing else

_SCOPE = re.compile(r"[{};]")
_GLOBAL = re.compile(r"\A\s*(?:\[\[[^\]]*\]\]\s*)*(?:(?:static|inline|extern|thread_local|volatile)\s+)*"
                     r"[\w:]+(?:\s*<[^;=]*>)?[\s*&]+(\w+)\s*(?:\[[^\]]*\]\s*)?(?:=|\Z)", re.DOTALL)
_NOT_A_VARIABLE = re.compile(r"\A\s*(?:\[\[[^\]]*\]\]\s*)*(using|typedef|class|struct|enum|union|template|friend|namespace|return|"
                             r"static_assert|extern\s*\"\"|concept|public|private|protected|operator|case|default|goto|throw|delete|new|else)\b")
_CONSTANT = re.compile(r"\b(const|constexpr|constinit\s+const)\b")
_LOCAL_STATIC = re.compile(r"\bstatic\s+(?!assert)([^;=(){}]*?\b(\w+)\s*(?:=|;|\{|\[))")


def namespace_statements(text):
    """The statements that stand in a namespace, not in a class or function: (position, text)."""
    depth_is_namespace, begin = [], 0
    for match in _SCOPE.finditer(text):
        chunk = text[begin:match.start()]
        if match.group() == "{":
            if all(depth_is_namespace):
                initialised = re.search(r"=\s*\Z", chunk)
                is_namespace = re.search(r"\bnamespace\b[^;]*\Z|\bextern\s*\"\"\s*\Z", chunk) is not None
                if not is_namespace and (initialised or not re.search(r"[()]|\b(class|struct|enum|union|concept|requires)\b", chunk)):
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
    """Names of variables with static life that can change: (line, name)."""
    text = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", "", without_text(text), flags=re.MULTILINE)
    found = []
    for position, statement in namespace_statements(text):
        if not statement.strip() or _NOT_A_VARIABLE.match(statement) or _CONSTANT.search(statement.split("=")[0]):
            continue
        if "(" in statement.split("=")[0]:
            continue
        if match := _GLOBAL.match(statement):
            found.append((line_of(text, position + match.start(1)), match.group(1)))
    for match in _LOCAL_STATIC.finditer(text):
        if not _CONSTANT.search(match.group(1)) and (line_of(text, match.start()), match.group(2)) not in found:
            found.append((line_of(text, match.start()), match.group(2)))
    return found


def forbidden(files):
    found = []
    for name, text in files.items():
        plain = without_text(text)
        for what, pattern in FORBIDDEN.items():
            found += [f"{name}:{line_of(plain, match.start())}: {what}: {match.group().strip()[:60]}" for match in pattern.finditer(plain)]
        found += [f"{name}:{line}: a mutable global: {variable}" for line, variable in mutable_globals(text)
                  if variable not in ALLOWED_GLOBALS.get(name, ())]
    return found


def waiting(files):
    found = []
    for name, text in files.items():
        if name.startswith("actors/") and name != "actors/kernel/outside.hpp":
            plain = without_text(text)
            for what, pattern in WAITING.items():
                found += [f"{name}:{line_of(plain, match.start())}: {what}: {match.group()}" for match in pattern.finditer(plain)]
    return found


def sending(files):
    found = []
    for name, text in files.items():
        if not name.startswith("actors/kernel/"):
            plain = without_text(text)
            found += [f"{name}:{line_of(plain, match.start())}: {match.group()}" for match in SENDING.finditer(plain)]
    return found


class NoLocks(unittest.TestCase):
    def test_nothing_locks_waits_or_is_shared_and_mutable(self):
        self.assertEqual(forbidden(code("messages", "actors", "runtime")), [])

    def test_no_actor_waits_for_another(self):
        self.assertEqual(waiting(code("actors")), [])

    def test_only_the_kernel_names_how_caf_sends(self):
        self.assertEqual(sending(code("actors", "runtime")), [])


class TheTestItself(unittest.TestCase):
    BAD = ["std::mutex guard_;", "mutable std::shared_mutex m;", "std::lock_guard lock{m};", "std::condition_variable changed;",
           "void f() { pthread_mutex_lock(&m); }", "void f() { while (flag.test_and_set()) {} }",
           "void f() { while (!x.compare_exchange_weak(a, b)) {} }", "void f() { do {} while (flag.test_and_set()); }",
           "void f() { std::this_thread::sleep_for(1s); }", "void f() { usleep(3); }", "thread_local int x = 0;",
           "void f() { self->request(a, caf::infinite, m); }", "void f() { pending.await([] {}); }", "#include <caf/all.hpp>",
           "std::once_flag once;", "class spin_lock {};",
           "int counter = 0;", "static std::string last;", "namespace { std::vector<int> seen; }", "inline std::map<int, int> cache{};",
           "namespace a::b { std::array<int, 3> table = {1, 2, 3}; }", "int pair[2] = {1, 2};", "int f() { static int calls = 0; return ++calls; }",
           "void f() { static std::map<int, int> cache; }", "char* name;", "extern int shared;"]
    GOOD = ["constexpr int x = 3;", "static const std::string name = \"x\";", "namespace { constexpr auto second = 1s; }", "int f();",
            "// std::mutex is not used", "const char* text = \"std::mutex\";", "inline constexpr std::array<int, 2> a{1, 2};",
            "class x { int member_ = 0; std::atomic<int> count{0}; };", "void f() { int local = 0; for (int i = 0; i < 3; ++i) {} }",
            "void f() { static const bool once = g(); }", "struct s { static constexpr int n = 3; static int made(); static result<int> open(int x); };",
            "template <class T> T make() { T sample{}; return sample; }", "using x = int;", "std::vector<int> f() { return {1, 2}; }",
            "void f() { if (!once->test_and_set()) g(); }", "result<int> parse(std::string_view text) noexcept { return 1; }",
            "template <>\nstruct enum_names<e> { static constexpr std::array<int, 1> names{{{1}}}; };", "enum class kind : std::uint8_t { a, b };",
            "constexpr std::uint64_t big = 1'000'000;"]

    def test_each_bad_sample_is_caught(self):
        for sample in self.BAD:
            with self.subTest(sample=sample):
                self.assertNotEqual(forbidden({"actors/x/y.cpp": sample + "\n"}), [])

    def test_good_samples_are_not(self):
        for sample in self.GOOD:
            with self.subTest(sample=sample):
                self.assertEqual(forbidden({"actors/x/y.cpp": sample + "\n"}), [])

    def test_waiting_in_an_actor_is_caught(self):
        for sample in ("auto x = ask_and_wait<int>(system, a, 1s, b);", "std::future<int> answer;", "answer.wait();", "state_.wait(old);",
                       "answer->wait_for(1s);", "std::promise<void> done;", "auto x = std::async(f);", "state_.notify_all();",
                       "std::atomic_wait(&x, 1);", "std::thread helper{f};", "helper.join();", "#include <future>"):
            with self.subTest(sample=sample):
                self.assertNotEqual(waiting({"actors/links/x.cpp": sample + "\n"}), [])
                self.assertEqual(waiting({"actors/kernel/outside.hpp": sample, "runtime/host.cpp": sample}), [])
        self.assertEqual(waiting({"actors/links/x.cpp": "// answer.wait()\nwaiting_.get(); await_more(); promise.deliver(x);\n"}), [])

    def test_sending_outside_of_the_kernel_is_caught(self):
        for sample in ("self->send(a, b);", "self_->request(a, 1s, b);", "caf::anon_send(a, b);", "self->delayed_send(a, 1s, b);",
                       "self->request<caf::message_priority::high>(a, 1s, b);", "caf::scoped_actor self{system};", "self->run_delayed(1s, f);"):
            with self.subTest(sample=sample):
                self.assertEqual(len(sending({"actors/links/x.cpp": sample})), 1)
                self.assertEqual(sending({"actors/kernel/x.cpp": sample}), [])
        self.assertEqual(sending({"actors/links/x.cpp": "tell(self, a, b); session.call(x); // self->send(a)\n"}), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
