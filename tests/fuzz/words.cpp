// Any bytes as the small texts of run files and data files: dates, durations, units, grids, channels.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/error.hpp"
#include "core/grid.hpp"
#include "core/time.hpp"
#include "core/variables.hpp"

namespace {

using namespace zonda;

/// Runs `read`; only an Error of `kind` may come out.
template <class Read>
void refused_or_read(ErrorKind kind, Read read) {
  try {
    read();
  } catch (const Error& error) {
    if (error.kind() != kind) std::abort();
  }
}

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  refused_or_read(ErrorKind::usage, [&] {
    const Time time = parse_time(text);
    require(parse_time(to_string(time)) == time);
  });
  refused_or_read(ErrorKind::usage, [&] {
    const Duration duration = parse_duration(text);
    require(duration.count() >= 0);
    require(duration.count() > 1'000'000'000'000 || parse_duration(to_string(duration)) == duration);
  });
  refused_or_read(ErrorKind::data, [&] { parse_time_unit(text).decode(1.5); });
  refused_or_read(ErrorKind::usage, [&] {
    const Channel channel = parse_channel(text);
    require(parse_channel(channel.name()) == channel);
  });
  // Large grids are right, but slow to make.
  for (std::size_t i = 0, run = 0; i < text.size(); ++i) {
    run = text[i] >= '0' && text[i] <= '9' ? run + 1 : 0;
    if (run > 3) return 0;
  }
  refused_or_read(ErrorKind::usage, [&] {
    const Grid grid = Grid::parse(text);
    require(Grid::parse(grid.to_string()) == grid);
    double area = 0;
    for (std::size_t row = 0; row < grid.nlat(); ++row) area += grid.cell_area(row);
    require(area > 0);
  });
  return 0;
}
