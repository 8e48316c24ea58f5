#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>

namespace troupe {

/// The bytes of a value that is too long to be moved about in a leaf. Immutable and counted; leaves
/// keep the bare pointer in their bytes. May be shared between threads.
class shared_value {
public:
  /// With one reference.
  static shared_value* make(std::string_view bytes) {
    auto* memory = ::operator new(sizeof(shared_value) + bytes.size());
    std::memcpy(static_cast<char*>(memory) + sizeof(shared_value), bytes.data(), bytes.size());
    return new (memory) shared_value{bytes.size()};
  }
  shared_value(const shared_value&) = delete;
  shared_value& operator=(const shared_value&) = delete;

  void add_reference() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void drop_reference() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    this->~shared_value();
    ::operator delete(this);
  }

  std::string_view bytes() const noexcept {
    return {reinterpret_cast<const char*>(this + 1), size_};
  }

private:
  explicit shared_value(std::size_t size) noexcept : size_(static_cast<std::uint32_t>(size)) {}
  ~shared_value() = default;

  std::atomic<std::uint32_t> references_{1};
  std::uint32_t size_;
};

}  // namespace troupe
