#include "model/spectral/row_quadrature.hpp"

#include <cmath>

#include "core/constants.hpp"
#include "core/grid.hpp"

namespace zonda::model {

std::vector<double> row_quadrature(const Grid& grid) {
  const std::size_t n = grid.nlat();
  std::vector<double> nodes, weights(n);
  if (grid.kind() == GridKind::gaussian) {
    gauss_legendre(n, nodes, weights);
    return weights;
  }
  // Of the cosine series of a function of the colatitude theta, interpolated on the rows and integrated term by term:
  // Fejer's rule at theta_j = (j + 1/2) pi / n, Clenshaw and Curtis' at theta_j = j pi / (n - 1).
  const bool poles = grid.has_poles();
  const std::size_t intervals = poles ? n - 1 : n;
  for (std::size_t j = 0; j < n; ++j) {
    const double theta = (static_cast<double>(j) + (poles ? 0 : 0.5)) * constants::pi / static_cast<double>(intervals);
    double sum = 1;
    for (std::size_t k = 1; 2 * k <= intervals; ++k) {
      const double wave = 2 * static_cast<double>(k);
      const double share = poles && 2 * k == intervals ? 1 : 2;
      sum -= share * std::cos(wave * theta) / (wave * wave - 1);
    }
    const bool end = poles && (j == 0 || j == n - 1);
    weights[j] = (end ? 1 : 2) * sum / static_cast<double>(intervals);
  }
  return weights;
}

int exact_degree(const Grid& grid) {
  const int rows = static_cast<int>(grid.nlat());
  return grid.kind() == GridKind::gaussian ? 2 * rows - 1 : rows - 1;
}

}  // namespace zonda::model
