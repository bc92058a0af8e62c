#pragma once
#include <vector>

namespace zonda {
class Grid;
}

namespace zonda::model {

/// Weights of a global grid's rows, sum 2, for integrals over the sine of latitude: Gauss' on Gaussian grids, on
/// equally spaced rows Clenshaw and Curtis' (with poles) or Fejer's first (without; Waldvogel 2006).
std::vector<double> row_quadrature(const Grid& grid);
/// It integrates polynomials in the sine of latitude up to this degree.
int exact_degree(const Grid& grid);

}  // namespace zonda::model
