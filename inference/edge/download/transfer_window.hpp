#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "core/time.hpp"

namespace zonda::edge {

/// When large transfers may run, and how fast: a link that people need by day is used by night.
class TransferWindow {
 public:
  /// Always, as fast as `bytes_per_second` (0: as fast as the link goes).
  explicit TransferWindow(std::uint64_t bytes_per_second = 0) : inside_(bytes_per_second) {}
  /// `hours`: `22:00-05:30` UTC of every day, across midnight or not. Throws Error(usage).
  TransferWindow(std::string_view hours, std::uint64_t bytes_per_second);
  bool open(Time now) const;
  /// Until it opens; 0 while it is open.
  Duration until_open(Time now) const;
  std::uint64_t bytes_per_second() const { return inside_; }

 private:
  int from_minute_ = 0, to_minute_ = 0;  // of the day; equal: always open
  std::uint64_t inside_ = 0;
};

}  // namespace zonda::edge
