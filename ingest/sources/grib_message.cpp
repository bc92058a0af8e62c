#include "ingest/sources/grib_message.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <optional>
#include <string_view>

#include "core/error.hpp"

namespace zonda::ingest {
namespace {

/// A WMO bulletin header or block padding between messages is shorter.
constexpr std::uint64_t longest_gap = 4096;
constexpr std::size_t longest_header = 256;

std::uint64_t big_endian(std::span<const std::byte> bytes, std::size_t at, std::size_t width) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < width; ++i) value = value << 8 | std::to_integer<std::uint64_t>(bytes[at + i]);
  return value;
}

bool text_at(std::span<const std::byte> bytes, std::size_t at, std::string_view text) {
  return at + text.size() <= bytes.size() && std::memcmp(bytes.data() + at, text.data(), text.size()) == 0;
}

class GribFile {
 public:
  explicit GribFile(const std::filesystem::path& path) : path_(path), file_(path, std::ios::binary) {
    std::error_code error;
    size_ = std::filesystem::file_size(path, error);
    if (!file_ || error) fail(ErrorKind::data, "{}: cannot be read", path.string());
  }

  std::vector<GribMessage> scan() {
    std::vector<GribMessage> messages;
    std::uint64_t at = 0;
    while (at < size_) {
      const std::optional<std::uint64_t> begin = next_start(at);
      const std::size_t number = messages.size() + 1;
      check_gap(at, begin.value_or(size_), number);
      if (!begin) break;
      const std::uint64_t length = length_of(*begin, number);
      if (length < 16 || length > size_ - *begin) {
        damaged(number, *begin,
                fmt::format("its length is {} bytes, but the file has {} left", length, size_ - *begin));
      }
      if (const auto end = bytes(*begin + length - 4, 4); !text_at(end, 0, "7777")) {
        damaged(number, *begin, fmt::format("it does not end in '7777' after its {} bytes", length));
      }
      messages.push_back({number, *begin, length});
      at = *begin + length;
    }
    return messages;
  }

  std::vector<std::byte> bytes(std::uint64_t at, std::uint64_t count) {
    std::vector<std::byte> buffer(static_cast<std::size_t>(count));
    file_.clear();
    file_.seekg(static_cast<std::streamoff>(at));
    file_.read(reinterpret_cast<char*>(buffer.data()), static_cast<std::streamsize>(count));
    if (!file_) fail(ErrorKind::data, "{}: {} bytes at offset {} cannot be read", path_.string(), count, at);
    return buffer;
  }

 private:
  [[noreturn]] void damaged(std::size_t number, std::uint64_t offset, const std::string& why) const {
    fail(ErrorKind::data, "{}: message {} at byte {} is damaged: {}", path_.string(), number, offset, why);
  }

  std::optional<std::uint64_t> next_start(std::uint64_t at) {
    constexpr std::uint64_t block = 1u << 16;
    while (at + 4 <= size_) {
      const auto window = bytes(at, std::min(block, size_ - at));
      for (std::size_t i = 0; i + 4 <= window.size(); ++i) {
        if (text_at(window, i, "GRIB")) return at + i;
      }
      at += window.size() - 3;
    }
    return std::nullopt;
  }

  void check_gap(std::uint64_t from, std::uint64_t to, std::size_t number) {
    if (from == to) return;
    const auto first = bytes(from, std::min(longest_gap, to - from));
    const bool empty = std::all_of(first.begin() + static_cast<std::ptrdiff_t>(std::min(first.size(), longest_header)),
                                   first.end(), [](std::byte b) { return b == std::byte{0}; });
    const auto last = to - from >= 4 ? bytes(to - 4, 4) : first;
    if ((to - from > longest_gap && !empty) || text_at(last, 0, "7777")) {
      damaged(number, from, fmt::format("{} bytes that do not begin with 'GRIB'", to - from));
    }
  }

  std::uint64_t length_of(std::uint64_t at, std::size_t number) {
    if (size_ - at < 16) damaged(number, at, "the file ends within its first 16 bytes");
    const auto head = bytes(at, 16);
    const auto edition = std::to_integer<int>(head[7]);
    if (edition == 2) return big_endian(head, 8, 8);
    if (edition != 1) damaged(number, at, fmt::format("edition {}, expected 1 or 2", edition));
    const std::uint64_t length = big_endian(head, 4, 3);
    if ((length & 0x800000) == 0) return length;
    // ECMWF's way beyond 8 MiB: the length counts in 120 bytes, less what section 4's length tells.
    std::uint64_t section = at + 8;
    const auto first = bytes(section, 8);
    const auto flags = std::to_integer<unsigned>(first[7]);
    section += big_endian(first, 0, 3);
    for (const unsigned present : {0x80u, 0x40u}) {
      if ((flags & present) == 0) continue;
      if (section + 3 > size_) damaged(number, at, "its sections reach beyond the file");
      section += big_endian(bytes(section, 3), 0, 3);
    }
    if (section + 3 > size_) damaged(number, at, "its sections reach beyond the file");
    const std::uint64_t short_of = big_endian(bytes(section, 3), 0, 3);
    const std::uint64_t whole = (length & 0x7FFFFF) * 120;
    return short_of < 120 && whole > short_of ? whole - short_of + 4 : length;
  }

