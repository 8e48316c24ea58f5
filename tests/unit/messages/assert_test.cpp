#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string>

#include <troupe/messages/assert.hpp>

TEST_CASE("an invariant that holds costs nothing else") {
  int asked = 0;
  TROUPE_ASSERT(++asked == 1, "the condition is evaluated once");
  CHECK(asked == 1);
}

TEST_CASE("an invariant that is violated ends the program and prints what and where") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const auto child = fork();
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);  // the test program's own handler would report a crash
    dup2(ends[1], STDERR_FILENO);
    TROUPE_ASSERT(1 + 1 == 3, "sums are right");
    _exit(0);
  }
  close(ends[1]);
  std::string said;
  std::array<char, 512> bytes;
  for (ssize_t got = 0; (got = read(ends[0], bytes.data(), bytes.size())) > 0;)
    said.append(bytes.data(), static_cast<std::size_t>(got));
  close(ends[0]);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGABRT);
  CHECK(said.starts_with("troupe: a defect: sums are right, but (1 + 1 == 3) is false, in "));
  CHECK(said.find("assert_test.cpp:") != std::string::npos);
}
