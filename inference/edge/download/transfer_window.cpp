#include "inference/edge/download/transfer_window.hpp"

#include <charconv>

#include "core/error.hpp"

namespace zonda::edge {
namespace {

int minute_of_day(std::string_view text, std::string_view whole) {
  const auto number = [&](std::string_view digits, int limit) {
    int value = -1;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (digits.size() != 2 || error != std::errc() || end != digits.data() + digits.size() || value < 0 ||
        value >= limit)
      fail(ErrorKind::usage, "'{}' is no window of the day; expected hours and minutes, UTC, such as 22:00-05:30",
           whole);
    return value;
  };
  if (text.size() != 5 || text[2] != ':') number("", 0);
  return number(text.substr(0, 2), 24) * 60 + number(text.substr(3, 2), 60);
}

}  // namespace

TransferWindow::TransferWindow(std::string_view hours, std::uint64_t bytes_per_second) : inside_(bytes_per_second) {
  if (hours.size() != 11 || hours[5] != '-')
    fail(ErrorKind::usage, "'{}' is no window of the day; expected hours and minutes, UTC, such as 22:00-05:30", hours);
  from_minute_ = minute_of_day(hours.substr(0, 5), hours);
  to_minute_ = minute_of_day(hours.substr(6, 5), hours);
}

bool TransferWindow::open(Time now) const {
  return until_open(now) == Duration(0);
}

Duration TransferWindow::until_open(Time now) const {
  if (from_minute_ == to_minute_) return Duration(0);
  const auto second = static_cast<int>(second_of_day(now));
  const int from = from_minute_ * 60, to = to_minute_ * 60;
  const bool inside = from < to ? second >= from && second < to : second >= from || second < to;
  if (inside) return Duration(0);
  return Duration((from - second + 86400) % 86400);
}

}  // namespace zonda::edge
