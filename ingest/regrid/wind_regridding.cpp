// Winds as three-dimensional Cartesian vectors.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/constants.hpp"
#include "core/error.hpp"
#include "ingest/regrid/weights.hpp"

namespace zonda::ingest {
namespace {

struct Trigonometry {
  std::vector<double> sin_lat, cos_lat, sin_lon, cos_lon;
  explicit Trigonometry(const Grid& grid) {
    constexpr double degree = constants::pi / 180.0;
    for (const double x : grid.latitudes()) {
      sin_lat.push_back(std::sin(x * degree));
      cos_lat.push_back(std::abs(x) == 90.0 ? 0.0 : std::cos(x * degree));
    }
    for (const double x : grid.longitudes()) {
      sin_lon.push_back(std::sin(x * degree));
      cos_lon.push_back(std::cos(x * degree));
    }
  }
};

/// Sums over one target row's source rows, one line of source columns each.
struct Lines {
  explicit Lines(std::size_t n) : x(n), y(n), z(n), valid(n) {}
  void clear() {
    for (auto* line : {&x, &y, &z, &valid}) std::fill(line->begin(), line->end(), 0.0);
  }
  std::vector<double> x, y, z, valid;
};

/// The source row's wind with weight w: east = (-sin lon, cos lon, 0), north = (-sin lat cos lon, -sin lat sin lon, cos
/// lat).
void add_row(const Trigonometry& t, std::size_t row, const float* u, const float* v, double w, Lines& lines) {
  const double s = t.sin_lat[row], c = t.cos_lat[row];
  for (std::size_t j = 0; j < lines.x.size(); ++j) {
    const auto east = static_cast<double>(u[j]), north = static_cast<double>(v[j]);
    if (std::isnan(east) || std::isnan(north)) continue;
    lines.x[j] += w * (-east * t.sin_lon[j] - north * s * t.cos_lon[j]);
    lines.y[j] += w * (east * t.cos_lon[j] - north * s * t.sin_lon[j]);
    lines.z[j] += w * (north * c);
    lines.valid[j] += w;
  }
}

/// The mean vector of a polar row stands at the pole, over all columns.
void add_pole(const Trigonometry& t, std::size_t row, const float* u, const float* v, double w, Lines& lines) {
  const std::size_t n = lines.x.size();
  Lines polar(n);
  add_row(t, row, u, v, 1.0 / static_cast<double>(n), polar);
  const auto spread = [n, w](const std::vector<double>& from, std::vector<double>& to) {
    double sum = 0;
    for (const double value : from) sum += value;
    for (std::size_t j = 0; j < n; ++j) to[j] += w * sum;
  };
  spread(polar.x, lines.x);
  spread(polar.y, lines.y);
  spread(polar.z, lines.z);
  spread(polar.valid, lines.valid);
}

}  // namespace

void Regridder::apply_wind(std::span<const float> u_in, std::span<const float> v_in, std::span<float> u_out,
                           std::span<float> v_out, int threads) const {
  const Weights& w = *weights_;
  const std::size_t fields = count_fields(w, u_in.size(), u_out.size());
  if (v_in.size() != u_in.size() || v_out.size() != u_out.size()) {
    fail(ErrorKind::failure, "regridding winds: {} eastward but {} northward values", u_in.size(), v_in.size());
  }
  if (w.source == w.target) {
    std::copy(u_in.begin(), u_in.end(), u_out.begin());
    std::copy(v_in.begin(), v_in.end(), v_out.begin());
    return;
  }
  const Trigonometry from(w.source), to(w.target);
  const std::size_t nlat = w.source.nlat(), nlon = w.source.nlon(), rows = w.target.nlat(), columns = w.target.nlon();
  share_work(fields * rows, threads, [&](std::size_t begin, std::size_t end) {
    Lines lines(nlon);
    for (std::size_t item = begin; item < end; ++item) {
      const std::size_t i = item % rows;
      const float* u = u_in.data() + item / rows * w.source.size();
      const float* v = v_in.data() + item / rows * w.source.size();
      lines.clear();
      for (std::uint32_t k = w.rows.begin[i]; k < w.rows.begin[i + 1]; ++k) {
        const std::size_t index = w.rows.index[k];
        if (index < nlat) {
          add_row(from, index, u + index * nlon, v + index * nlon, w.rows.weight[k], lines);
        } else {
          const std::size_t row = index == nlat ? 0 : nlat - 1;
          add_pole(from, row, u + row * nlon, v + row * nlon, w.rows.weight[k], lines);
        }
      }
      std::uint32_t c = 0;
      for (std::size_t j = 0; j < columns; ++j) {
        double x = 0, y = 0, z = 0, valid = 0;
        for (; c < w.columns.begin[j + 1]; ++c) {
          const std::size_t column = w.columns.index[c];
          x += w.columns.weight[c] * lines.x[column];
          y += w.columns.weight[c] * lines.y[column];
          z += w.columns.weight[c] * lines.z[column];
          valid += w.columns.weight[c] * lines.valid[column];
        }
        const bool enough = valid > 0 && valid >= w.minimum_valid - 1e-9;
        const double scale = enough ? 1 / valid : std::numeric_limits<double>::quiet_NaN();
        const double east = -x * to.sin_lon[j] + y * to.cos_lon[j];
        const double north = -to.sin_lat[i] * (x * to.cos_lon[j] + y * to.sin_lon[j]) + z * to.cos_lat[i];
        u_out[item * columns + j] = static_cast<float>(scale * east);
        v_out[item * columns + j] = static_cast<float>(scale * north);
      }
    }
  });
}

}  // namespace zonda::ingest
