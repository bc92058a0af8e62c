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

/// One target row of both components. `first_row`: the source row at `u` and `v`.
class WindRow {
 public:
  WindRow(const Regridder::Weights& weights, const Trigonometry& from, const Trigonometry& to)
      : w_(weights), from_(from), to_(to), lines_(weights.source.nlon()) {}

  void operator()(std::size_t target_row, const float* u, const float* v, std::size_t first_row, float* u_out,
                  float* v_out) {
    const std::size_t nlat = w_.source.nlat(), nlon = w_.source.nlon();
    lines_.clear();
    for (std::uint32_t k = w_.rows.begin[target_row]; k < w_.rows.begin[target_row + 1]; ++k) {
      const std::size_t index = w_.rows.index[k];
      const bool polar = index >= nlat;
      const std::size_t row = !polar ? index : index == nlat ? 0 : nlat - 1, at = (row - first_row) * nlon;
      (polar ? add_pole : add_row)(from_, row, u + at, v + at, w_.rows.weight[k], lines_);
    }
    std::uint32_t c = 0;
    for (std::size_t j = 0; j < w_.columns.targets(); ++j) {
      double x = 0, y = 0, z = 0, valid = 0;
      for (; c < w_.columns.begin[j + 1]; ++c) {
        const std::size_t column = w_.columns.index[c];
        x += w_.columns.weight[c] * lines_.x[column];
        y += w_.columns.weight[c] * lines_.y[column];
        z += w_.columns.weight[c] * lines_.z[column];
        valid += w_.columns.weight[c] * lines_.valid[column];
      }
      const bool enough = valid > 0 && valid >= w_.minimum_valid - 1e-9;
      const double scale = enough ? 1 / valid : std::numeric_limits<double>::quiet_NaN();
      const double east = -x * to_.sin_lon[j] + y * to_.cos_lon[j];
      const double north =
          -to_.sin_lat[target_row] * (x * to_.cos_lon[j] + y * to_.sin_lon[j]) + z * to_.cos_lat[target_row];
      u_out[j] = static_cast<float>(scale * east);
      v_out[j] = static_cast<float>(scale * north);
    }
  }

 private:
  const Regridder::Weights& w_;
  const Trigonometry &from_, &to_;
  Lines lines_;
};

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
  const std::size_t rows = w.target.nlat(), columns = w.target.nlon();
  share_work(fields * rows, threads, [&](std::size_t begin, std::size_t end) {
    WindRow product(w, from, to);
    for (std::size_t item = begin; item < end; ++item) {
      const std::size_t field = item / rows * w.source.size(), out = item * columns;
      product(item % rows, u_in.data() + field, v_in.data() + field, 0, u_out.data() + out, v_out.data() + out);
    }
  });
}

void Regridder::apply_wind_rows(Rows target, std::span<const float> u_in, std::span<const float> v_in,
                                std::span<float> u_out, std::span<float> v_out) const {
  const Weights& w = *weights_;
  const Rows rows = source_rows(target);
  const std::size_t wanted = rows.size() * w.source.nlon(), made = target.size() * w.target.nlon();
  if (u_in.size() != wanted || v_in.size() != wanted || u_out.size() != made || v_out.size() != made) {
    fail(ErrorKind::failure,
         "regridding winds on rows {} to {} takes {} values a component and gives {}, not {} and {} values to {} and "
         "{}",
         target.begin, target.end, wanted, made, u_in.size(), v_in.size(), u_out.size(), v_out.size());
  }
  if (w.source == w.target) {
    const std::size_t first = (target.begin - rows.begin) * w.source.nlon();
    std::ranges::copy(u_in.subspan(first, made), u_out.begin());
    std::ranges::copy(v_in.subspan(first, made), v_out.begin());
    return;
  }
  const Trigonometry from(w.source), to(w.target);
  WindRow product(w, from, to);
  for (std::size_t i = target.begin; i < target.end; ++i) {
    const std::size_t out = (i - target.begin) * w.target.nlon();
    product(i, u_in.data(), v_in.data(), rows.begin, u_out.data() + out, v_out.data() + out);
  }
}

}  // namespace zonda::ingest
