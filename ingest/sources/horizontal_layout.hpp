#pragma once
// How a file lays out latitude and longitude, and the way from there to Zonda's order: north first, longitudes growing
// eastward from the first column in [0, 360).
#include <algorithm>
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
    turn_rows(0, rows_.size(), source, row_stride, column_stride, target, decode);
  }
  /// Where the rows [row_begin, row_end) of the grid begin in the file; they lie there together.
  std::size_t first_file_row(std::size_t row_begin, std::size_t row_end) const {
    return row_begin == row_end ? 0 : std::min(rows_[row_begin], rows_[row_end - 1]);
  }
  /// turn() for these rows; `source` begins at first_file_row().
  template <class Decode>
  void turn_rows(std::size_t row_begin, std::size_t row_end, std::span<const double> source, std::size_t row_stride,
                 std::size_t column_stride, std::span<float> target, Decode decode) const {
    float* out = target.data();
    const std::size_t first = first_file_row(row_begin, row_end);
    for (std::size_t i = row_begin; i < row_end; ++i) {
      const double* values = source.data() + (rows_[i] - first) * row_stride;
      for (const std::uint32_t column : columns_) *out++ = static_cast<float>(decode(values[column * column_stride]));
    }
  }

 private:
  Grid grid_;
  std::size_t file_rows_, file_columns_;
  std::vector<std::uint32_t> rows_, columns_;  ///< of the grid -> of the file
};

}  // namespace zonda::ingest
