#pragma once
// A forecast over a region as a station keeps and serves it.
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/grid.hpp"
#include "core/time.hpp"
#include "core/variables.hpp"

namespace zonda::edge {

/// Numbers that never change: of a vector, or of a mapped file. Copies share them.
class ForecastValues {
 public:
  ForecastValues() = default;
  ForecastValues(std::vector<float> values);
  ForecastValues(std::shared_ptr<const void> owner, std::span<const float> values)
      : owner_(std::move(owner)), values_(values) {}
  std::span<const float> span() const { return values_; }
  std::size_t size() const { return values_.size(); }

 private:
  std::shared_ptr<const void> owner_;
  std::span<const float> values_;
};

struct RegionalForecast {
  Grid grid;
  std::vector<Channel> channels;
  Time initial{};               ///< of the analysis the forecast starts from
  std::vector<Duration> leads;  ///< ascending, from 0 (the initial state, where it is kept) on
  ForecastValues values;        ///< [lead, channel, lat, lon], SI
  std::string model;            ///< bundle: `name version sha256`
  std::string feed;             ///< boundary feed the region was run in
  int level = 0;                ///< token level, 0 = every token
  double level_skill = 1;       ///< measured skill of that level against level 0: ratio of RMSE, 1 = none lost
  Time computed{};              ///< when the run ended

  explicit RegionalForecast(Grid grid_) : grid(std::move(grid_)) {}
  /// [lat, lon]
  std::span<const float> field(std::size_t lead, std::size_t channel) const {
    return values.span().subspan((lead * channels.size() + channel) * grid.size(), grid.size());
  }
  Time valid(std::size_t lead) const { return initial + leads[lead]; }
  Time end() const { return initial + leads.back(); }
  /// Sizes agree, leads ascend, channels differ. Throws Error(data) naming what does not fit; Error(numerical) naming
  /// channel and lead of a value that is not finite.
  void check() const;
};

}  // namespace zonda::edge
