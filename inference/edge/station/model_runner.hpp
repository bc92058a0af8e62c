#pragma once
// The model as the agent sees it: something that can be opened, tested and run.
#include <filesystem>
#include <functional>
#include <memory>

#include "inference/edge/forecast/regional_forecast.hpp"

namespace zonda::edge {

class ModelRunner {
 public:
  virtual ~ModelRunner() = default;
  /// Runs the golden input of the bundle. Throws Error(numerical or data) where the output is not the golden one.
  virtual void self_test() = 0;
  /// One forecast from a feed file. Throws Error(data): a feed of another region or damaged; Error(numerical): the
  /// forecast left its bounds; Error(temporary): cancelled.
  virtual RegionalForecast run(const std::filesystem::path& feed, const std::function<bool()>& cancelled) = 0;
};

/// Opens a bundle's folder. Throws Error(data).
using OpenModel = std::function<std::shared_ptr<ModelRunner>(const std::filesystem::path& bundle)>;

}  // namespace zonda::edge
