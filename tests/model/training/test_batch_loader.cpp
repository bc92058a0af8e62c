#include <gtest/gtest.h>

#include "core/error.hpp"
#include "ingest/archive/archive_reader.hpp"
#include "model/training/archive_layout.hpp"
#include "model/training/batch_loader.hpp"
#include "tests/model/training/turning_waves.hpp"

namespace zonda::model {
namespace {

struct BatchLoaderTest : testing::Test {
  TemporaryFolder folder;
  TurningWaves waves{.times = 30};
  std::unique_ptr<ingest::ArchiveReader> archive;
  std::unique_ptr<ForecastLayout> layout;
  void open() {
    archive = std::make_unique<ingest::ArchiveReader>(folder / "archive");
    layout = std::make_unique<ForecastLayout>(
        layout_of_archive(*archive, {Duration(21600), Duration(43200)}, {"cos_day_of_year"}, Target::tendency));
  }
  static std::vector<Example> examples_of(std::int64_t batch) {
    const auto i = static_cast<std::size_t>(batch);
    return {{2 + i % 20, Duration(21600)}, {4 + i * 7 % 20, Duration(43200)}};
  }
};

TEST_F(BatchLoaderTest, BatchesComeInOrderAndHoldTheArchivesFields) {
  waves.write(folder / "archive");
  open();
  const std::size_t state = layout->output_channels() * layout->points();
  for (const auto& [threads, ahead, bytes] : {std::tuple{1, 1, 0.0}, {3, 4, 1e9}, {4, 2, 2e4}}) {
    FieldCache cache(*archive, *layout, static_cast<std::size_t>(bytes));
    BatchLoader loader(*archive, *layout, cache, examples_of, 2, 5, 45, threads, ahead);
    for (std::int64_t i = 5; i < 45; ++i) {
      const Batch& batch = loader.next();
      ASSERT_EQ(batch.index, i);
      ASSERT_EQ(batch.examples, examples_of(i));
      ASSERT_EQ(batch.states.size(), 2 * 4 * state);
      for (std::size_t s = 0; s < 2; ++s)
        for (int k = -1; k <= 2; ++k) {
          const Time time = archive->times()[batch.examples[s].time_index] + k * batch.examples[s].step;
          std::vector<float> expected(state);
          archive->read(*archive->find_time(time), 0, layout->grid.nlat(), expected);
          layout->normalisation.normalise(expected);
          const auto begin =
              batch.states.begin() + static_cast<std::ptrdiff_t>((s * 4 + static_cast<std::size_t>(k + 1)) * state);
          ASSERT_TRUE(std::equal(expected.begin(), expected.end(), begin));
        }
    }
    EXPECT_THROW(loader.next(), Error);
    EXPECT_GE(cache.bytes_read(), 20 * state * sizeof(float));
  }
}

TEST_F(BatchLoaderTest, TheCacheReadsEachFieldOnceAndKeepsItsBound) {
  waves.write(folder / "archive");
  open();
  const std::size_t state = layout->output_channels() * layout->points() * sizeof(float);
  FieldCache whole(*archive, *layout, 1 << 30), none(*archive, *layout, 0);
  for (int pass = 0; pass < 3; ++pass)
    for (std::size_t t = 0; t < 10; ++t) {
      EXPECT_EQ(*whole.state(t), *none.state(t));
      whole.forcing(archive->times()[t]);
    }
  EXPECT_EQ(whole.bytes_read(), 10 * state);
  EXPECT_EQ(none.bytes_read(), 30 * state);
}

TEST_F(BatchLoaderTest, AMissingValueIsNamedWithChannelAndTime) {
  waves.write(folder / "archive", [&](std::size_t t, std::vector<float>& fields) {
    if (t == 9) fields[waves.grid.size() + 3] = std::numeric_limits<float>::quiet_NaN();
  });
  open();
  FieldCache cache(*archive, *layout, 1 << 30);
  BatchLoader loader(*archive, *layout, cache, examples_of, 1, 0, 40, 2, 2);
  try {
    for (int i = 0; i < 40; ++i) loader.next();
    FAIL() << "a NaN was not found";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    EXPECT_NE(std::string(error.what()).find("t850 at 2001-03-03T06:00:00Z"), std::string::npos) << error.what();
  }
}

TEST_F(BatchLoaderTest, ALoaderMayBeLeftEarly) {
  waves.write(folder / "archive");
  open();
  FieldCache cache(*archive, *layout, 0);
  BatchLoader loader(*archive, *layout, cache, examples_of, 1, 0, 1'000'000, 2, 3);
  EXPECT_EQ(loader.next().index, 0);
}

}  // namespace
}  // namespace zonda::model
