#pragma once
// The part of the globe that a regional model is of: whole patches of the global grid, so that its tokens are tokens
// of the global model, or a grid in the plane of a map projection.
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ingest/regrid/region_regridder.hpp"
#include "model/forecast_state/forecast_layout.hpp"

namespace zonda::model {

/// Degrees; west > east crosses the prime meridian. With a projection: metres in its plane instead.
struct RegionConfig {
  double north = 72, south = 28, west = 330, east = 50;
  std::optional<std::string> projection{};       ///< as MapProjection::parse reads it
  double spacing = 50'000;                       ///< between cells
  double width = 5'000'000, height = 4'000'000;  ///< of the whole; rounded down to whole patches
  double centre_x = 0, centre_y = 0;             ///< its middle
};

class RegionalCrop {
 public:
  /// The patches whose cells' centres all lie within the region; of a projected region as many as fit. Throws
  /// Error(usage) where there are too few for a ring of `width` cells and an interior, naming the cells that were
  /// found.
  RegionalCrop(const Grid& global, const RegionConfig& region, int patch, int width);

  const Grid& grid() const { return grid_; }  ///< of the region
  std::size_t points() const { return grid_.size(); }
  std::size_t tokens() const { return tokens_.size(); }

  /// `[channel, global lat, lon]` -> `[channel, lat, lon]`, each channel for itself.
  void fields(std::span<const float> global, std::span<float> regional) const;
  /// A normalised state of the teacher -> of the student: winds as vectors, along the region's axes.
  void state(const ForecastLayout& teacher, std::span<const float> global, std::span<float> regional) const;
  /// `[global token, n]` -> `[token, n]`; on a projected region the global token that holds a token's centre.
  void token_rows(std::span<const float> global, std::size_t n, std::span<float> regional) const;

  /// What a student on the region is given and gives: the teacher's layout with a lateral boundary and `steps` of its
  /// step lengths; the fields of order 1 that it is fed are those that the teacher is fed. Throws Error(usage) for a
  /// step that the teacher does not know.
  ForecastLayout student_layout(const ForecastLayout& teacher, std::vector<Duration> steps) const;

 private:
  Grid global_, grid_;
  int width_;
  ingest::RegionRegridder regridder_;
  std::vector<std::size_t> tokens_;  // numbers among the global ones
};

}  // namespace zonda::model
