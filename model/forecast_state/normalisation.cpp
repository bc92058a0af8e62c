#include "model/forecast_state/normalisation.hpp"

#include <cmath>

#include "core/error.hpp"
#include "ingest/archive/archive_reader.hpp"

namespace zonda::model {
namespace {

double usable(double stddev, double mean, const std::string& channel, std::string_view what) {
  if (!std::isfinite(stddev) || !std::isfinite(mean) || stddev < 0)
    fail(ErrorKind::data, "statistics of {}: {} {} is no standard deviation", channel, what, stddev);
  // Rounding noise of a constant is not a variation.
  return stddev > 1e-12 * std::abs(mean) && stddev > 0 ? stddev : 1;
}

}  // namespace

Normalisation Normalisation::from_statistics(const ingest::Statistics& statistics, std::span<const Channel> channels,
                                             std::span<const Duration> steps) {
  Normalisation n;
  if (statistics.mean.size() != channels.size() || statistics.stddev.size() != channels.size())
    fail(ErrorKind::data, "statistics of {} channels for an archive of {}", statistics.mean.size(), channels.size());
  n.mean = statistics.mean;
  n.stddev.resize(channels.size());
  for (std::size_t c = 0; c < channels.size(); ++c)
    n.stddev[c] = usable(statistics.stddev[c], statistics.mean[c], channels[c].name(), "standard deviation");
  for (const Duration step : steps) {
    const auto found = statistics.tendencies.find(step);
    if (found == statistics.tendencies.end()) {
      std::string known;
      for (const auto& [duration, tendency] : statistics.tendencies)
        known += (known.empty() ? "" : ", ") + to_string(duration);
      fail(ErrorKind::data, "the archive has no tendency statistics for a step of {} (it has: {})", to_string(step),
           known.empty() ? "none" : known);
    }
    std::vector<double>& ratio = n.tendency_stddev[step];
    ratio.resize(channels.size());
    for (std::size_t c = 0; c < channels.size(); ++c) {
      const double stddev = found->second.stddev.at(c);
      ratio[c] = channels[c].info().accumulated
                     ? n.stddev[c]
                     : usable(stddev, n.stddev[c], channels[c].name(), "tendency's standard deviation");
    }
  }
  return n;
}

int Normalisation::normalise(std::span<float> fields) const {
  const std::size_t points = fields.size() / mean.size();
  int broken = -1;
  for (std::size_t c = 0; c < mean.size(); ++c) {
    const double m = mean[c], scale = 1 / stddev[c];
    float* field = fields.data() + c * points;
    float finite = 0;
    for (std::size_t i = 0; i < points; ++i) {
      field[i] = static_cast<float>((field[i] - m) * scale);
      finite += field[i] * 0.0F;  // 0, or NaN for ever
    }
    if (broken < 0 && !(finite == 0)) broken = static_cast<int>(c);
  }
  return broken;
}

void Normalisation::restore(std::span<float> fields) const {
  const std::size_t points = fields.size() / mean.size();
  for (std::size_t c = 0; c < mean.size(); ++c) {
    float* field = fields.data() + c * points;
    for (std::size_t i = 0; i < points; ++i) field[i] = static_cast<float>(field[i] * stddev[c] + mean[c]);
  }
}

double Normalisation::tendency_ratio(Duration step, std::size_t channel) const {
  const auto found = tendency_stddev.find(step);
  if (found == tendency_stddev.end()) fail(ErrorKind::usage, "the model has no step of {}", to_string(step));
  return found->second[channel] / stddev[channel];
}

}  // namespace zonda::model
