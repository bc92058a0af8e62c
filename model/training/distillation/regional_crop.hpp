#pragma once
// The part of a global grid that a regional model is of: whole patches, so that its tokens are tokens of the global
// model.
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "model/forecast_state/forecast_layout.hpp"

namespace zonda::model {

/// Degrees; west > east crosses the prime meridian.
struct RegionConfig {
  double north = 72, south = 28, west = 330, east = 50;
};

class RegionalCrop {
 public:
  /// The patches whose cells' centres all lie within the region. Throws Error(usage) where there are too few for a ring
  /// of `width` cells and an interior, naming the cells that were found.
  RegionalCrop(const Grid& global, const RegionConfig& region, int patch, int width);

  const Grid& grid() const { return grid_; }  ///< of the region
  std::size_t points() const { return grid_.size(); }
  std::size_t tokens() const { return tokens_.size(); }
  /// Rows of the global grid that it needs.
  std::size_t first_row() const { return window_.first_row; }
  std::size_t rows() const { return window_.rows; }

  /// `[channel, global lat, lon]` -> `[channel, lat, lon]`.
  void fields(std::span<const float> global, std::span<float> regional) const;
  /// `[global token, n]` -> `[token, n]`.
  void token_rows(std::span<const float> global, std::size_t n, std::span<float> regional) const;

  /// What a student on the region is given and gives: the teacher's layout with a lateral boundary and `steps` of its
  /// step lengths; the fields of order 1 that it is fed are those that the teacher is fed. Throws Error(usage) for a
  /// step that the teacher does not know.
  ForecastLayout student_layout(const ForecastLayout& teacher, std::vector<Duration> steps) const;

 private:
  Grid global_, grid_;
  Grid::Window window_;
  int width_;
  std::vector<std::size_t> tokens_;  // numbers among the global ones
};

}  // namespace zonda::model
