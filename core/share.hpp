#pragma once
// A share of work that independent jobs divide among them: `3/16` is the fourth of sixteen.
#include <cstddef>
#include <string>
#include <string_view>

namespace zonda {

/// `i` of `of`, counted from 0.
struct Share {
  std::size_t i = 0, of = 1;
  bool whole() const { return of == 1; }
  std::string to_string() const;  ///< `3/16`
};

/// Throws Error(usage) unless `text` is i/N with 0 <= i < N.
Share parse_share(std::string_view text);

}  // namespace zonda
