#include "model/dynamics/model_output.hpp"

#include <omp.h>

#include <algorithm>
#include <cmath>

#include "core/constants.hpp"
#include "core/error.hpp"
#include "model/dynamics/pressure_interpolation.hpp"
#include "model/dynamics/spectral_wind.hpp"

namespace zonda::model {
namespace {

/// Rows of the grid for synthesis: off the poles by a hair, where u = (u cos lat) / cos lat has its limit.
std::vector<double> synthesis_rows(const Grid& grid) {
  std::vector<double> rows(grid.latitudes().begin(), grid.latitudes().end());
  for (double& row : rows) row = std::clamp(row, -89.999, 89.999);
  return rows;
}

/// One column of the block, as the sigma levels hold it.
struct Profile {
  std::vector<double> temperature, humidity, u, v;
};

double column_value(const Channel& channel, const PressureColumn& column, const Profile& profile,
                    double surface_pressure, double surface_geopotential, double rain) {
  const double pressure = 100.0 * channel.level_hpa;
  if (channel.variable == "z") return column.geopotential(pressure);
  if (channel.variable == "t") return column.temperature(pressure);
  if (channel.variable == "u") return column.value(profile.u, pressure);
  if (channel.variable == "v") return column.value(profile.v, pressure);
  if (channel.variable == "q") return std::max(0.0, column.value(profile.humidity, pressure));
  if (channel.variable == "sp") return surface_pressure;
  if (channel.variable == "msl") return column.mean_sea_level_pressure();
  if (channel.variable == "2t") return column.surface_temperature();
  if (channel.variable == "tp") return std::max(0.0, rain) / 1000;
  return surface_geopotential;
}

}  // namespace

const std::vector<std::string>& simulated_variables() {
  static const std::vector<std::string> names{"z", "t", "u", "v", "q", "sp", "msl", "2t", "tp", "orog"};
  return names;
}

ModelOutput::ModelOutput(const PrimitiveEquations& model, const Grid& grid, std::vector<Channel> channels)
    : grid_(grid),
      channels_(std::move(channels)),
      transform_(model.parameters().truncation, synthesis_rows(grid), int(grid.nlon())),
      levels_(std::size_t(model.parameters().levels.count())),
      moist_(model.parameters().moist) {
  if (grid.kind() == GridKind::regional || grid.longitudes()[0] != 0)
    fail(ErrorKind::usage, "simulate writes on global grids that start at 0 E, not on {}", grid.to_string());
  for (const Channel& channel : channels_) {
    if (std::ranges::find(simulated_variables(), channel.variable) == simulated_variables().end())
      fail(ErrorKind::usage, "{}", unknown_word("simulated variable", channel.variable, simulated_variables()));
    if (!moist_ && (channel.variable == "q" || channel.variable == "tp"))
      fail(ErrorKind::usage, "{} needs a moist simulation (moisture: true)", channel.name());
  }
}

std::size_t ModelOutput::bytes() const {
  const std::size_t series = (moist_ ? 4 : 3) * levels_ + 2;
  return 8 * (transform_.spectral_size(series) + transform_.fourier_size(series) +
              std::size_t(omp_get_max_threads()) * (transform_.block_size(series) + transform_.work_size()));
}

State ModelOutput::make(const PrimitiveEquations& model, const std::vector<double>& rain) const {
  const SpectralState state = model.present();
  const SpectralIndex& index = transform_.index();
  const std::size_t L = levels_, columns = grid_.nlon();
  const std::size_t vapour = 3 * L, single = (moist_ ? 4 : 3) * L, series = single + 2 + (moist_ ? 1 : 0);
  const std::size_t stride = SphericalTransform::padded(series);
  std::vector<double> spectral(transform_.spectral_size(series)), fourier(transform_.fourier_size(series));
  std::vector<double> rain_spectral;
  if (moist_) {
    rain_spectral.resize(index.size() * 2);
    model.transform().analyse(1, rain, rain_spectral);
  }
  for (int m = 0; m <= index.truncation(); ++m) {
    for (int n = m; n <= index.truncation() + 1; ++n) {
      const std::size_t c = index(m, n);
      double* target = spectral.data() + c * stride;
      wind_coefficients(index, m, n, L, state.vorticity.data(), state.divergence.data(), target, target + L, series);
      for (std::size_t part = 0; part < 2; ++part) {
        double* out = target + part * series;
        std::copy_n(state.temperature.data() + (c * 2 + part) * L, L, out + 2 * L);
        if (moist_) std::copy_n(state.humidity.data() + (c * 2 + part) * L, L, out + vapour);
        out[single] = state.log_pressure[c * 2 + part];
        out[single + 1] = model.surface_geopotential()[c * 2 + part];
        if (moist_) out[single + 2] = n > index.truncation() ? 0.0 : rain_spectral[c * 2 + part];
      }
    }
    transform_.legendre_synthesis(m, series, spectral.data(), fourier.data());
  }

  // The model's own grid keeps the rain as it fell; spectral truncation would smear it.
  const bool own_grid =
      moist_ && grid_ == Grid::gaussian(std::size_t(model.transform().nlat()), std::size_t(model.transform().nlon()));
  State result(grid_, channels_, model.time());
#pragma omp parallel num_threads(model.parameters().threads)
  {
    std::vector<double> block(transform_.block_size(series)), line(transform_.work_size());
    PressureColumn column(model.parameters().levels);
    Profile profile{std::vector<double>(L), std::vector<double>(moist_ ? L : 0), std::vector<double>(L),
                    std::vector<double>(L)};
#pragma omp for schedule(dynamic)
    for (int b = 0; b < transform_.blocks(); ++b) {
      transform_.fourier_synthesis(b, series, fourier.data(), block.data(), line.data());
      for (int member = 0; member < 16; ++member) {
        const int row = transform_.row(b, member);
        if (row < 0) continue;
        const double mu = transform_.sines()[std::size_t(row)], per_cosine = 1 / std::sqrt((1 - mu) * (1 + mu));
        for (std::size_t x = 0; x < columns; ++x) {
          const auto at = [&](std::size_t s) { return block[(s * columns + x) * 16 + std::size_t(member)]; };
          for (std::size_t k = 0; k < L; ++k) {
            profile.u[k] = at(k) * per_cosine;
            profile.v[k] = at(L + k) * per_cosine;
            profile.temperature[k] = at(2 * L + k) + reference_temperature;
            if (moist_) profile.humidity[k] = at(vapour + k);
          }
          const double surface_pressure = reference_pressure * std::exp(at(single));
          column.set(profile.temperature, profile.humidity, surface_pressure, at(single + 1));
          const std::size_t place = std::size_t(row) * columns + x;
          const double fallen = !moist_ ? 0.0 : own_grid ? rain[place] : at(single + 2);
          for (std::size_t c = 0; c < channels_.size(); ++c)
            result.values[c * grid_.size() + place] =
                float(column_value(channels_[c], column, profile, surface_pressure, at(single + 1), fallen));
        }
      }
    }
  }
  return result;
}

}  // namespace zonda::model
