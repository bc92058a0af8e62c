#include "postproc/verification/fractions_skill.hpp"

#include <algorithm>

#include "core/error.hpp"

namespace zonda::postproc {

std::vector<double> event_fractions(std::span<const float> field, std::size_t rows, std::size_t columns,
                                    double threshold, std::size_t window) {
  if (window % 2 == 0) fail(ErrorKind::usage, "fractions skill score: the window must be odd, not {}", window);
  // Summed-area table: the events above and left of a corner.
  std::vector<double> table((rows + 1) * (columns + 1), 0.0);
  const auto at = [&](std::size_t r, std::size_t c) -> double& { return table[r * (columns + 1) + c]; };
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < columns; ++c)
      at(r + 1, c + 1) = (field[r * columns + c] >= threshold ? 1.0 : 0.0) + at(r, c + 1) + at(r + 1, c) - at(r, c);
  const std::size_t half = window / 2;
  std::vector<double> fractions(rows * columns);
  for (std::size_t r = 0; r < rows; ++r) {
    const std::size_t top = r >= half ? r - half : 0, bottom = std::min(r + half + 1, rows);
    for (std::size_t c = 0; c < columns; ++c) {
      const std::size_t left = c >= half ? c - half : 0, right = std::min(c + half + 1, columns);
      fractions[r * columns + c] = (at(bottom, right) - at(top, right) - at(bottom, left) + at(top, left)) /
                                   static_cast<double>(window * window);
    }
  }
  return fractions;
}

void FractionsSkill::add(std::span<const float> forecast, std::span<const float> truth, std::size_t rows,
                         std::size_t columns) {
  const std::vector<double> f = event_fractions(forecast, rows, columns, threshold_, window_);
  const std::vector<double> o = event_fractions(truth, rows, columns, threshold_, window_);
  for (std::size_t i = 0; i < f.size(); ++i) {
    difference_ += (f[i] - o[i]) * (f[i] - o[i]);
    reference_ += f[i] * f[i] + o[i] * o[i];
  }
}

void FractionsSkill::merge(const FractionsSkill& other) {
  difference_ += other.difference_;
  reference_ += other.reference_;
}

}  // namespace zonda::postproc
