#include <troupe/actors/context/store/file_presence.hpp>

#include <sys/stat.h>

namespace troupe {

result<void> file_presence::check() {
  for (auto& each : files_) {
    struct stat found {};
    const bool is_there = ::stat(each.name.c_str(), &found) == 0;
    if (is_there && !each.is_known) {
      each.is_known = true;
      each.device = found.st_dev;
      each.number = found.st_ino;
    }
    const bool is_same = is_there && found.st_dev == each.device && found.st_ino == each.number;
    if (each.is_known && !is_same)
      return fail(error_code::storage_failure,
                  "'" + each.name + "' was " + (is_there ? "replaced" : "deleted or moved") +
                      " while this node runs, so nothing that it writes would last; put the file "
                      "back, or save the values with 'troupe context export' and start anew");
  }
  return {};
}

}  // namespace troupe
