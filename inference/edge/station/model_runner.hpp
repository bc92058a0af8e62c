#pragma once
// The model as the agent sees it: something that can be opened, tested and run.
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "core/error.hpp"
#include "inference/edge/forecast/coastline.hpp"
#include "inference/edge/forecast/regional_forecast.hpp"

namespace zonda::edge {

/// A run that somebody asks for.
struct RunOrder {
  int level = 0;          ///< token level
  std::size_t steps = 0;  ///< at most, and as far as the feed reaches
  int member = 0;         ///< of an ensemble of initial states; 0: the feed's
};

class ModelRunner {
 public:
  virtual ~ModelRunner() = default;
  /// Runs the golden input of the bundle. Throws Error(numerical or data) where the output is not the golden one.
  virtual void self_test() = 0;
  /// One forecast from a feed file. Throws Error(data): a feed of another region or damaged; Error(numerical): the
  /// forecast left its bounds; Error(temporary): cancelled.
  virtual RegionalForecast run(const std::filesystem::path& feed, const std::function<bool()>& cancelled) = 0;
  /// The coast of its region, where it knows of land and sea.
  virtual std::vector<CoastSegment> coast() const { return {}; }
  /// What a step takes at each token level, s, as far as it is known; empty: it runs on schedule alone.
  virtual std::vector<double> step_seconds() const { return {}; }
  /// Beside run(), from any thread. Throws as run(), and Error(usage) for a level that the model does not have.
  virtual RegionalForecast run_on_demand(const std::filesystem::path&, const RunOrder&, const std::function<bool()>&) {
    fail(ErrorKind::usage, "this model runs on schedule alone");
  }
};

/// Reads of a bundle's folder what opening it soon needs, so that the opening is quick. Never throws: what is wrong,
/// OpenModel says.
using PrepareModel = std::function<void(const std::filesystem::path& bundle)>;
/// Opens a bundle's folder. Throws Error(data).
using OpenModel = std::function<std::shared_ptr<ModelRunner>(const std::filesystem::path& bundle)>;

}  // namespace zonda::edge
