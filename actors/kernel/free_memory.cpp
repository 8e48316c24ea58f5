#include <troupe/actors/kernel/free_memory.hpp>

#include <cstddef>

#include <malloc.h>

#include <caf/actor_system.hpp>
#include <caf/io/middleman.hpp>
#include <caf/io/network/multiplexer.hpp>

// Of mimalloc. Null in programs that do not use it.
extern "C" void mi_collect(bool force) noexcept __attribute__((weak));
extern "C" void mi_thread_done() noexcept __attribute__((weak));
extern "C" void mi_thread_init() noexcept __attribute__((weak));

namespace troupe {

bool give_back_free_memory() noexcept {
  if (mi_collect && mi_thread_done && mi_thread_init) {
    // It keeps what a thread has used for that thread, also what `mi_collect` finds free in the
    // middle of a segment. So the thread gives up all of it, as at its end; that is then collected,
    // and the thread takes what it needs when it goes on.
    mi_thread_done();
    mi_thread_init();
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

void give_back_free_memory_of_io(caf::actor_system& system) {
  if (system.has_middleman()) system.middleman().backend().post([] { give_back_free_memory(); });
}

}  // namespace troupe
