#pragma once
// Boundary feeds from a forecast of the host model.
#include <filesystem>
#include <string>
#include <vector>

#include "core/grid.hpp"
#include "core/time.hpp"
#include "core/variables.hpp"
#include "inference/edge/feed/boundary_feed.hpp"

namespace zonda::edge {

/// What a regional model needs of its host.
struct FeedDemand {
  std::string region;
  Grid grid;
  std::vector<Channel> channels;
  int ring_width = 8;
  Duration step{};  ///< d of the model

  /// As a bundle's manifest says it. Throws Error(data): the bundle is of a global model.
  static FeedDemand of_bundle(const std::filesystem::path& bundle, const std::string& region);
};

/// `forecast`: a CF NetCDF file that `zonda forecast` wrote, with fields at each multiple of the step; its reference
/// time is the cycle, and its leads end the feed's (with a gap Error(data) names the lead that is missing). `states`:
/// where the states at t - d and t are: an archive, or files. The region's grid must be a part of the host's (else
/// Error(data)), or projected (ingest::RegionRegridder); winds are true ones on both. `precision`: see round_feed.
BoundaryFeed make_feed(const std::filesystem::path& forecast, const std::filesystem::path& states,
                       const FeedDemand& demand, double precision);

}  // namespace zonda::edge
