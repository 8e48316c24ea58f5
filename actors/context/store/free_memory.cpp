#include <troupe/actors/context/store/free_memory.hpp>

#include <cstddef>

#include <malloc.h>

// Of mimalloc. Null in programs that do not use it.
extern "C" void mi_collect(bool force) noexcept __attribute__((weak));

namespace troupe {

bool give_back_free_memory() noexcept {
  if (mi_collect) {  // which keeps what a thread has used for that thread
    mi_collect(true);
    return true;
  }
#ifdef __GLIBC__
  constexpr std::size_t worth_it = std::size_t{16} << 20;
  const auto heap = ::mallinfo2();
  if (heap.fordblks > worth_it && heap.fordblks > heap.uordblks / 2) ::malloc_trim(0);
#endif
  return false;
}

}  // namespace troupe
