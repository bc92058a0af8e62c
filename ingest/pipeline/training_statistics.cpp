#include "ingest/pipeline/training_statistics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.hpp"
#include "ingest/pipeline/agreement.hpp"
#include "parallel/canonical.hpp"
#include "parallel/partition.hpp"

namespace zonda::ingest {
namespace {

constexpr std::size_t kBlock = 16;  // time slots of one term of the tree
constexpr std::size_t kSums = 3;    // count, sum, sum of squares

/// Time slots of the training period, regular from its first time to its last; a declared gap has no index.
struct TrainingPeriod {
  std::vector<std::optional<std::size_t>> slots;  ///< index into the reader's times
  std::size_t times = 0;
  std::size_t blocks() const { return (slots.size() + kBlock - 1) / kBlock; }
};

TrainingPeriod training_period(const ArchiveReader& reader, const StatisticsConfig& config, Statistics& statistics) {
  const std::vector<Time>& times = reader.times();
  const Time from = config.start.value_or(times.front()), to = config.end.value_or(times.back());
  const auto first = std::lower_bound(times.begin(), times.end(), from),
             end = std::upper_bound(times.begin(), times.end(), to);
  if (first >= end) {
    fail(ErrorKind::usage, "statistics: the archive holds {} to {}, nothing of the training period {} to {}",
         to_string(times.front()), to_string(times.back()), to_string(from), to_string(to));
  }
  statistics.first = *first;
  statistics.last = *(end - 1);
  TrainingPeriod period;
  for (Time time = statistics.first; time <= statistics.last; time += reader.step()) {
    period.slots.push_back(reader.find_time(time));
    if (period.slots.back()) ++period.times;
  }
  return period;
}

std::vector<Duration> tendency_steps(const StatisticsConfig& config, Duration step, std::size_t slots) {
  using namespace std::chrono_literals;
  std::vector<Duration> steps = config.tendencies;
  const bool chosen = !steps.empty();
  if (!chosen) steps = {step, 6h, 12h, 24h};
  std::sort(steps.begin(), steps.end());
  steps.erase(std::unique(steps.begin(), steps.end()), steps.end());
  const auto fits = [&](Duration d) { return d % step == Duration(0) && static_cast<std::size_t>(d / step) < slots; };
  if (!chosen) std::erase_if(steps, [&](Duration d) { return !fits(d); });
  for (const Duration d : steps) {
    if (d % step != Duration(0)) {
      fail(ErrorKind::usage, "statistics.tendencies: {} is no multiple of the archive's step {}", to_string(d),
           to_string(step));
    }
    if (!fits(d)) fail(ErrorKind::usage, "statistics.tendencies: {} is longer than the training period", to_string(d));
  }
  return steps;
}

parallel::Range share_of(const TrainingPeriod& period, const parallel::Communicator& communicator) {
  return parallel::partition(period.blocks(), static_cast<std::size_t>(communicator.size()),
                             static_cast<std::size_t>(communicator.rank()));
}

/// Mean and standard deviation from sums about `reference`.
std::pair<double, double> mean_and_deviation(const double* sums, double reference) {
  const double shift = sums[1] / sums[0];
  return {reference + shift, std::sqrt(std::max(0.0, sums[2] / sums[0] - shift * shift))};
}

void merge_moments(const TrainingPeriod& period, const MomentsOf& moments, const ArchiveReader& reader,
                   const parallel::Communicator& communicator, Statistics& statistics) {
  const std::size_t channels = reader.channels().size(), width = channels * kSums;
  const parallel::Range blocks = share_of(period, communicator);
  std::vector<double> mine(blocks.size() * width, 0), reference(channels), total(width);
  std::vector<double> least(channels, std::numeric_limits<double>::infinity()), most(channels, -least[0]);
  on_every_rank(communicator, [&] {
    // Sums about the first time's mean lose no digits, and unlike Chan's update they add over the canonical tree.
    const Moments* start = moments(*period.slots.front());
    for (std::size_t c = 0; c < channels; ++c) reference[c] = start[c].mean;
    const std::size_t end = std::min(blocks.end * kBlock, period.slots.size());
    for (std::size_t slot = blocks.begin * kBlock; slot < end; ++slot) {
      if (!period.slots[slot]) continue;
      const Moments* here = moments(*period.slots[slot]);
      double* sums = mine.data() + (slot / kBlock - blocks.begin) * width;
      for (std::size_t c = 0; c < channels; ++c, sums += kSums) {
        if (here[c].count == 0) continue;
        const double shift = here[c].mean - reference[c];
        sums[0] += here[c].count;
        sums[1] += here[c].count * shift;
        sums[2] += here[c].m2 + here[c].count * shift * shift;
        least[c] = std::min(least[c], here[c].minimum);
        most[c] = std::max(most[c], here[c].maximum);
      }
    }
  });
  parallel::canonical_all_reduce(communicator, period.blocks(), width, std::span<const double>(mine),
                                 std::span<double>(total));
  communicator.all_reduce(std::span<double>(least), parallel::Reduction::min).wait();
  communicator.all_reduce(std::span<double>(most), parallel::Reduction::max).wait();
  const double points = static_cast<double>(period.times) * static_cast<double>(reader.grid().size());
  for (std::size_t c = 0; c < channels; ++c) {
    const double* sums = total.data() + c * kSums;
    if (sums[0] == 0) {
      fail(ErrorKind::data, "channel {} has no value between {} and {}", reader.channels()[c].name(),
           to_string(statistics.first), to_string(statistics.last));
    }
    const auto [mean, deviation] = mean_and_deviation(sums, reference[c]);
    statistics.mean.push_back(mean);
    statistics.stddev.push_back(deviation);
    statistics.finite_fraction.push_back(sums[0] / points);
  }
  statistics.minimum = std::move(least);
  statistics.maximum = std::move(most);
}

/// Adds x(t + d) - x(t) of this rank's blocks to `mine [step][block, channel, sums]`. Tile by tile: a ring holds one
/// tile of each time from t to the longest step after it, so that each chunk is read once.
void add_tendencies(const TrainingPeriod& period, const std::vector<std::size_t>& lags, const ArchiveReader& reader,
                    const std::vector<std::optional<float>>& fill, std::size_t tile_rows, parallel::Range blocks,
                    std::vector<std::vector<double>>& mine) {
  const std::size_t channels = reader.channels().size(), nlon = reader.grid().nlon(), nlat = reader.grid().nlat();
  const std::size_t first = blocks.begin * kBlock, end = std::min(blocks.end * kBlock, period.slots.size());
  const std::size_t depth = lags.back() + 1;
  std::vector<std::vector<float>> ring(depth);
  for (std::size_t row = 0; row < nlat; row += tile_rows) {
    const std::size_t rows = std::min(tile_rows, nlat - row), field = rows * nlon;
    for (std::vector<float>& tile : ring) tile.resize(channels * field);
    for (std::size_t ahead = first; ahead < end + lags.back(); ++ahead) {
      if (ahead < period.slots.size() && period.slots[ahead]) {
        reader.read(*period.slots[ahead], row, row + rows, ring[ahead % depth]);
      }
      if (ahead < first + lags.back()) continue;
      const std::size_t slot = ahead - lags.back();
      if (!period.slots[slot]) continue;
      for (std::size_t d = 0; d < lags.size(); ++d) {
        const std::size_t later = slot + lags[d];
        if (later >= period.slots.size() || !period.slots[later]) continue;
        double* sums = mine[d].data() + (slot / kBlock - blocks.begin) * channels * kSums;
#pragma omp parallel for schedule(static)
        for (std::ptrdiff_t k = 0; k < static_cast<std::ptrdiff_t>(channels); ++k) {
          const auto c = static_cast<std::size_t>(k);
          const DifferenceSums part =
              difference_sums(std::span<const float>(ring[slot % depth]).subspan(c * field, field),
                              std::span<const float>(ring[later % depth]).subspan(c * field, field), fill[c]);
          sums[c * kSums] += part.count;
          sums[c * kSums + 1] += part.sum;
          sums[c * kSums + 2] += part.squares;
        }
      }
    }
  }
}

}  // namespace

Statistics training_statistics(const ArchiveReader& reader, const StatisticsConfig& config, const MomentsOf& moments,
                               const std::vector<std::optional<float>>& fill, std::size_t tile_rows,
                               const parallel::Communicator& communicator) {
  Statistics statistics;
  const TrainingPeriod period = training_period(reader, config, statistics);
  const std::vector<Duration> steps = tendency_steps(config, reader.step(), period.slots.size());
  merge_moments(period, moments, reader, communicator, statistics);
  if (steps.empty()) return statistics;

  const std::size_t channels = reader.channels().size(), width = channels * kSums;
  const parallel::Range blocks = share_of(period, communicator);
  std::vector<std::size_t> lags;
  for (const Duration step : steps) lags.push_back(static_cast<std::size_t>(step / reader.step()));
  std::vector<std::vector<double>> mine(steps.size(), std::vector<double>(blocks.size() * width, 0));
  on_every_rank(communicator, [&] {
    if (blocks.size() > 0) add_tendencies(period, lags, reader, fill, tile_rows, blocks, mine);
  });
  for (std::size_t d = 0; d < steps.size(); ++d) {
    std::vector<double> total(width);
    parallel::canonical_all_reduce(communicator, period.blocks(), width, std::span<const double>(mine[d]),
                                   std::span<double>(total));
    Statistics::Tendency tendency;
    for (std::size_t c = 0; c < channels; ++c) {
      if (total[c * kSums] == 0) {
        fail(ErrorKind::usage, "statistics.tendencies: no two times of the training period lie {} apart",
             to_string(steps[d]));
      }
      const auto [mean, deviation] = mean_and_deviation(total.data() + c * kSums, 0);
      tendency.mean.push_back(mean);
      tendency.stddev.push_back(deviation);
    }
    statistics.tendencies[steps[d]] = std::move(tendency);
  }
  return statistics;
}

}  // namespace zonda::ingest
