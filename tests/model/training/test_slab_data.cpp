// What a slab of latitude is fed: the rows of what the whole grid is fed, bit for bit, and no others are read.
#include <gtest/gtest.h>

#include "core/error.hpp"
#include "ingest/archive/archive_reader.hpp"
#include "model/training/archive_layout.hpp"
#include "model/training/batch_loader.hpp"
#include "model/training/staged_batch.hpp"
#include "tests/model/training/turning_waves.hpp"

namespace zonda::model {
namespace {

const Duration d{6 * 3600};

struct SlabData : testing::Test {
  TemporaryFolder folder;
  TurningWaves waves{.grid = Grid::latlon(17, 16, true), .times = 12, .tile_rows = 4};
  std::unique_ptr<ingest::ArchiveReader> archive;
  std::unique_ptr<ForecastLayout> layout;
  // Of four slabs, the last holding the row that patches share.
  const std::vector<parallel::Range> slabs{{0, 4}, {4, 8}, {8, 12}, {12, 17}};

  void SetUp() override {
    waves.write(folder / "archive");
    archive = std::make_unique<ingest::ArchiveReader>(folder / "archive");
    layout = std::make_unique<ForecastLayout>(
        layout_of_archive(*archive, {d, 2 * d}, {"insolation", "cos_local_time"}, Target::tendency));
  }
  Batch batch_of(FieldCache& cache) const {
    Batch batch;
    batch.count = 2;
    batch.examples = {{2, d}, {3, 2 * d}, {5, d}};
    load_batch(*archive, *layout, cache, batch);
    return batch;
  }
  /// Rows of each field of `images` [n, lat, lon].
  std::vector<float> rows_of(std::span<const float> images, parallel::Range rows) const {
    std::vector<float> part;
    const std::size_t nlon = layout->grid.nlon();
    for (std::size_t field = 0; field < images.size() / layout->points(); ++field) {
      const auto values = images.subspan(field * layout->points() + rows.begin * nlon, rows.size() * nlon);
      part.insert(part.end(), values.begin(), values.end());
    }
    return part;
  }
};

TEST_F(SlabData, BatchesAreRowsOfTheWholeFields) {
  FieldCache whole(*archive, *layout, 1 << 30);
  const Batch expected = batch_of(whole);
  for (const parallel::Range rows : slabs) {
    FieldCache cache(*archive, *layout, 1 << 30, rows);
    const Batch batch = batch_of(cache);
    EXPECT_EQ(batch.states, rows_of(expected.states, rows));
    EXPECT_EQ(batch.forcings, rows_of(expected.forcings, rows));
    EXPECT_EQ(cache.bytes_read() * layout->grid.nlat(), whole.bytes_read() * rows.size());
  }
}

TEST_F(SlabData, TilesOfOtherSlabsAreNotRead) {
  const auto stored = [&](parallel::Range rows) {
    const std::uint64_t before = archive->bytes_read();
    FieldCache cache(*archive, *layout, 1 << 30, rows);
    batch_of(cache);
    return archive->bytes_read() - before;
  };
  const std::uint64_t whole = stored({0, 17});
  std::uint64_t sum = 0;
  for (const parallel::Range rows : slabs) {
    sum += stored(rows);
    EXPECT_LT(stored(rows), 2 * whole / slabs.size());
  }
  EXPECT_EQ(sum, whole) << "slabs end with tiles";
  EXPECT_EQ(stored({3, 5}), stored({0, 8})) << "a slab that cuts tiles reads them whole";
}

TEST_F(SlabData, StagedImagesAreRowsOfTheWholeTurnedAndNoisyOnes) {
  const Augmentation augmentation{.input_noise = 0.1, .roll_longitude = true, .seed = 4};
  const std::size_t chosen[] = {2, 0};
  const auto staged = [&](parallel::Range rows) {
    const ForecastStep step(*layout, rows);
    FieldCache cache(*archive, *layout, 1 << 30, rows);
    const Batch batch = batch_of(cache);
    StagedBatch images(step, host_memory(), 2, 2);
    images.stage(batch, chosen, 40, archive->times(), augmentation);
    EXPECT_EQ(images.state_shape()[2], static_cast<std::int64_t>(rows.size()));
    const auto fields = images.given(0).image.span<float>();
    return std::vector<float>(fields.begin(), fields.end());
  };
  const std::vector<float> whole = staged({0, 17});
  for (const parallel::Range rows : slabs) EXPECT_EQ(staged(rows), rows_of(whole, rows));
}

TEST_F(SlabData, AStepOfRowsThatAreNotThereIsRefused) {
  EXPECT_THROW(ForecastStep(*layout, {4, 18}), Error);
}

}  // namespace
}  // namespace zonda::model
