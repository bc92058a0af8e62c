#include "model/network/device_plan.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "core/error.hpp"
#include "core/grid.hpp"

namespace zonda::model {

namespace {

/// Numbers of the largest unit: a block, the embedding, the head.
std::size_t largest_unit(const ParameterStore& store) {
  std::map<std::string, std::size_t> units;
  for (const Parameter& p : store.list())
    units[p.name.substr(0, p.name.find('.'))] += static_cast<std::size_t>(p.count);
  std::size_t largest = 0;
  for (const auto& [name, count] : units) largest = std::max(largest, count);
  return largest;
}

RecomputePolicy policy_of(const ForecastNetwork& network, const std::string& recompute) {
  const int layers = network.shape().layers();
  if (recompute == "none") return {0, 0};
  if (recompute == "mlp") return {0, layers};
  if (recompute == "block") return {layers, 0};
  const std::vector<std::string> known{"none", "mlp", "block"};
  fail(ErrorKind::usage, "network: {}", unknown_word("recomputation", recompute, known));
}

}  // namespace

DevicePlan plan_devices(const ForecastNetwork& network, const std::string& recompute, int batch,
                        std::size_t device_bytes) {
  DevicePlan plan;
  plan.memory = network.memory_with(policy_of(network, recompute), batch, Use::training);
  const auto channels = static_cast<std::size_t>(network.input_channels() + 2 * network.output_channels());
  plan.fields = static_cast<std::size_t>(batch) * channels * network.grid().size() * size_of(network.dtype());
  plan.divided = plan.memory.total() + plan.fields;
  plan.whole = largest_unit(network.parameters()) * (2 * size_of(network.trunk()) + size_of(network.dtype()));
  const double room = device_share * static_cast<double>(device_bytes) - static_cast<double>(plan.whole);
  if (room > 0) plan.devices = static_cast<int>(std::ceil(static_cast<double>(plan.divided) / room));
  return plan;
}

}  // namespace zonda::model
