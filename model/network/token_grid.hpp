#pragma once
// Tokens and where they are on the Earth.
#include <vector>

#include "core/grid.hpp"
#include "model/ops/backend.hpp"
#include "parallel/partition.hpp"

namespace zonda::model {

/// Tokens of `patch` x `patch` grid points; where the row count is n patch + 1 (grids with both poles), kernels reach
/// one row further and neighbours share that row.
struct TokenGrid {
  PatchGeometry patches;
  std::vector<double> latitudes;   ///< [token rows] of the token's centre, degrees; of a projected grid [token]
  std::vector<double> longitudes;  ///< [token columns]; of a projected grid [token]
  std::vector<double> spacing;     ///< [token rows] square root of a cell's area there, km; of a projected grid [token]
  bool periodic = true;
  bool rectilinear = true;
  double latitude(std::size_t row, std::size_t column) const { return latitudes[rectilinear ? row : at(row, column)]; }
  double longitude(std::size_t row, std::size_t column) const {
    return longitudes[rectilinear ? column : at(row, column)];
  }
  std::int64_t count() const { return patches.token_rows * patches.token_columns; }

  /// Throws Error(usage) naming the grid and the patches that would fit.
  TokenGrid(const Grid& grid, int patch);

  /// Tokens (i lift + row, j lift + column) for all i, j: a field sampled `lift` times as wide.
  TokenGrid sub_field(int lift, int row, int column) const;
  /// The number in this grid of token `t` of that sub-field.
  std::int64_t token_of(int lift, int row, int column, std::int64_t t) const;

  static constexpr int wavelengths = 16;
  static constexpr int feature_count = 6 * wavelengths;
  /// Fourier features [tokens, feature_count] of the true position, in f64: sine and cosine of latitude and longitude
  /// at wavelengths of 360 degrees over integers up to 256 (so that longitude is periodic), and of sqrt(cell area) at 8
  /// km to 8192 km. Waves shorter than two tokens are left zero: a coarse grid does not train what only a fine one can
  /// show. With `lift`, each token's features as one of its sub-field's.
  std::vector<double> position_features(int lift = 1) const {
    return position_features({0, static_cast<std::size_t>(patches.token_rows)}, lift);
  }
  /// Of the tokens of some rows.
  std::vector<double> position_features(parallel::Range rows, int lift) const;
  /// Of a rectilinear grid a token's features are its row's plus its column's: [rows, feature_count] and [token
  /// columns, feature_count], each with zeros for the other's.
  struct SplitFeatures {
    std::vector<double> rows, columns;
  };
  SplitFeatures split_features(parallel::Range rows, int lift) const;

 private:
  std::size_t at(std::size_t row, std::size_t column) const {
    return row * static_cast<std::size_t>(patches.token_columns) + column;
  }
  void place_projected(const Grid& grid);
  /// Writes what a row, a column or both of them give to a token's features.
  struct Wanted {
    bool row = true, column = true;
  };
  void write_features(std::size_t row, std::size_t column, int lift, Wanted wanted, double* features) const;
};

}  // namespace zonda::model
