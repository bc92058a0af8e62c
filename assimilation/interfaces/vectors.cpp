#include "assimilation/interfaces/vectors.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"
#include "parallel/canonical.hpp"

namespace zonda::assimilation {

void require_size(const char* what, std::size_t size, std::size_t expected) {
  if (size != expected) fail(ErrorKind::failure, "{} has {} elements, expected {}", what, size, expected);
}

void axpy(double a, ConstView x, View y) {
  require_size("the vector to add to", y.size(), x.size());
  for (std::size_t i = 0; i < x.size(); ++i) y[i] += a * x[i];
}

double dot(ConstView x, ConstView y) {
  require_size("the second factor", y.size(), x.size());
  constexpr std::size_t block = 256;
  const auto block_sum = [&](std::size_t begin) {
    double sum = 0;
    for (std::size_t i = begin, end = std::min(begin + block, x.size()); i < end; ++i) sum += x[i] * y[i];
    return sum;
  };
  if (x.size() <= block) return block_sum(0);
  Vector sums((x.size() + block - 1) / block);
  for (std::size_t b = 0; b < sums.size(); ++b) sums[b] = block_sum(b * block);
  return parallel::tree_sum(sums);
}

double norm(ConstView x) {
  return std::sqrt(dot(x, x));
}

void scale(double a, View x) {
  for (double& element : x) element *= a;
}

void copy(ConstView from, View to) {
  require_size("the copy", to.size(), from.size());
  std::copy(from.begin(), from.end(), to.begin());
}

Vector difference(ConstView x, ConstView y) {
  Vector result(x.begin(), x.end());
  axpy(-1, y, result);
  return result;
}

double root_mean_square(ConstView x) {
  return x.empty() ? 0 : norm(x) / std::sqrt(static_cast<double>(x.size()));
}

}  // namespace zonda::assimilation
