// Statistics against the plain computation in double over what the archive holds.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/ingest/archive/scratch_folder.hpp"
#include "tests/ingest/pipeline/synthetic_source.hpp"

namespace zonda::ingest {
namespace {

TEST(TrainingStatistics, AreThePlainOnes) {
  const ScratchFolder folder("ingest_statistics");
  IngestConfig config = synthetic_config();
  config.statistics.start = synthetic_time(3);
  config.statistics.end = synthetic_time(35);
  config.statistics.tendencies = {Duration(21600), Duration(86400)};
  run_ingest(config, parallel::Communicator::self(), folder.path(), synthetic());
  const ArchiveReader reader(folder.path());
  const Statistics& s = reader.statistics();
  EXPECT_EQ(s.first, synthetic_time(3));
  EXPECT_EQ(s.last, synthetic_time(35));
  ASSERT_EQ(s.tendencies.size(), 2U);
  const std::size_t size = reader.grid().size(), nlat = reader.grid().nlat();
  for (std::size_t c = 0; c < reader.channels().size(); ++c) {
    std::vector<std::vector<float>> x(reader.times().size(), std::vector<float>(size));
    for (std::size_t t = 0; t < x.size(); ++t) reader.read_channel(t, c, 0, nlat, x[t]);
    const auto moments = [&](std::size_t lag) {
      long double sum = 0, squares = 0;
      std::size_t n = 0;
      const auto value = [&](std::size_t t, std::size_t i) {
        return lag == 0 ? static_cast<long double>(x[t][i]) : static_cast<long double>(x[t + lag][i]) - x[t][i];
      };
      for (std::size_t t = 3; t + lag <= 35; ++t) {
        for (std::size_t i = 0; i < size; ++i, ++n) sum += value(t, i);
      }
      const long double mean = sum / static_cast<long double>(n);
      for (std::size_t t = 3; t + lag <= 35; ++t) {
        for (std::size_t i = 0; i < size; ++i) squares += (value(t, i) - mean) * (value(t, i) - mean);
      }
      return std::pair<double, double>(mean, std::sqrt(squares / static_cast<long double>(n)));
    };
    const auto [mean, deviation] = moments(0);
    EXPECT_NEAR(s.mean[c], mean, 1e-12 * std::abs(mean) + 1e-12);
    EXPECT_NEAR(s.stddev[c], deviation, 1e-11 * deviation);
    EXPECT_EQ(s.finite_fraction[c], 1.0);
    for (const std::size_t lag : {1UL, 4UL}) {
      const auto& tendency = s.tendencies.at(Duration(21600 * static_cast<long>(lag)));
      const auto [drift, spread] = moments(lag);
      EXPECT_NEAR(tendency.mean[c], drift, 1e-10 * spread);
      EXPECT_NEAR(tendency.stddev[c], spread, 1e-11 * spread);
    }
    float least = x[3][0], most = least;
    for (std::size_t t = 3; t <= 35; ++t) {
      for (const float v : x[t]) {
        least = std::min(least, v);
        most = std::max(most, v);
      }
    }
    EXPECT_EQ(s.minimum[c], static_cast<double>(least));
    EXPECT_EQ(s.maximum[c], static_cast<double>(most));
  }
}

}  // namespace
}  // namespace zonda::ingest
