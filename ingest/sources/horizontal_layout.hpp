#pragma once
// How a file lays out latitude and longitude, and the way from there to Zonda's order: north first, longitudes growing
// eastward from the first column in [0, 360).
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/grid.hpp"

namespace zonda::ingest {

class HorizontalLayout {
 public:
  /// `latitudes`, `longitudes`: as the file gives them, any direction, any origin; a cyclic column given twice (0 and
  /// 360) is dropped. Throws Error(data) naming `where` and what is irregular.
  HorizontalLayout(std::span<const double> latitudes, std::span<const double> longitudes, std::string_view where);

  const Grid& grid() const { return grid_; }
  std::size_t file_rows() const { return file_rows_; }
  std::size_t file_columns() const { return file_columns_; }
  /// `target[lat, lon]` (grid order) from `source`, where the file's row i and column j stand at
  /// i * row_stride + j * column_stride; each value is given to `decode` (double to double).
  template <class Decode>
  void turn(std::span<const double> source, std::size_t row_stride, std::size_t column_stride, std::span<float> target,
            Decode decode) const {
    float* out = target.data();
    for (const std::uint32_t row : rows_) {
      const double* values = source.data() + row * row_stride;
      for (const std::uint32_t column : columns_) *out++ = static_cast<float>(decode(values[column * column_stride]));
    }
  }

 private:
  Grid grid_;
  std::size_t file_rows_, file_columns_;
  std::vector<std::uint32_t> rows_, columns_;  ///< of the grid -> of the file
};

}  // namespace zonda::ingest
