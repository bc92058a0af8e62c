#pragma once
// Fields of a region from those of the grid that its host has: what a limited-area model learns from, is started from
// and is forced by. One rule for all three, so that they agree to the last bit.
#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/grid.hpp"
#include "core/wind_axes.hpp"

namespace zonda::ingest {

/// Where the region is a part of the host's grid its cells are taken as they are. On a projected region values are
/// interpolated bilinearly in latitude and longitude where its cells are no larger than the host's at its centre, else
/// they are means over its cells (first order conservative, Jones 1999: cells of the host are taken as constant; the
/// region's edges, curved in longitude and the sine of latitude, as eight straight pieces each). A regular value type,
/// thread safe; a missing value (NaN) makes missing what it enters.
class RegionRegridder {
 public:
  enum class Method { window, bilinear, conservative };
  /// Throws Error(data) naming `host_name` where the region is neither projected nor a part of the host's grid, or
  /// reaches beyond it; conservative: where a cell holds a pole.
  RegionRegridder(const Grid& host, const Grid& region, std::string_view host_name);
  /// With a method of one's own; `window` only for parts of the host's grid.
  RegionRegridder(const Grid& host, const Grid& region, std::string_view host_name, Method method);

  const Grid& region() const { return region_; }
  Method method() const { return method_; }
  /// `[lat, lon]` of the host -> `[lat, lon]` of the region.
  void scalar(std::span<const float> host, std::span<float> region) const;
  /// True eastward and northward components, interpolated as vectors in space.
  void wind(std::span<const float> u, std::span<const float> v, std::span<float> region_u,
            std::span<float> region_v) const;
  /// `[channel, lat, lon]`, winds by pairs, true components on both.
  void state(std::span<const WindPair> pairs, std::span<const float> host, std::span<float> region) const;

  /// The cells of the host that a cell of the region is made of, and how much each counts; the weights' sum is 1.
  struct Share {
    std::uint32_t cell;
    double weight;
  };
  std::span<const Share> shares(std::size_t cell) const {
    return std::span(shares_).subspan(begin_[cell], begin_[cell + 1] - begin_[cell]);
  }

 private:
  void take_window(std::string_view host_name);
  void interpolate(std::string_view host_name);
  void average(std::string_view host_name);
  void turn_shares();

  Grid host_, region_;
  Method method_;
  std::vector<std::size_t> begin_{0};  // compressed sparse rows
  std::vector<Share> shares_;
  std::vector<std::array<double, 4>> turns_;  // of each share: east from (u, v), north from (u, v), by its weight
};

}  // namespace zonda::ingest
