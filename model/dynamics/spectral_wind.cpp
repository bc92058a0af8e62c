#include "model/dynamics/spectral_wind.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/constants.hpp"

namespace zonda::model {

void wind_coefficients(const SpectralIndex& index, int m, int n, std::size_t levels, const double* vorticity,
                       const double* divergence, double* u, double* v, std::size_t imaginary) {
  const double a = constants::earth_radius;
  const std::size_t L = levels, here = index(m, n) * 2 * L;
  const double zonal = n > 0 ? -a * m / (double(n) * (n + 1)) : 0.0;
  const double above = n <= index.truncation() ? a * index.epsilon(m, n + 1) / (n + 1) : 0.0;
  const double below = n > m ? a * index.epsilon(m, n) / n : 0.0;
  for (std::size_t part = 0; part < 2; ++part) {
    const double turn = part == 0 ? -zonal : zonal;  // i (re + i im) = -im + i re
    const double* vorticity_other = vorticity + here + (1 - part) * L;
    const double* divergence_other = divergence + here + (1 - part) * L;
    double* u_out = u + part * imaginary;
    double* v_out = v + part * imaginary;
    for (std::size_t k = 0; k < L; ++k) {
      u_out[k] = turn * divergence_other[k];
      v_out[k] = turn * vorticity_other[k];
    }
    if (n <= index.truncation()) {
      const double* vorticity_above = vorticity + here + (2 + part) * L;
      const double* divergence_above = divergence + here + (2 + part) * L;
      for (std::size_t k = 0; k < L; ++k) {
        u_out[k] += above * vorticity_above[k];
        v_out[k] -= above * divergence_above[k];
      }
    }
    if (n > m) {
      const double* vorticity_below = vorticity + here - 2 * L + part * L;
      const double* divergence_below = divergence + here - 2 * L + part * L;
      for (std::size_t k = 0; k < L; ++k) {
        u_out[k] -= below * vorticity_below[k];
        v_out[k] += below * divergence_below[k];
      }
    }
  }
}

namespace {

/// out = i zonal x - sign * (below y_{n-1} - above y_{n+1}).
void combine(const FluxDivergence& f, std::size_t x, std::size_t y, double sign, std::size_t levels, double* out) {
  for (std::size_t part = 0; part < 2; ++part) {
    const double turn = part == 0 ? -f.zonal : f.zonal;
    const double* other = f.here + (1 - part) * f.imaginary + x;
    const double* next = f.here + f.stride + part * f.imaginary + y;
    const double* last = f.here - (f.has_below ? f.stride : 0) + part * f.imaginary + y;
    const double below = f.has_below ? sign * f.below : 0.0, above = sign * f.above;
    double* target = out + part * levels;
    for (std::size_t k = 0; k < levels; ++k) target[k] = turn * other[k] - below * last[k] + above * next[k];
  }
}

}  // namespace

void FluxDivergence::divergence(std::size_t u, std::size_t v, std::size_t levels, double* out) const {
  combine(*this, u, v, 1, levels, out);
}

void FluxDivergence::curl(std::size_t u, std::size_t v, std::size_t levels, double* out) const {
  combine(*this, v, u, -1, levels, out);
}

void vorticity_divergence(const SphericalTransform& transform, std::span<const double> u, std::span<const double> v,
                          std::span<double> vorticity, std::span<double> divergence) {
  const SpectralIndex& index = transform.index();
  const std::size_t columns = std::size_t(transform.nlon()), plane = std::size_t(transform.nlat()) * columns,
                    size = index.size();
  std::vector<double> grid(2 * plane), spectral(4 * size), batch(4 * size);
  for (std::size_t i = 0; i < plane; ++i) {
    const double mu = transform.sines()[i / columns], cosine = std::sqrt((1 - mu) * (1 + mu));
    grid[i] = u[i] / cosine;
    grid[plane + i] = v[i] / cosine;
  }
  transform.analyse(2, grid, spectral);
  for (std::size_t c = 0; c < size; ++c)
    for (std::size_t s = 0; s < 2; ++s)
      for (std::size_t part = 0; part < 2; ++part) batch[c * 4 + part * 2 + s] = spectral[(s * size + c) * 2 + part];
  std::fill(vorticity.begin(), vorticity.end(), 0.0);
  std::fill(divergence.begin(), divergence.end(), 0.0);
  const double a = constants::earth_radius;
  for (int m = 0; m <= index.truncation(); ++m)
    for (int n = m; n <= index.truncation(); ++n) {
      const std::size_t c = index(m, n);
      const FluxDivergence flux{
          batch.data() + c * 4, 4, 2, m / a, (n + 1) * index.epsilon(m, n) / a, n * index.epsilon(m, n + 1) / a, n > m};
      flux.curl(0, 1, 1, vorticity.data() + c * 2);
      flux.divergence(0, 1, 1, divergence.data() + c * 2);
    }
}

}  // namespace zonda::model