  std::filesystem::path path_;
  std::ifstream file_;
  std::uint64_t size_ = 0;
};

void check_grib1(std::span<const std::byte> message) {
  const auto too_short = [] { fail(ErrorKind::data, "its sections do not fit into the message"); };
  if (message.size() < 8 + 28 + 11 + 4) too_short();
  std::size_t at = 8;
  const auto flags = std::to_integer<unsigned>(message[at + 7]);
  const auto step = [&](std::size_t least) {
    if (at + 3 > message.size()) too_short();
    const std::size_t length = big_endian(message, at, 3);
    if (length < least || length > message.size() - at) too_short();
    at += length;
  };
  step(28);
  if ((flags & 0x80) != 0) step(28);
  if ((flags & 0x40) != 0) step(6);
  const bool large = (big_endian(message, 4, 3) & 0x800000) != 0;
  if (!large) step(11);
  if (at > message.size() - 4) too_short();
}

}  // namespace

std::vector<GribMessage> scan_grib(const std::filesystem::path& path) {
  auto messages = GribFile(path).scan();
  if (messages.empty()) fail(ErrorKind::data, "{}: no GRIB message in this file", path.string());
  return messages;
}

std::vector<std::byte> read_grib_message(const std::filesystem::path& path, const GribMessage& message) {
  return GribFile(path).bytes(message.offset, message.length);
}

std::vector<std::vector<std::byte>> split_grib_fields(std::span<const std::byte> message) {
  if (message.size() < 20 || !text_at(message, 0, "GRIB") || !text_at(message, message.size() - 4, "7777"))
    fail(ErrorKind::data, "it is no GRIB message");
  if (std::to_integer<int>(message[7]) == 1) {
    check_grib1(message);
    return {{message.begin(), message.end()}};
  }
  // Shortest lengths of sections 1 to 7 in any template.
  constexpr std::array<std::size_t, 8> least{0, 21, 5, 15, 10, 11, 6, 5};
  std::array<std::span<const std::byte>, 8> sections{};
  std::span<const std::byte> bitmap;
  std::vector<std::vector<std::byte>> fields;
  std::size_t at = 16;
  while (at + 4 < message.size()) {
    if (at + 5 > message.size() - 4) fail(ErrorKind::data, "a section begins {} bytes into it, at its end", at);
    const std::size_t length = big_endian(message, at, 4);
    const auto number = std::to_integer<std::size_t>(message[at + 4]);
    if (number < 1 || number > 7) fail(ErrorKind::data, "a section {} stands {} bytes into it", number, at);
    if (length < least[number] || length > message.size() - 4 - at)
      fail(ErrorKind::data, "section {} has {} bytes, which do not fit into it", number, length);
    sections[number] = message.subspan(at, length);
    at += length;
    if (number == 6) {
      const auto indicator = std::to_integer<unsigned>(sections[6][5]);
      if (indicator == 0) bitmap = sections[6];
      if (indicator == 254) {
        if (bitmap.empty()) fail(ErrorKind::data, "section 6 refers to a bit map that is not there");
        sections[6] = bitmap;
      }
    }
    if (number != 7) continue;
    std::vector<std::byte> field(message.begin(), message.begin() + 16);
    for (const std::size_t part : {1, 2, 3, 4, 5, 6, 7}) {
      if (sections[part].empty() && part != 2) fail(ErrorKind::data, "section {} is missing", part);
      field.insert(field.end(), sections[part].begin(), sections[part].end());
    }
    for (int i = 0; i < 4; ++i) field.push_back(std::byte{'7'});
    for (std::size_t i = 0; i < 8; ++i) field[8 + i] = static_cast<std::byte>(field.size() >> (8 * (7 - i)) & 0xFF);
    fields.push_back(std::move(field));
  }
  if (fields.empty()) fail(ErrorKind::data, "it holds no field");
  return fields;
}

}  // namespace zonda::ingest
