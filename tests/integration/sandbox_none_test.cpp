#include <doctest/doctest.h>

#include <signal.h>

#include <troupe/plugins/sandbox/unconfined.hpp>
#include <troupe/tests/support/fixtures/sandbox_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

TEST_SUITE("no sandbox") {
  TEST_CASE_FIXTURE(sandbox_fixture,
                    "an unconfined plugin runs with the same socket and variables, and no layer") {
    unconfined sandbox{deny_all()};
    CHECK(sandbox.name() == "none");
    CHECK(sandbox.remove_leftovers().value() == 0);
    write(package / "run",
          "#!/bin/sh\necho \"$TROUPE_PLUGIN $TROUPE_SOCKET\"\npwd\necho x >&3\nexit 7\n",
          fs::perms{0755});
    auto spec = shell("");
    spec.entry = {"run"};
    const auto ended = run(sandbox, spec);
    CHECK(ended.status.status == 7);
    CHECK(says(ended.output, "probe 3"));
    CHECK(says(ended.output, package.string()));
    for (const auto& layer : ended.layers) CHECK(layer.mechanism == "none");
  }

  TEST_CASE_FIXTURE(sandbox_fixture,
                    "an unconfined plugin is stopped, sampled and ended like a confined one") {
    unconfined sandbox{deny_all()};
    auto spec = shell("");
    spec.entry = {"/bin/sh", "-c", "sleep 1000 & echo ready; sleep 1000; true", root.string()};
    auto process = sandbox.create(spec);
    REQUIRE_MESSAGE(process, (process ? "" : process.error().message));
    CHECK(sandbox.create(spec).error().code == error_code::already_exists);
    CHECK(read_line(process->output.get()) == "ready");
    CHECK(eventually([&] { return sandbox.track_resources("probe").value().processes == 3; }));
    CHECK(sandbox.track_resources("probe").value().memory_mechanism == "none");
    CHECK_FALSE(sandbox.poll_exit("probe").value().has_value());
    CHECK(sandbox.request_stop("probe"));
    CHECK(wait_readable(process->pidfd.get(), patience));
    CHECK(sandbox.poll_exit("probe").value() == exit_status{.status = 0, .signal = SIGTERM});
    CHECK(sandbox.destroy("probe", 10ms).value().has_value());
    CHECK_FALSE(sandbox.destroy("probe", 10ms).value().has_value());
    CHECK(eventually([&] { return count_processes(root.string()) == 0; }));
    CHECK(sandbox.request_stop("probe").error().code == error_code::not_found);
    CHECK(sandbox.poll_exit("probe").error().code == error_code::not_found);
    CHECK(sandbox.track_resources("probe").error().code == error_code::not_found);

    spec.entry = {"missing"};
    CHECK(sandbox.create(spec).error().message.find("No such file") != std::string::npos);
    spec.entry = {};
    CHECK(sandbox.create(spec).error().code == error_code::invalid_argument);
    spec.entry = {"/bin/sleep", "1000"};
    spec.entry.push_back("0");
    CHECK(sandbox.create(spec));
  }
}
