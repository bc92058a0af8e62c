#include "assimilation/ensemble/atmosphere_batches.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"

namespace zonda::assimilation {
namespace {

/// Nodes below and above `i` along an axis of `size` points whose nodes are every `stride`-th one.
struct Between {
  std::size_t below, above;
  double fraction;
};

Between between(std::size_t i, std::size_t size, std::size_t stride, bool periodic) {
  const std::size_t below = i / stride * stride;
  if (below == i || (!periodic && i + 1 == size)) return {i, i, 0};
  const std::size_t above = std::min(below + stride, periodic ? size : size - 1);
  return {below, above % size, static_cast<double>(i - below) / static_cast<double>(above - below)};
}

}  // namespace

std::vector<Batch> atmosphere_batches(const AtmosphereLayout& layout, std::size_t stride) {
  layout.check();
  if (stride == 0) fail(ErrorKind::usage, "weights on every 0th column, expected 1 or more");
  const Grid& grid = layout.grid;
  const std::vector<SharedLevel> levels = shared_levels(layout);
  std::vector<Batch> batches;
  batches.reserve(levels.size() * grid.size());
  for (const SharedLevel& level : levels) {
    const std::size_t first = batches.size();
    for (std::size_t row = 0; row < grid.nlat(); ++row) {
      const Between in_rows = between(row, grid.nlat(), stride, false);
      for (std::size_t column = 0; column < grid.nlon(); ++column) {
        const std::size_t point = row * grid.nlon() + column;
        const double at_surface = surface_pressure_by_height(layout.orography.empty() ? 0 : layout.orography[point]);
        Batch batch{{grid.longitudes()[column], grid.latitudes()[row], std::log(level.pressure(at_surface))}, {}, {}};
        for (std::size_t slot = 0; slot < layout.slots; ++slot)
          for (const std::size_t offset : level.offsets)
            batch.variables.push_back(slot * layout.slot_size + offset + point);
        const Between in_columns = between(column, grid.nlon(), stride, grid.periodic());
        if (in_rows.fraction > 0 || in_columns.fraction > 0)
          for (const auto& [node_row, row_weight] :
               {std::pair{in_rows.below, 1 - in_rows.fraction}, {in_rows.above, in_rows.fraction}})
            for (const auto& [node_column, column_weight] :
                 {std::pair{in_columns.below, 1 - in_columns.fraction}, {in_columns.above, in_columns.fraction}})
              if (row_weight * column_weight > 0)
                batch.shares.push_back({first + node_row * grid.nlon() + node_column, row_weight * column_weight});
        batches.push_back(std::move(batch));
      }
    }
  }
  return batches;
}

}  // namespace zonda::assimilation
