#include <troupe/actors/monitor/audit.hpp>

#include <troupe/actors/kernel/shell.hpp>
#include <troupe/actors/links/serving.hpp>
#include <troupe/actors/monitor/audit_file.hpp>
#include <troupe/actors/monitor/audit_trail.hpp>

namespace troupe {

namespace {

class audit_state {
public:
  using interface = audit_actor;
  static constexpr const char* name = "audit";

  audit_state(interface::pointer, audit_setup setup)
      : setup_(std::move(setup)),
        file_(setup_.directory, setup_.max_file_bytes),
        log_(setup_.log.logger("audit")),
        trail_(setup_.max_in_memory) {
    for (auto& record : file_.load(setup_.max_in_memory))
      trail_.add(audit_trail::admit(std::move(record), 0));
  }

  interface::behavior_type make_behavior() {
    return {
        [this](audit_record& record) -> caf::result<void> { return reply(add(std::move(record))); },
        [this](const search_audit& wanted) { return trail_.search(wanted); },
        [this](service_call& call) {
          return serve_method(
              message_types<search_audit>{}, call,
              [this](const search_audit& wanted, auto&) { return trail_.search(wanted); });
        },
        [](const service_notification&) {},
    };
  }

private:
  result<void> add(audit_record record) {
    record = audit_trail::admit(std::move(record), setup_.clock());
    log_->info("audit.{} principal={} subject={} rule={}", printable(record.event),
               printable_quoted(record.principal, 128), printable_quoted(record.subject, 1024),
               printable_quoted(record.rule, 1024));
    auto written = file_.append(record);
    if (!written)
      log_->error("audit.write_failed reason={}", printable_quoted(written.error().message));
    trail_.add(std::move(record));
    return written;
  }

  audit_setup setup_;
  audit_file file_;
  std::shared_ptr<spdlog::logger> log_;
  audit_trail trail_;
};

}  // namespace

audit_actor spawn_audit(caf::actor_system& system, audit_setup setup) {
  return spawn_blocking<audit_state>(system, std::move(setup));
}

child_spec audit_child(caf::actor_system& system, audit_setup setup,
                       on_started<audit_actor> started) {
  return make_child(
      "audit", [&system, setup = std::move(setup)] { return spawn_audit(system, setup); },
      std::move(started));
}

}  // namespace troupe
