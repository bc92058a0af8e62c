#pragma once
// Isolines by marching squares.
#include <cstddef>
#include <span>
#include <vector>

#include "postproc/maps/canvas.hpp"

namespace zonda::postproc {

/// Lines of `values [rows, columns] == level`, in units of columns (x) and rows (y), joined from cell to cell. Cells
/// with a value that is not finite are left out. Closed lines end where they begin.
std::vector<std::vector<Point>> contour_lines(std::span<const double> values, std::size_t rows, std::size_t columns,
                                              double level);

}  // namespace zonda::postproc
