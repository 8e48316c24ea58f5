#include <troupe/actors/context/store/wal_check.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <map>
#include <span>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <troupe/plugins/unique_fd.hpp>

namespace troupe {

namespace {

constexpr std::size_t header_bytes = 32, frame_header_bytes = 24;
constexpr std::uint32_t magic_without_order = 0x377f0682;
constexpr std::uint32_t only_version = 3007000;

using bytes = std::span<const unsigned char>;

std::uint32_t big_endian(bytes from, std::size_t at) {
  return std::uint32_t{from[at]} << 24 | std::uint32_t{from[at + 1]} << 16 |
         std::uint32_t{from[at + 2]} << 8 | std::uint32_t{from[at + 3]};
}

/// The running checksum of a file: two sums over its words.
struct checksum {
  std::uint32_t first = 0, second = 0;

  void add(bytes words, bool is_big_endian) {
    const auto word = [&](std::size_t at) {
      const auto number = big_endian(words, at);
      return is_big_endian ? number : __builtin_bswap32(number);
    };
    for (std::size_t at = 0; at < words.size(); at += 8) {
      first += word(at) + second;
      second += word(at + 4) + first;
    }
  }
  bool is_at(bytes from, std::size_t at) const {
    return first == big_endian(from, at) && second == big_endian(from, at + 4);
  }
};

/// Reads all that is wanted; fewer bytes at the end of the file.
result<std::size_t> read_all(int file, std::span<unsigned char> into) {
  std::size_t done = 0;
  while (done < into.size()) {
    const auto count = ::read(file, into.data() + done, into.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(error_code::storage_failure, std::generic_category().message(errno));
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  return done;
}

/// What the frames say, one after the other.
class frame_walk {
public:
  /// @param header of the file.
  explicit frame_walk(bytes header)
      : salts_{big_endian(header, 16), big_endian(header, 20)},
        is_big_endian_((big_endian(header, 0) & 1) != 0),
        header_is_zero_(std::ranges::all_of(header, [](unsigned char each) { return each == 0; })) {
    sum_.add(header.first(24), is_big_endian_);
    header_is_sound_ = (big_endian(header, 0) & ~1U) == magic_without_order &&
                       big_endian(header, 4) == only_version && sum_.is_at(header, 24);
    is_chained_ = header_is_sound_;
  }

  bool has_sound_header() const noexcept { return header_is_sound_; }
  void take(bytes frame) {
    ++frames_;
    const salts_of_file salts{big_endian(frame, 8), big_endian(frame, 12)};
    if (!header_is_sound_) return note(salts, ends_commit(frame));
    if (is_chained_) {
      sum_.add(frame.first(8), is_big_endian_);
      sum_.add(frame.subspan(frame_header_bytes), is_big_endian_);
      if (salts == salts_ && sum_.is_at(frame, 16)) return;
      is_chained_ = false;
      bad_ = frames_;
      bad_is_commit_ = salts == salts_ && ends_commit(frame);
      return;
    }
    if (salts != salts_) return;
    has_begun_another_ = has_begun_another_ || commits_behind_ > 0 || bad_is_commit_;
    if (ends_commit(frame)) ++commits_behind_;
  }

  std::optional<wal_damage> damage() const {
    if (!header_is_sound_) return damage_behind_header();
    if (commits_behind_ == 0) return std::nullopt;
    return wal_damage{bad_, commits_behind_, has_begun_another_};
  }

private:
  using salts_of_file = std::array<std::uint32_t, 2>;
  struct generation {
    std::uint64_t frames = 0, commits = 0;
  };

  static bool ends_commit(bytes frame) { return big_endian(frame, 4) != 0; }

  /// Behind a damaged header, the frames themselves say which belong together.
  void note(const salts_of_file& salts, bool commits) {
    if (generations_.size() >= max_generations && !generations_.contains(salts)) return;
    auto& each = generations_[salts];
    ++each.frames;
    each.commits += commits ? 1 : 0;
  }
  /// A header that has kept one of its salts was damaged, and so was one of zeros: nobody writes
  /// that. Any other may have been cut off when the file was begun anew, and the frames are of
  /// before.
  std::optional<wal_damage> damage_behind_header() const {
    const auto is_known = [&](const auto& each) {
      return each.first[0] == salts_[0] || each.first[1] == salts_[1];
    };
    const auto rank = [&](const auto& each) {
      const auto& [frames, commits] = each.second;
      return std::tuple{commits > 0, is_known(each), commits, frames};
    };
    const auto found = std::ranges::max_element(generations_, {}, rank);
    if (found == generations_.end() || found->second.commits == 0) return std::nullopt;
    // One frame alone may be anything.
    if (!is_known(*found) && found->second.frames < 2) return std::nullopt;
    return wal_damage{0, found->second.commits, is_known(*found) || header_is_zero_};
  }

  static constexpr std::size_t max_generations = 1024;

  salts_of_file salts_;
  bool is_big_endian_, header_is_zero_, header_is_sound_ = false, is_chained_ = false;
  checksum sum_;
  std::uint64_t frames_ = 0, bad_ = 0;
  std::uint64_t commits_behind_ = 0;  ///< Of this generation, behind the bad frame.
  bool bad_is_commit_ = false;
  bool has_begun_another_ = false;  ///< Behind the end of a commit that is lost.
  std::map<salts_of_file, generation> generations_;
};

/// The bytes of a page as the database says; nothing when it does not.
std::optional<std::uint32_t> page_bytes_of(const std::string& database) {
  const unique_fd opened{::open(database.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
  std::array<unsigned char, 18> start;
  if (opened.get() < 0 || read_all(opened.get(), start).value_or(0) < start.size())
    return std::nullopt;
  const auto stated = std::uint32_t{start[16]} << 8 | start[17];
  return stated == 1 ? 65536 : stated;
}

}  // namespace

std::string describe(const wal_damage& damage) {
  const auto where =
      damage.frame == 0 ? "in its header" : "at frame " + std::to_string(damage.frame);
  return "the write-ahead file was damaged " + where + ", and at least " +
         std::to_string(damage.commits) + " commits behind that " +
         (damage.is_certain ? "are lost" : "are lost, unless a power cut had left them unfinished");
}

result<std::optional<wal_damage>> find_wal_damage(const std::string& database) {
  const auto file = database + "-wal";
  const auto unreadable = [&](const std::string& why) {
    return fail(error_code::storage_failure, "'" + file + "' cannot be read: " + why);
  };
  const unique_fd opened{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
  if (opened.get() < 0 && errno == ENOENT) return std::nullopt;
  if (opened.get() < 0) return unreadable(std::generic_category().message(errno));
  std::array<unsigned char, header_bytes> header;
  const auto read = read_all(opened.get(), header);
  if (!read) return unreadable(read.error().message);
  if (*read < header_bytes) return std::nullopt;
  frame_walk walk{header};
  const auto stated = big_endian(header, 8);
  const auto page = walk.has_sound_header() ? stated : page_bytes_of(database).value_or(stated);
  const bool is_page = page >= 512 && page <= 65536 && (page & (page - 1)) == 0;
  if (!is_page) return std::nullopt;
  std::vector<unsigned char> frame(frame_header_bytes + page);
  while (true) {
    const auto more = read_all(opened.get(), frame);
    if (!more) return unreadable(more.error().message);
    if (*more < frame.size()) return walk.damage();
    walk.take(frame);
  }
}

// -- wrong bits -----------------------------------------------------------------------------------

namespace {

/// Of one file; more is no accident of single bits.
constexpr unsigned max_repairs = 64;

/// The frames of a file, and what they should continue from.
class repaired_file {
public:
  repaired_file(int file, std::array<unsigned char, header_bytes> header, std::uint32_t page)
      : file_(file), header_(header), frame_(frame_header_bytes + page), next_(frame_.size()) {}

  /// @returns how many bits were wrong.
  result<unsigned> run() {
    unsigned repaired = 0;
    if (!read(1, next_)) return 0U;
    if (!header_sum()) {
      if (!repair(header_, 0, [&] { return fits(header_sum(), next_); })) return outcome(0);
      ++repaired;
    }
    auto sum = header_sum();
    for (std::uint64_t number = 1; sum && repaired < max_repairs; ++number) {
      if (!read(number, frame_)) return repaired;
      const bool has_next = read(number + 1, next_);
      if (!fits(sum, frame_)) {
        // The last frame has nothing behind it that could tell.
        const auto goes_on = [&] { return fits(sum, frame_) && fits(stored(frame_), next_); };
        if (!has_next || !repair(frame_, place_of(number), goes_on)) return outcome(repaired);
        ++repaired;
      }
      sum = stored(frame_);
    }
    return outcome(repaired);
  }

private:
  result<unsigned> outcome(unsigned repaired) {
    if (failure_) return fail(std::move(*failure_));
    return repaired;
  }
  /// The checksum that the first frame continues from, if the header is sound.
  std::optional<checksum> header_sum() const {
    const frame_walk walk{header_};
    if (!walk.has_sound_header()) return std::nullopt;
    return checksum{big_endian(header_, 24), big_endian(header_, 28)};
  }
  static std::optional<checksum> stored(bytes frame) {
    return checksum{big_endian(frame, 16), big_endian(frame, 20)};
  }
  /// Whether a frame is of this generation and continues from a checksum.
  bool fits(std::optional<checksum> sum, bytes frame) const {
    const bool is_current = std::ranges::equal(frame.subspan(8, 8), bytes{header_}.subspan(16, 8));
    if (!sum || !is_current) return false;
    const bool is_big_endian = (big_endian(header_, 0) & 1) != 0;
    sum->add(frame.first(8), is_big_endian);
    sum->add(frame.subspan(frame_header_bytes), is_big_endian);
    return sum->is_at(frame, 16);
  }
  std::uint64_t place_of(std::uint64_t number) const {
    return header_bytes + (number - 1) * frame_.size();
  }
  bool read(std::uint64_t number, std::vector<unsigned char>& into) const {
    const auto at = static_cast<off_t>(place_of(number));
    return ::pread(file_, into.data(), into.size(), at) == static_cast<ssize_t>(into.size());
  }
  /// Looks for the bit with which it fits, and writes it. The checksum is a sum: a change of the
  /// upper bits of one word may look like that of another one. Then nothing is changed.
  bool repair(std::span<unsigned char> wrong, std::uint64_t place,
              const std::function<bool()>& fits_now) {
    std::optional<std::pair<std::size_t, unsigned char>> found;
    for (std::size_t at = 0; at < wrong.size(); ++at)
      for (int bit = 0; bit < 8; ++bit) {
        const auto before = wrong[at];
        wrong[at] = static_cast<unsigned char>(before ^ (1 << bit));
        const bool is_right = fits_now();
        if (is_right && found) return wrong[at] = before, false;
        if (is_right) found = {at, wrong[at]};
        wrong[at] = before;
      }
    if (!found) return false;
    const auto [at, right] = *found;
    wrong[at] = right;
    if (::pwrite(file_, &right, 1, static_cast<off_t>(place + at)) == 1 && ::fdatasync(file_) == 0)
      return true;
    failure_ = error{error_code::storage_failure, std::generic_category().message(errno), {}};
    return false;
  }

  int file_;
  std::array<unsigned char, header_bytes> header_;
  std::vector<unsigned char> frame_, next_;
  std::optional<error> failure_;
};

}  // namespace

result<unsigned> repair_wal(const std::string& database) {
  const auto file = database + "-wal";
  const unique_fd opened{::open(file.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW)};
  std::array<unsigned char, header_bytes> header;
  if (opened.get() < 0 || read_all(opened.get(), header).value_or(0) < header_bytes)
    return fail(error_code::storage_failure, "'" + file + "' cannot be opened");
  const auto stated = big_endian(header, 8);
  const auto page =
      frame_walk{header}.has_sound_header() ? stated : page_bytes_of(database).value_or(stated);
  const bool is_page = page >= 512 && page <= 65536 && (page & (page - 1)) == 0;
  if (!is_page) return 0U;
  return repaired_file{opened.get(), header, page}.run();
}

}  // namespace troupe
