#include "model/training/distillation/cosine_spectrum.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace zonda::model {
namespace {

std::vector<double> cosines(std::size_t n) {
  std::vector<double> waves(n * n);
  const auto size = static_cast<double>(n);
  for (std::size_t m = 0; m < n; ++m)
    for (std::size_t i = 0; i < n; ++i)
      waves[m * n + i] = std::sqrt((m == 0 ? 1 : 2) / size) *
                         std::cos(std::numbers::pi * static_cast<double>(m) * (static_cast<double>(i) + 0.5) / size);
  return waves;
}

/// out [a, b] = x [a, n] w^T with w [b, n], or x [a, n] w with w [n, b].
void product(std::span<const double> x, std::span<const double> w, std::size_t a, std::size_t n, std::size_t b,
             bool transposed, std::span<double> out) {
  for (std::size_t i = 0; i < a; ++i)
    for (std::size_t j = 0; j < b; ++j) {
      double sum = 0;
      for (std::size_t k = 0; k < n; ++k) sum += x[i * n + k] * (transposed ? w[j * n + k] : w[k * b + j]);
      out[i * b + j] = sum;
    }
}

std::vector<double> turned(std::span<const double> x, std::size_t rows, std::size_t columns) {
  std::vector<double> t(x.size());
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < columns; ++j) t[j * rows + i] = x[i * columns + j];
  return t;
}

}  // namespace

CosineSpectrum::CosineSpectrum(std::size_t rows, std::size_t columns)
    : rows_(rows), columns_(columns), bands_(0), row_waves_(cosines(rows)), column_waves_(cosines(columns)) {
  const auto smaller = static_cast<double>(std::min(rows, columns));
  for (std::size_t m = 0; m < rows; ++m)
    for (std::size_t n = 0; n < columns; ++n) {
      const double alpha = std::hypot(static_cast<double>(m) / static_cast<double>(rows),
                                      static_cast<double>(n) / static_cast<double>(columns));
      band_.push_back(static_cast<std::size_t>(alpha * smaller));
      bands_ = std::max(bands_, band_.back() + 1);
    }
}

double CosineSpectrum::wavelength(std::size_t band) const {
  return 2 * static_cast<double>(std::min(rows_, columns_)) / static_cast<double>(band + 1);
}

std::size_t CosineSpectrum::bands_down_to(double cells) const {
  std::size_t bands = 0;
  while (bands < bands_ && wavelength(bands) >= cells) ++bands;
  return bands;
}

void CosineSpectrum::transform(std::span<const double> field, std::span<double> coefficients) const {
  std::vector<double> along(size()), up(size());
  product(field, column_waves_, rows_, columns_, columns_, true, along);  // [row, n]
  product(turned(along, rows_, columns_), row_waves_, columns_, rows_, rows_, true, up);
  const std::vector<double> result = turned(up, columns_, rows_);
  std::copy(result.begin(), result.end(), coefficients.begin());
}

void CosineSpectrum::inverse(std::span<const double> coefficients, std::span<double> field) const {
  std::vector<double> along(size()), up(size());
  product(coefficients, column_waves_, rows_, columns_, columns_, false, along);  // [m, column]
  product(turned(along, rows_, columns_), row_waves_, columns_, rows_, rows_, false, up);
  const std::vector<double> result = turned(up, columns_, rows_);
  std::copy(result.begin(), result.end(), field.begin());
}

void CosineSpectrum::add_power(std::span<const double> coefficients, std::span<double> power) const {
  for (std::size_t i = 1; i < size(); ++i) power[band_[i]] += coefficients[i] * coefficients[i];
}

}  // namespace zonda::model
