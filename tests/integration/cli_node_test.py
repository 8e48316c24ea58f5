"""A node asked from the command line: one that is missing, one that runs, and several together."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from nodes import (  # noqa: E402
    PROGRAM, SUCCESS, TIMEOUT, UNAVAILABLE, USAGE, NodeTest, ServedTest, environment, troupe,
    wait_until)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def links_of(pid):
    links = []
    for entry in pathlib.Path(f"/proc/{pid}/fd").glob("*"):
        try:
            links.append(os.readlink(entry))
        except OSError:
            pass
    return links


class WithoutNode(NodeTest):
    def test_a_missing_node_is_named_with_the_remedy(self):
        place = self.directory / "nobody"
        for words in (["node", "info"], ["exec", "x.y"], ["context", "get", "/a"],
                      ["plugin", "list"], ["metrics"]):
            done = troupe(*words, "--data-dir", place)
            self.assert_refused(done, UNAVAILABLE, re.escape(f"{place}/troupe.sock") +
                                ".*troupe run --data-dir " + re.escape(str(place)))

    def test_the_data_directory_comes_from_the_flag_the_environment_or_the_home(self):
        env = environment(TROUPE_DATA_DIR=str(self.directory / "env"),
                          HOME=str(self.directory / "home"))
        self.assertIn(f"{self.directory}/flag/troupe.sock",
                      troupe("node", "info", "--data-dir", self.directory / "flag", env=env).stderr)
        self.assertIn(f"{self.directory}/env/troupe.sock", troupe("node", "info", env=env).stderr)
        del env["TROUPE_DATA_DIR"]
        self.assertIn(f"{self.directory}/home/.local/share/troupe/troupe.sock",
                      troupe("node", "info", env=env).stderr)
        env["XDG_DATA_HOME"] = str(self.directory / "xdg")
        self.assertIn(f"{self.directory}/xdg/troupe/troupe.sock",
                      troupe("node", "info", env=env).stderr)

    def test_an_error_is_one_json_document_on_request(self):
        done = troupe("node", "info", "--json", "--data-dir", self.directory)
        self.assertEqual((done.returncode, done.stdout), (UNAVAILABLE, ""))
        told = json.loads(done.stderr)["error"]
        self.assertEqual(told["code"], "unavailable")
        self.assertIn("troupe.sock", told["message"])

    def test_a_socket_without_a_server_is_not_a_node(self):
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(self.directory / "troupe.sock"))
        self.assert_refused(troupe("node", "info", "--data-dir", self.directory), UNAVAILABLE,
                            "no node answers .*Connection refused")

    def test_a_silent_server_is_abandoned_at_the_deadline(self):
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(str(self.directory / "troupe.sock"))
            silent.listen()
            done = troupe("node", "info", "--data-dir", self.directory, "--deadline", 200)
        self.assert_refused(done, TIMEOUT, "no answer before the deadline")

    def test_a_server_with_another_protocol_is_reported(self):
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(self.directory / "troupe.sock"))
            other.listen()
            words = ["node", "info", "--data-dir", str(self.directory)]
            program = subprocess.Popen([str(PROGRAM), *words], stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True)
            link, _ = other.accept()
            link.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            out, err = program.communicate(timeout=20)
            link.close()
        self.assertEqual((program.returncode, out), (1, ""))
        self.assertRegex(err, r"\Atroupe: [^\n]+\n\Z")

    def test_a_data_directory_too_deep_for_a_socket_is_named(self):
        done = troupe("node", "info", "--data-dir", self.directory / ("x" * 120))
        self.assert_refused(done, USAGE, "too long|108|107")


class Running(ServedTest):
    """One node, and the requests that it answers."""

    def test_node_info_is_for_people_and_for_programs(self):
        told = self.served.ask("node", "info")
        self.assertEqual(told["name"], "node")
        self.assertEqual(told["process"], self.served.pid)
        self.assertEqual(told["entries"], 0)
        text = self.served.do("node", "info")
        labels = "name id version incarnation process up data listens sandbox entries conflicts"
        for label in (*labels.split(), "root hash"):
            self.assertRegex(text, rf"(?m)^{label} +\S")
        self.assertIn(told["id"], text)
        self.assertEqual(self.served.do("node", "peers"), "no other nodes are known\n")

    def test_json_is_understood_in_any_position(self):
        for words in (["--json", "node", "info"], ["node", "--json", "info"],
                      ["node", "info", "--json"]):
            with self.subTest(words=words):
                self.assertEqual(json.loads(self.served.do(*words))["name"], "node")

    def test_empty_names_are_refused(self):
        for command, words in (("plugin load", [""]), ("plugin audit", [""]),
                               ("context import", [""]), ("context export", ["-o", ""]),
                               ("metrics", [""])):
            with self.subTest(command=command):
                self.refuse(USAGE, f"must not be empty; see: troupe {command}",
                            *command.split(), *words)

    def test_a_list_without_commands_says_so(self):
        self.assertEqual(self.served.do("exec", "--list", "zzz"),
                         "no command begins with \"zzz\"; see all with: troupe exec --list\n")

    def test_node_info_counts_what_verify_counts(self):
        self.served.do("context", "set", "/a", "1")
        self.served.do("context", "set", "/b", "2")
        self.served.do("context", "delete", "/a")
        told = self.served.ask("node", "info")
        verified = self.served.ask("context", "verify")["here"]
        self.assertEqual((told["entries"], told["conflicts"]), (1, 0))
        self.assertEqual((verified["entries"], verified["conflicts"]), (1, 0))

    def test_the_deadline_bounds_the_wait(self):
        self.served.process.send_signal(signal.SIGSTOP)
        try:
            self.refuse(TIMEOUT, "no answer before the deadline", "node", "info", "--deadline", 300)
        finally:
            self.served.process.send_signal(signal.SIGCONT)

    def test_a_node_that_dies_during_a_request_is_reported(self):
        self.served.process.send_signal(signal.SIGSTOP)
        words = ["node", "info", "--data-dir", str(self.served.data)]
        asking = subprocess.Popen([str(PROGRAM), *words], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        wait_until(lambda: "socket:" in " ".join(links_of(asking.pid)))
        self.served.stop(signal.SIGKILL)
        out, err = asking.communicate(timeout=20)
        self.assertEqual((asking.returncode, out), (UNAVAILABLE, ""))
        self.assertRegex(err, r"\Atroupe: (the node closed the connection|"
                              r"no node answers[^\n]*)\n\Z")


class Several(NodeTest):
    def join(self, *nodes):
        def peers(node):
            return [peer for peer in node.ask("node", "peers") if peer["connected"]]

        wait_until(lambda: all(len(peers(node)) >= len(nodes) - 1 for node in nodes), 20)

    def test_two_nodes_find_each_other_and_share_their_values(self):
        a = self.start("--listen", "127.0.0.1:0", name="a")
        b = self.start("--join", a.address, name="b")
        self.join(a, b)
        a.do("context", "set", "/from/a", "1")
        b.do("context", "set", "/from/b", "2")
        wait_until(lambda: a.root_hash() == b.root_hash() and a.ask("node", "info")["entries"] == 2)
        self.assertRegex(a.do("node", "peers"), r"(?m)^b +\S* +connected +[0-9a-f-]{36}")
        self.assertEqual(a.run("context", "verify", "--against", b.data).returncode, SUCCESS)
        self.stop_all()

    def test_both_sides_count_the_conflicts_between_them(self):
        a = self.start("--listen", "127.0.0.1:0", name="a")
        b = self.start(name="b")
        for node in (a, b):
            node.do("context", "set", "/same", node.data.name)
        self.assertEqual(b.stop(), SUCCESS)
        b.start("--join", a.address)
        for node in (a, b):
            wait_until(lambda: node.ask("node", "info")["conflicts"] == 1)
            self.assertEqual(node.ask("node", "info")["entries"], 1)
            self.assertRegex(node.do("node", "info"), r"(?m)^conflicts +1$")
        a.do("context", "set", "/same", "again")
        for node in (a, b):
            wait_until(lambda: node.ask("node", "info")["conflicts"] == 0)
        self.stop_all()

    def test_a_copied_data_directory_does_not_start_beside_the_original(self):
        a = self.start("--listen", "127.0.0.1:0", name="a")
        a.do("context", "set", "/a", "1")
        copy = self.directory / "copy"
        subprocess.run(["cp", "-a", str(a.data), str(copy)], check=True)
        refused = troupe("run", "--data-dir", copy, "--join", a.address)
        self.assertEqual(refused.returncode, USAGE, refused.stderr)
        self.assertIn(f"as process {a.pid} with the data directory", refused.stderr)
        self.assertIn("start a node with an empty data directory instead", refused.stderr)
        a.do("context", "set", "/still", "served")
        self.assertEqual(a.stop(), SUCCESS)
        moved = self.start(name="copy")
        self.assertEqual(moved.ask("context", "get", "/a"), 1)
        self.stop_all()

    def test_a_node_of_another_cluster_is_refused_with_the_reason(self):
        a = self.start("--listen", "127.0.0.1:0", "--cluster", "one", name="a")
        b = self.start("--join", a.address, "--cluster", "two", name="b")
        problem = wait_until(lambda: next((p["problem"] for p in b.ask("node", "peers")
                                           if "cluster" in p["problem"]), None))
        self.assertIn("nodes of one cluster are started with the same --cluster", problem)
        a.do("context", "set", "/secret", "1")
        self.assertEqual(b.ask("context", "list"), [])
        self.stop_all()

    def test_a_node_without_a_server_is_shown_as_away(self):
        lone = self.start("--join", f"127.0.0.1:{free_port()}", name="lone")
        wait_until(lambda: any("refused" in p["problem"] for p in lone.ask("node", "peers")))
        self.assertRegex(lone.do("node", "peers"), r"away .*refused")
        self.stop_all()


if __name__ == "__main__":
    unittest.main(verbosity=2)
