#include "model/forecast_state/layout_network.hpp"

#include <set>

namespace zonda::model {

std::vector<int> input_levels(const ForecastLayout& layout) {
  std::vector<int> hpa;  // of one state's prognostic channels; 0 without a level
  for (const Channel& channel : layout.channels)
    if (!channel.info().accumulated) hpa.push_back(channel.level_hpa);
  const std::size_t rest = layout.static_channels.size() + 2 * layout.forcings.size();
  std::set<int> known(hpa.begin(), hpa.end());
  if (rest > 0 || layout.boundary) known.insert(0);
  std::vector<int> levels;
  for (int time = 0; time < 2; ++time)
    for (const int level : hpa) levels.push_back(static_cast<int>(std::distance(known.begin(), known.find(level))));
  levels.insert(levels.end(), rest, 0);
  if (!layout.boundary) return levels;
  const std::vector<int> host(levels.begin(), levels.end() - static_cast<std::ptrdiff_t>(rest));  // at t and t + d
  levels.insert(levels.end(), host.begin(), host.end());
  levels.push_back(0);
  return levels;
}

ForecastNetwork network_of_layout(const NetworkConfig& config, const ForecastLayout& layout,
                                  std::shared_ptr<Backend> backend, const Sharding& sharding) {
  return ForecastNetwork(config, layout.grid, static_cast<int>(layout.input_channels()),
                         static_cast<int>(layout.output_channels()), static_cast<int>(ForecastLayout::condition_size),
                         DType::f32, std::move(backend), input_levels(layout), sharding);
}

}  // namespace zonda::model
