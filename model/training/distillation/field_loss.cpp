#include "model/training/distillation/field_loss.hpp"

#include <cmath>

namespace zonda::model {

Interior::Interior(const Grid& grid, const BoundaryRing& ring)
    : rows_(grid.nlat() - 2 * static_cast<std::size_t>(ring.width())),
      columns_(grid.nlon() - 2 * static_cast<std::size_t>(ring.width())) {
  double total = 0;
  for (std::size_t cell = 0; cell < grid.size(); ++cell) {
    if (!ring.interior(cell)) continue;
    cells_.push_back(cell);
    weights_.push_back(grid.area(cell));
    total += weights_.back();
  }
  for (double& weight : weights_) weight *= static_cast<double>(weights_.size()) / total;
}

std::vector<double> Interior::take(std::span<const float> field) const {
  std::vector<double> values;
  values.reserve(size());
  for (const std::size_t cell : cells_) values.push_back(field[cell]);
  return values;
}

double squared_error(const Interior& interior, std::span<const float> x, std::span<const float> wanted, double unit,
                     double factor, std::span<float> gradient) {
  const double n = static_cast<double>(interior.size()), scale = 1 / (unit * unit);
  double sum = 0;
  for (std::size_t i = 0; i < interior.size(); ++i) {
    const std::size_t cell = interior.cells()[i];
    const double error = static_cast<double>(x[cell]) - wanted[cell], weight = interior.weights()[i] / n;
    sum += weight * error * error;
    gradient[cell] += static_cast<float>(factor * 2 * weight * error * scale);
  }
  return sum * scale;
}

double spectral_error(const Interior& interior, const CosineSpectrum& spectrum, std::span<const FieldPair> samples,
                      double factor) {
  const std::size_t size = interior.size();
  std::vector<double> modes(samples.size() * size), theirs(size);
  std::vector<double> power(spectrum.bands()), asked(spectrum.bands()), weights;
  const std::size_t resolved = spectrum.bands_down_to(shortest_resolved_wave);
  // Fields are normalised: what is below a thousandth of a standard deviation does not count.
  const double least = 1e-6 * static_cast<double>(size);
  const auto of = [&](std::size_t s) { return std::span(modes).subspan(s * size, size); };
  for (std::size_t s = 0; s < samples.size(); ++s) {
    std::vector<double> here(spectrum.bands()), wanted(spectrum.bands());
    spectrum.transform(interior.take(samples[s].x), of(s));
    spectrum.add_power(of(s), here);
    spectrum.transform(interior.take(samples[s].wanted), theirs);
    spectrum.add_power(theirs, wanted);
    double scale = 0;
    for (std::size_t b = 0; b < resolved; ++b) scale += std::log(wanted[b] + least);
    weights.push_back(std::exp(-scale / static_cast<double>(resolved)));
    for (std::size_t b = 0; b < resolved; ++b) {
      power[b] += weights[s] * (here[b] + least);
      asked[b] += weights[s] * (wanted[b] + least);
    }
  }
  double sum = 0;
  std::vector<double> slope(spectrum.bands());
  for (std::size_t b = 0; b < resolved; ++b) {
    const double difference = std::sqrt(power[b]) - std::sqrt(asked[b]),
                 scale = asked[b] * static_cast<double>(resolved);
    sum += difference * difference / scale;
    slope[b] = 2 * difference / scale / std::sqrt(power[b]);
  }
  std::vector<double> back(size);
  for (std::size_t s = 0; s < samples.size(); ++s) {
    const auto mine = of(s);
    mine[0] = 0;
    for (std::size_t i = 1; i < size; ++i) mine[i] *= weights[s] * slope[spectrum.band(i)];
    spectrum.inverse(mine, back);
    for (std::size_t i = 0; i < size; ++i)
      samples[s].gradient[interior.cells()[i]] += static_cast<float>(factor * back[i]);
  }
  return sum;
}

}  // namespace zonda::model
