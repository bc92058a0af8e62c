#pragma once
// Fields from one grid to another. Grids are rectilinear, so the weights are a product of a factor over rows and one
// over columns (axis_weights.hpp); a field is one sparse product over each.
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "core/grid.hpp"

namespace zonda::ingest {

enum class RegridMethod {
  nearest,   ///< the nearest row and the nearest column
  bilinear,  ///< in latitude and longitude; beyond the outermost row towards a pole: the mean of that row stands at the
             ///< pole
  conservative,  ///< first order: the mean over the target cell of cell-wise constant values (Jones 1999), monotone
  conservative2  ///< second order: cell-wise linear in sin(latitude) and in longitude; conservative, not monotone
};
/// `nearest`, `bilinear`, `conservative`, `conservative2`. Throws Error(usage) listing them.
RegridMethod parse_regrid_method(std::string_view name);
std::string_view to_string(RegridMethod method);

/// Half-open range of rows.
struct Rows {
  std::size_t begin, end;
  std::size_t size() const { return end - begin; }
  friend bool operator==(const Rows&, const Rows&) = default;
};

/// A regular value type; copies share their weights. All members are thread safe. Results have the same bits for any
/// number of threads and for any cut into rows.
///
/// Missing values are NaN: a target value is the mean over the finite source values, renormalised, where their weights
/// make up at least `minimum_valid`; else NaN.
class Regridder {
 public:
  /// Throws Error(data) where a target point (cell, for conservative methods) lies outside the source grid, saying
  /// which.
  Regridder(const Grid& source, const Grid& target, RegridMethod method, double minimum_valid = 0.5);

  const Grid& source() const;
  const Grid& target() const;
  RegridMethod method() const;
  double minimum_valid() const;

  /// Any number of fields: `in [field, source lat, source lon]` -> `out [field, target lat, target lon]`.
  void apply(std::span<const float> in, std::span<float> out, int threads = 1) const;
  void apply(std::span<const double> in, std::span<double> out, int threads = 1) const;

  /// Wind components, eastward and northward, `[field, lat, lon]` each: regridded as three-dimensional Cartesian
  /// vectors, since the components' directions turn with longitude; near the poles u and v on their own give nonsense.
  /// A vector is missing where either component is.
  void apply_wind(std::span<const float> u_in, std::span<const float> v_in, std::span<float> u_out,
                  std::span<float> v_out, int threads = 1) const;

  /// The transpose: `target_bar [field, target lat, target lon]` -> `source_bar [field, source lat, source lon]`
  /// (overwritten), so that <apply(x), y> = <x, apply_adjoint(y)>. No missing values.
  void apply_adjoint(std::span<const double> target_bar, std::span<double> source_bar, int threads = 1) const;

  /// The source rows that target rows are made from: for ranks that hold slabs.
  Rows source_rows(Rows target) const;
  /// One field's target rows from `in [source_rows(target), source lon]` to `out [target, target lon]`.
  void apply_rows(Rows target, std::span<const float> in, std::span<float> out) const;
  /// The same of a field's wind: the bits of apply_wind().
  void apply_wind_rows(Rows target, std::span<const float> u_in, std::span<const float> v_in, std::span<float> u_out,
                       std::span<float> v_out) const;

  struct Weights;

 private:
  std::shared_ptr<const Weights> weights_;
};

/// The regridder of a pair of grids, made once in this process and kept (the 16 last used). Thread safe. Not kept on
/// disk: the factors of 0.25 degree to 1 degree take 0.02 to 0.14 ms, less than reading them would.
Regridder cached_regridder(const Grid& source, const Grid& target, RegridMethod method, double minimum_valid = 0.5);

}  // namespace zonda::ingest
