"""Only actors/kernel names what differs between CAF releases; the rest uses the kernel's words."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from tree import broken, code, cpp, line_of, without_text  # noqa: E402

KERNEL = "actors/kernel/"
_TYPES = r"(\s*<[^;()]*>)?"  # template arguments of a call

# CAF's names, by what they are; in parentheses what the kernel offers instead.
SEAM = {
    "a send (tell)": cpp(
        r"->(send|anon_send|delayed_send|scheduled_send|delayed_anon_send|delegate|eq_impl|"
        r"enqueue)" + _TYPES + r"\(|"
        r"\bcaf::(send|anon_send|delayed_send|scheduled_send|delayed_anon_send|"
        r"scheduled_anon_send)\b"),
    "a request (ask, ask_and_wait)": cpp(
        r"->(request|fan_out_request|new_request_id)" + _TYPES + r"\(|"
        r"\bcaf::(request|scoped_actor|infinite)\b"),
    "a timer (tick_after)": cpp(
        r"->(run_delayed|run_scheduled)" + _TYPES + r"\(|clock\(\)\.schedule\w*\(|"
        r"\bcaf::(make_)?action\b"),
    "an exit (end_normally, end_with, dismiss)": cpp(
        r"->(quit|send_exit)" + _TYPES + r"\(|\bcaf::(anon_send_exit|exit_msg|exit_reason)\b"),
    "a link (bind_life)": cpp(r"->(link_to|unlink_from)\("),
    "a monitor (watch_list)": cpp(
        r"->(monitor|demonitor|attach|attach_functor)" + _TYPES + r"\(|\bcaf::down_msg\b"),
    "a handler of CAF's (watch_list, spawn_shell)": cpp(
        r"->set_(down|exit|error|exception|default|node_down)_handler\("),
    "a spawn (spawn_shell, spawn_blocking, spawn_io, spawn_on_connection)": cpp(
        r"(\.|->)(template\s+)?spawn(_impl|_class|_functor|_in_groups?|_client|_server)?" + _TYPES +
        r"\(|\bcaf::(detached|linked|monitored|lazy_init|hidden|actor_config)\b"),
    "a cast or a bare pointer (untyped, unchecked, sender_of_message, sender_id)": cpp(
        r"\bcaf::(actor_cast|actor_addr|strong_actor_ptr|weak_actor_ptr|actor_control_block|"
        r"abstract_actor)\b|(\.|->)ctrl\(\)|->current_sender\(\)"),
    "a scribe or doorman (adopt_connection, listen_on, connection)": cpp(
        r"->(add_scribe|add_doorman|add_tcp_\w+|move_scribe|move_doorman|configure_read|wr_buf|"
        r"rd_buf|graceful_shutdown)\(|"
        r"\bself_?->(take|halt|trigger|backend|write|flush)\(|\bbroker_?->|"
        r"\bcaf::io::(scribe|doorman|receive_policy|network|abstract_broker|broker|middleman)\b"),
    "an answer by hand (reply, reply_later, reply_to)": cpp(
        r"make_response_promise|\bcaf::\w*response_promise\b"),
    "a message made by hand (farewell)": cpp(r"\bcaf::make_message\b"),
}

# Files outside of the kernel that name one of these, and why: {file: {what: why}}.
ALLOWED = {}


def beyond_the_seam(files):
    found = []
    for name, text in files.items():
        if name.startswith(KERNEL):
            continue
        plain = without_text(text)
        for what, pattern in SEAM.items():
            if what not in ALLOWED.get(name, {}):
                found += [f"{name}:{line_of(plain, match.start())}: {what}: {match.group().strip()}"
                          for match in pattern.finditer(plain)]
    return found


class Seam(unittest.TestCase):
    def test_only_the_kernel_names_how_caf_does_it(self):
        self.assertEqual(beyond_the_seam(code("actors", "runtime")), [])

    def test_the_exceptions_are_needed(self):
        files = code("actors", "runtime")
        for name, reasons in ALLOWED.items():
            for what in reasons:
                self.assertRegex(without_text(files[name]), SEAM[what])


class TheTestItself(unittest.TestCase):
    BAD = [
        "self->send(a, b);", "self_->delegate(a, b);", "caf::anon_send(a, b);",
        "caf::send(a, b);", "self->delayed_send(a, 1s, b);", "a->enqueue(b, nullptr);",
        "self_->request(a, 1s, b);", "self->request<caf::message_priority::high>(a, 1s, b);",
        "caf::scoped_actor self{system};", "self->run_delayed(1s, f);",
        "self_->clock().schedule(at, f);", "auto f = caf::make_action(g);", "self_->quit();",
        "self_->quit(to_caf(why));", "self->send_exit(a, why);", "caf::anon_send_exit(a, why);",
        "return caf::exit_reason::kill;", "self_->link_to(a);", "self->unlink_from(a);",
        "self_->monitor(a);", "self_->set_down_handler(f);", "self_->set_exit_handler(f);",
        "[](const caf::down_msg&) {}", "system.spawn(f);", "auto a = self_->system().spawn<x>(b);",
        "self->spawn(f);", "system.spawn_class<x, caf::no_spawn_options>(config);",
        "system.template spawn<x, caf::detached>(y);", "caf::actor_config config{c};",
        "caf::actor_cast<x>(a);", "caf::actor_addr a;", "caf::strong_actor_ptr p;",
        "self->ctrl();", "if (self_->current_sender()) return;", "self_->add_scribe(fd);",
        "self->add_doorman(fd);", "broker_->configure_read(c, p);", "self_->wr_buf(c);",
        "broker->write(c, 1, p);", "broker_->flush(c);", "self_->halt(c);", "self_->trigger(c);",
        "self_->take(c);", "caf::io::abstract_broker* broker;",
        "caf::io::receive_policy::exactly(3);", "caf::make_message(x{});",
        "system.middleman().spawn_client(f, a, 1);",
        "auto p = self_->make_response_promise<x>();", "caf::typed_response_promise<x> p;",
    ]
    GOOD = [
        "tell(self_, a, b);", "ask(self_, a, 1s, b).then(f, g);", "end_with(self_, why);",
        "ends_.attach(self_);", "ends_.watch(self_, a, f);",
        "auto a = spawn_shell<x>(system, b);", "auto a = spawn_link(self_->system(), b);",
        "caf::typed_actor<caf::result<void>(x)>;", "caf::result<x> f(interface::pointer self);",
        "const auto now = self_->clock().now();",
        "return reply_later<x>(self_, f);", "reply_to<x> to;",
        "[](const caf::io::new_data_msg& data) {}", "using listener = caf::io::accept_handler;",
        "session_.call(x); call->take();", "// self->send(a, b)", "caf::actor_system& system;",
        "caf::actor_id id = a.id();", "std::string address(); peer.address;", "write(fd, a, b);",
        "stream_.flush(session);", "worker.halt();", "caf::error e;",
    ]

    def test_each_bad_sample_is_caught_outside_of_the_kernel(self):
        for sample in self.BAD:
            for written in {sample, broken(sample)}:
                with self.subTest(written=written):
                    self.assertNotEqual(beyond_the_seam({"actors/links/x.cpp": written}), [])
                    self.assertEqual(beyond_the_seam({KERNEL + "x.hpp": written}), [])

    def test_good_samples_are_not(self):
        for sample in self.GOOD:
            with self.subTest(sample=sample):
                self.assertEqual(beyond_the_seam({"runtime/x.cpp": sample + "\n"}), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
