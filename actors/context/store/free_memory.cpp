#include <troupe/actors/context/store/free_memory.hpp>

#include <cstddef>

#include <malloc.h>

namespace troupe {

void give_back_free_memory() noexcept {
#ifdef __GLIBC__
  constexpr std::size_t worth_it = std::size_t{16} << 20;
  const auto heap = ::mallinfo2();
  if (heap.fordblks > worth_it && heap.fordblks > heap.uordblks / 2) ::malloc_trim(0);
#endif
}

}  // namespace troupe
