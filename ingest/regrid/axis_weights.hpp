#pragma once
// Interpolation along one axis as a sparse matrix. Rows are latitudes, columns longitudes.
#include <cstdint>
#include <vector>

#include "core/grid.hpp"
#include "ingest/regrid/regridder.hpp"

namespace zonda::ingest {

/// Compressed sparse rows: target point i is the sum over k in [begin[i], begin[i + 1]) of weight[k] *
/// source[index[k]]. Weights of each target sum to 1; entries are in ascending index order.
struct AxisWeights {
  std::vector<std::uint32_t> begin{0};
  std::vector<std::uint32_t> index;
  std::vector<double> weight;
  std::size_t targets() const { return begin.size() - 1; }
};

/// Over rows. Index nlat stands for the mean of the northernmost row placed at the pole, nlat + 1 for the southernmost.
/// Throws Error(data) naming the latitude outside the source.
AxisWeights row_weights(const Grid& source, const Grid& target, RegridMethod method);
/// Over columns; periodic where the source is. Throws Error(data) naming the longitude outside the source.
AxisWeights column_weights(const Grid& source, const Grid& target, RegridMethod method);

}  // namespace zonda::ingest
