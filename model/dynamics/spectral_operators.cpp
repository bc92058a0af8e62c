#include "model/dynamics/spectral_operators.hpp"

#include "core/constants.hpp"

namespace zonda::model {
namespace {

using constants::earth_radius;

/// body(m, n, coefficient, part) for n = m .. last of all waves.
template <class Body>
void over_coefficients(const SpectralIndex& index, int last, Body&& body) {
  for (int m = 0; m <= index.truncation(); ++m)
    for (int n = m; n <= last; ++n)
      for (std::size_t part = 0; part < 2; ++part) body(m, n, index(m, n), part);
}

/// i x = turn(part) times the other part of x.
double turn(std::size_t part) {
  return part == 0 ? -1 : 1;
}

struct Wind {
  double zonal, above, below;
};
Wind wind_factors(const SpectralIndex& index, int m, int n) {
  const double a = earth_radius;
  return {n > 0 ? -a * m / (double(n) * (n + 1)) : 0.0,
          n <= index.truncation() ? a * index.epsilon(m, n + 1) / (n + 1) : 0.0,
          n > m ? a * index.epsilon(m, n) / n : 0.0};
}

struct Flux {
  double zonal, below, above;
};
Flux flux_factors(const SpectralIndex& index, int m, int n) {
  return {m / earth_radius, n > m ? (n + 1) * index.epsilon(m, n) / earth_radius : 0.0,
          n * index.epsilon(m, n + 1) / earth_radius};
}

/// out = i zonal x - sign (below y_{n-1} - above y_{n+1})
void combine(const SpectralIndex& index, std::size_t level, std::size_t levels, std::span<const double> x,
             std::span<const double> y, double sign, std::span<double> out) {
  over_coefficients(index, index.truncation(), [&](int m, int n, std::size_t c, std::size_t part) {
    const Flux f = flux_factors(index, m, n);
    out[(2 * c + part) * levels + level] =
        turn(part) * f.zonal * x[2 * c + 1 - part] -
        sign * ((n > m ? f.below * y[2 * (c - 1) + part] : 0.0) - f.above * y[2 * (c + 1) + part]);
  });
}

void combine_adjoint(const SpectralIndex& index, std::size_t level, std::size_t levels, std::span<const double> out,
                     double sign, std::span<double> x, std::span<double> y) {
  over_coefficients(index, index.truncation(), [&](int m, int n, std::size_t c, std::size_t part) {
    const Flux f = flux_factors(index, m, n);
    const double from = out[(2 * c + part) * levels + level];
    x[2 * c + 1 - part] += turn(part) * f.zonal * from;
    if (n > m) y[2 * (c - 1) + part] -= sign * f.below * from;
    y[2 * (c + 1) + part] += sign * f.above * from;
  });
}

}  // namespace

void wind_series(const SpectralIndex& index, std::size_t level, std::size_t levels, std::span<const double> vorticity,
                 std::span<const double> divergence, std::span<double> u, std::span<double> v) {
  over_coefficients(index, index.truncation() + 1, [&](int m, int n, std::size_t c, std::size_t part) {
    const Wind w = wind_factors(index, m, n);
    const auto at = [&](std::span<const double> field, std::size_t coefficient, std::size_t of) {
      return field[(2 * coefficient + of) * levels + level];
    };
    double to_u = turn(part) * w.zonal * at(divergence, c, 1 - part),
           to_v = turn(part) * w.zonal * at(vorticity, c, 1 - part);
    if (n <= index.truncation()) {
      to_u += w.above * at(vorticity, c + 1, part);
      to_v -= w.above * at(divergence, c + 1, part);
    }
    if (n > m) {
      to_u -= w.below * at(vorticity, c - 1, part);
      to_v += w.below * at(divergence, c - 1, part);
    }
    u[2 * c + part] = to_u;
    v[2 * c + part] = to_v;
  });
}

void wind_series_adjoint(const SpectralIndex& index, std::size_t level, std::size_t levels, std::span<const double> u,
                         std::span<const double> v, std::span<double> vorticity, std::span<double> divergence) {
  over_coefficients(index, index.truncation() + 1, [&](int m, int n, std::size_t c, std::size_t part) {
    const Wind w = wind_factors(index, m, n);
    const auto at = [&](std::span<double> field, std::size_t coefficient, std::size_t of) -> double& {
      return field[(2 * coefficient + of) * levels + level];
    };
    const double from_u = u[2 * c + part], from_v = v[2 * c + part];
    at(divergence, c, 1 - part) += turn(part) * w.zonal * from_u;
    at(vorticity, c, 1 - part) += turn(part) * w.zonal * from_v;
    if (n <= index.truncation()) {
      at(vorticity, c + 1, part) += w.above * from_u;
      at(divergence, c + 1, part) -= w.above * from_v;
    }
    if (n > m) {
      at(vorticity, c - 1, part) -= w.below * from_u;
      at(divergence, c - 1, part) += w.below * from_v;
    }
  });
}

void flux_divergence(const SpectralIndex& index, std::size_t level, std::size_t levels, std::span<const double> u,
                     std::span<const double> v, std::span<double> out) {
  combine(index, level, levels, u, v, 1, out);
}
void flux_divergence_adjoint(const SpectralIndex& index, std::size_t level, std::size_t levels,
                             std::span<const double> out, std::span<double> u, std::span<double> v) {
  combine_adjoint(index, level, levels, out, 1, u, v);
}
void flux_curl(const SpectralIndex& index, std::size_t level, std::size_t levels, std::span<const double> u,
               std::span<const double> v, std::span<double> out) {
  combine(index, level, levels, v, u, -1, out);
}
void flux_curl_adjoint(const SpectralIndex& index, std::size_t level, std::size_t levels, std::span<const double> out,
                       std::span<double> u, std::span<double> v) {
  combine_adjoint(index, level, levels, out, -1, v, u);
}

void gradient_series(const SpectralIndex& index, std::span<const double> field, std::span<double> dlon,
                     std::span<double> dmu) {
  over_coefficients(index, index.truncation() + 1, [&](int m, int n, std::size_t c, std::size_t part) {
    dlon[2 * c + part] = turn(part) * m * field[2 * c + 1 - part];
    const double above = n <= index.truncation() ? (n + 2) * index.epsilon(m, n + 1) * field[2 * (c + 1) + part] : 0.0;
    const double below = n > m ? (n - 1) * index.epsilon(m, n) * field[2 * (c - 1) + part] : 0.0;
    dmu[2 * c + part] = above - below;
  });
}

void gradient_series_adjoint(const SpectralIndex& index, std::span<const double> dlon, std::span<const double> dmu,
                             std::span<double> field) {
  over_coefficients(index, index.truncation() + 1, [&](int m, int n, std::size_t c, std::size_t part) {
    field[2 * c + 1 - part] += turn(part) * m * dlon[2 * c + part];
    if (n <= index.truncation()) field[2 * (c + 1) + part] += (n + 2) * index.epsilon(m, n + 1) * dmu[2 * c + part];
    if (n > m) field[2 * (c - 1) + part] -= (n - 1) * index.epsilon(m, n) * dmu[2 * c + part];
  });
}

}  // namespace zonda::model
