#include "core/share.hpp"

#include <charconv>

#include "core/error.hpp"

namespace zonda {

std::string Share::to_string() const {
  return fmt::format("{}/{}", i, of);
}

Share parse_share(std::string_view text) {
  Share share;
  const char* end = text.data() + text.size();
  const auto [slash, first] = std::from_chars(text.data(), end, share.i);
  if (first == std::errc() && slash != end && *slash == '/') {
    const auto [rest, second] = std::from_chars(slash + 1, end, share.of);
    if (second == std::errc() && rest == end && share.i < share.of) return share;
  }
  fail(ErrorKind::usage, "--share '{}': expected i/N with 0 <= i < N, such as 3/16", text);
}

}  // namespace zonda
