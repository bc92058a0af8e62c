#include "postproc/maps/coastlines.hpp"

#include <cstddef>
#include <cstdint>
#include <iterator>

namespace zonda::postproc {
namespace {

constexpr std::int16_t packed[] = {
#include "postproc/maps/coastlines_110m.inc"
};

}  // namespace

const std::vector<std::vector<GeoPoint>>& coastlines() {
  static const std::vector<std::vector<GeoPoint>> lines = [] {
    std::vector<std::vector<GeoPoint>> result;
    for (std::size_t at = 0; at < std::size(packed);) {
      const auto count = static_cast<std::size_t>(packed[at++]);
      auto& line = result.emplace_back();
      for (std::size_t i = 0; i < count; ++i, at += 2) line.push_back({packed[at + 1] / 100.0, packed[at] / 100.0});
    }
    return result;
  }();
  return lines;
}

}  // namespace zonda::postproc
