#include "model/dynamics/sigma_fields.hpp"

#include <algorithm>
#include <cmath>

#include "core/constants.hpp"
#include "core/error.hpp"
#include "model/dynamics/semi_implicit.hpp"
#include "model/dynamics/spectral_wind.hpp"

namespace zonda::model {

SigmaFields::SigmaFields(const SphericalTransform& transform, std::size_t levels, bool moist)
    : transform_(transform),
      levels_(levels),
      series_((moist ? 4 : 3) * levels + 1),
      plane_(std::size_t(transform.nlat()) * std::size_t(transform.nlon())),
      moist_(moist),
      spectral_(transform.spectral_size(series_)),
      fourier_(transform.fourier_size(series_)),
      block_(transform.block_size(series_)),
      line_(transform.work_size()) {
  for (const double sine : transform.sines()) cosines_.push_back(std::sqrt((1 - sine) * (1 + sine)));
}

/// Wind over the cosine of latitude, temperature above the reference, ln(ps / reference_pressure).
void SigmaFields::gather(int block, std::span<const double> fields) {
  const std::size_t columns = std::size_t(transform_.nlon()), pressure = series_ - 1;
  for (int member = 0; member < 16; ++member) {
    const int row = transform_.row(block, member);
    for (std::size_t s = 0; s < series_; ++s) {
      double* to = block_.data() + s * columns * 16 + std::size_t(member);
      if (row < 0) {
        for (std::size_t x = 0; x < columns; ++x) to[x * 16] = 0;
        continue;
      }
      const double* from = fields.data() + s * plane_ + std::size_t(row) * columns;
      const double per_cosine = 1 / cosines_[std::size_t(row)];
      for (std::size_t x = 0; x < columns; ++x)
        if (s < 2 * levels_)
          to[x * 16] = from[x] * per_cosine;
        else if (s < 3 * levels_)
          to[x * 16] = from[x] - reference_temperature;
        else if (s < pressure)
          to[x * 16] = from[x];
        else if (from[x] > 0)
          to[x * 16] = std::log(from[x] / reference_pressure);
        else
          fail(ErrorKind::numerical, "a surface pressure of {} Pa in row {}, column {}", from[x], row, x);
    }
  }
}

void SigmaFields::scatter(int block, std::span<double> fields) const {
  const std::size_t columns = std::size_t(transform_.nlon()), pressure = series_ - 1;
  for (int member = 0; member < 16; ++member) {
    const int row = transform_.row(block, member);
    if (row < 0) continue;
    const double per_cosine = 1 / cosines_[std::size_t(row)];
    for (std::size_t s = 0; s < series_; ++s) {
      const double* from = block_.data() + s * columns * 16 + std::size_t(member);
      double* to = fields.data() + s * plane_ + std::size_t(row) * columns;
      for (std::size_t x = 0; x < columns; ++x)
        to[x] = s < 2 * levels_   ? from[x * 16] * per_cosine
                : s < 3 * levels_ ? from[x * 16] + reference_temperature
                : s < pressure    ? from[x * 16]
                                  : reference_pressure * std::exp(from[x * 16]);
    }
  }
}

void SigmaFields::analyse(std::span<const double> fields, SpectralState& state) {
  for (int b = 0; b < transform_.blocks(); ++b) {
    gather(b, fields);
    transform_.fourier_analysis(b, series_, block_.data(), fourier_.data(), line_.data());
  }
  const SpectralIndex& index = transform_.index();
  const std::size_t L = levels_, stride = SphericalTransform::padded(series_);
  const double a = constants::earth_radius;
  for (int m = 0; m <= index.truncation(); ++m) {
    transform_.legendre_analysis(m, series_, fourier_.data(), spectral_.data());
    for (int n = m; n <= index.truncation() + 1; ++n) {
      const std::size_t c = index(m, n), field = c * 2 * L;
      if (n > index.truncation()) {
        for (std::vector<double>* of : {&state.vorticity, &state.divergence, &state.temperature, &state.humidity})
          if (!of->empty()) std::fill_n(of->begin() + std::ptrdiff_t(field), 2 * L, 0.0);
        state.log_pressure[2 * c] = state.log_pressure[2 * c + 1] = 0;
        continue;
      }
      const double* here = spectral_.data() + c * stride;
      const FluxDivergence flux{
          here, stride, series_, m / a, (n + 1) * index.epsilon(m, n) / a, n * index.epsilon(m, n + 1) / a, n > m};
      flux.curl(0, L, L, state.vorticity.data() + field);
      flux.divergence(0, L, L, state.divergence.data() + field);
      for (std::size_t part = 0; part < 2; ++part) {
        const double* from = here + part * series_;
        std::copy_n(from + 2 * L, L, state.temperature.data() + field + part * L);
        if (moist_) std::copy_n(from + 3 * L, L, state.humidity.data() + field + part * L);
        state.log_pressure[2 * c + part] = from[series_ - 1];
      }
    }
  }
}

void SigmaFields::synthesise(const SpectralState& state, std::span<double> fields) {
  const SpectralIndex& index = transform_.index();
  const std::size_t L = levels_, stride = SphericalTransform::padded(series_);
  for (int m = 0; m <= index.truncation(); ++m) {
    for (int n = m; n <= index.truncation() + 1; ++n) {
      const std::size_t c = index(m, n);
      double* to = spectral_.data() + c * stride;
      wind_coefficients(index, m, n, L, state.vorticity.data(), state.divergence.data(), to, to + L, series_);
      for (std::size_t part = 0; part < 2; ++part) {
        double* out = to + part * series_;
        std::copy_n(state.temperature.data() + (c * 2 + part) * L, L, out + 2 * L);
        if (moist_) std::copy_n(state.humidity.data() + (c * 2 + part) * L, L, out + 3 * L);
        out[series_ - 1] = state.log_pressure[c * 2 + part];
      }
    }
    transform_.legendre_synthesis(m, series_, spectral_.data(), fourier_.data());
  }
  for (int b = 0; b < transform_.blocks(); ++b) {
    transform_.fourier_synthesis(b, series_, fourier_.data(), block_.data(), line_.data());
    scatter(b, fields);
  }
}

}  // namespace zonda::model
