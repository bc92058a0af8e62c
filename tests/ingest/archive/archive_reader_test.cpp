#include "ingest/archive/archive_reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <thread>

#include "core/checksum.hpp"
#include "core/error.hpp"
#include "tests/ingest/archive/scratch_folder.hpp"
#include "tests/ingest/archive/written_archive.hpp"

namespace zonda::ingest {
namespace {

SyntheticAtmosphere small_atmosphere() {
  std::vector<Channel> channels{{"2t", 0}, {"msl", 0}};
  for (const int level : {850, 500, 250}) {
    for (const char* name : {"z", "t", "u", "v", "q"}) channels.push_back({name, level});
  }
  return {Grid::latlon(61, 120, true), channels, 24};
}

std::vector<std::vector<float>> times_of(const SyntheticAtmosphere& atmosphere, std::size_t count) {
  std::vector<std::vector<float>> fields;
  for (std::size_t t = 0; t < count; ++t) fields.push_back(atmosphere.fields(archive_time(t)));
  return fields;
}

TEST(ArchiveReader, GivesBackWhatWasWrittenWithinTheKeptBits) {
  const ScratchFolder folder("archive_round_trip");
  const SyntheticAtmosphere atmosphere = small_atmosphere();
  const std::vector<std::vector<float>> original = times_of(atmosphere, 3);
  std::vector<std::vector<float>> stored = original;
  write_archive(folder.path(), atmosphere, 10, stored, 16);  // 61 rows: the last tile has 13
  const ArchiveReader reader(folder.path());
  ASSERT_TRUE(reader.grid() == atmosphere.grid);
  ASSERT_EQ(reader.channels(), atmosphere.channels);
  ASSERT_EQ(reader.times().size(), 3U);
  EXPECT_EQ(reader.find_time(archive_time(1)), 1U);
  EXPECT_FALSE(reader.find_time(archive_time(1) + Duration(1)));
  EXPECT_EQ(reader.step(), Duration(21600));

  std::vector<float> values(original[0].size());
  for (std::size_t t = 0; t < 3; ++t) {
    reader.read(t, 0, atmosphere.grid.nlat(), values);
    EXPECT_EQ(values, stored[t]);
    for (std::size_t i = 0; i < values.size(); ++i) {
      ASSERT_LE(std::abs(values[i] - original[t][i]), std::abs(original[t][i]) * std::exp2(-11.0F));
    }
  }
}

TEST(ArchiveReader, ReadsAnySlab) {
  const ScratchFolder folder("archive_slab");
  const SyntheticAtmosphere atmosphere = small_atmosphere();
  std::vector<std::vector<float>> stored = times_of(atmosphere, 2);
  write_archive(folder.path(), atmosphere, 12, stored, 7);
  const ArchiveReader reader(folder.path());
  const std::size_t nlat = 61, nlon = 120, channels = atmosphere.channels.size();
  for (const auto& [begin, end] : {std::pair{0UL, 1UL}, {6UL, 8UL}, {13UL, 50UL}, {60UL, 61UL}, {0UL, 61UL}}) {
    std::vector<float> slab(channels * (end - begin) * nlon);
    reader.read(1, begin, end, slab);
    for (std::size_t c = 0; c < channels; ++c) {
      const auto* expected = stored[1].data() + (c * nlat + begin) * nlon;
      const auto* got = slab.data() + c * (end - begin) * nlon;
      ASSERT_TRUE(std::equal(got, got + (end - begin) * nlon, expected)) << "channel " << c << " rows " << begin;
      std::vector<float> alone((end - begin) * nlon);
      reader.read_channel(1, c, begin, end, alone);
      ASSERT_TRUE(std::equal(alone.begin(), alone.end(), expected));
    }
  }
  std::vector<float> wrong(7);
  EXPECT_THROW(reader.read(0, 0, 1, wrong), Error);
  EXPECT_THROW(reader.read(2, 0, 1, wrong), Error);
}

TEST(ArchiveReader, ServesManyThreads) {
  const ScratchFolder folder("archive_threads");
  const SyntheticAtmosphere atmosphere = small_atmosphere();
  std::vector<std::vector<float>> stored = times_of(atmosphere, 4);
  write_archive(folder.path(), atmosphere, 10, stored, 16);
  const ArchiveReader reader(folder.path());
  std::vector<int> wrong(6, 0);
  std::vector<std::thread> threads;
  for (std::size_t k = 0; k < wrong.size(); ++k) {
    threads.emplace_back([&, k] {
      std::vector<float> values(stored[0].size());
      for (std::size_t i = 0; i < 20; ++i) {
        const std::size_t time = (i * 7 + k) % 4;
        reader.read(time, 0, 61, values);
        wrong[k] += values == stored[time] ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, testing::Each(0));
}

TEST(ArchiveReader, GivesStaticsAndStatistics) {
  const ScratchFolder folder("archive_statics");
  const SyntheticAtmosphere atmosphere = small_atmosphere();
  std::vector<std::vector<float>> stored = times_of(atmosphere, 2);
  const Manifest manifest = write_archive(folder.path(), atmosphere, 10, stored);
  const ArchiveReader reader(folder.path());
  ASSERT_EQ(reader.static_channels().size(), 1U);
  EXPECT_EQ(reader.static_channels()[0].name(), "orog");
  const std::vector<float> expected = SyntheticAtmosphere{atmosphere.grid, {{"orog", 0}}}.fields(archive_time(0));
  EXPECT_TRUE(std::ranges::equal(reader.static_field(0), expected));
  EXPECT_EQ(reader.statistics().stddev, manifest.statistics.stddev);
  EXPECT_EQ(reader.statistics().minimum, manifest.statistics.minimum);
  EXPECT_EQ(reader.statistics().tendencies.at(Duration(21600)).stddev[0], 0.7);
  EXPECT_EQ(reader.identity(), manifest.identity);
  EXPECT_EQ(reader.identity().size(), 64U);
}

TEST(UnitWriter, BytesDependOnTheValuesAlone) {
  const ScratchFolder folder("archive_bytes");
  const SyntheticAtmosphere atmosphere = small_atmosphere();
  const int before = omp_get_max_threads();
  std::vector<std::string> sums;
  for (const int threads : {1, 2, 5}) {
    omp_set_num_threads(threads);
    std::vector<std::vector<float>> stored = times_of(atmosphere, 3);
    const std::filesystem::path place = folder.path() / std::to_string(threads);
    write_archive(place, atmosphere, 10, stored, 16);
    sums.push_back(sha256_file(place));
  }
  omp_set_num_threads(before);
  EXPECT_EQ(sums[0], sums[1]);
  EXPECT_EQ(sums[0], sums[2]);
}

TEST(UnitWriter, LeavesNothingWithoutClose) {
  const ScratchFolder folder("archive_unclosed");
  const SyntheticAtmosphere atmosphere = small_atmosphere();
  std::vector<float> values = atmosphere.fields(archive_time(0));
  {
    UnitWriter writer(folder.path() / "fields-a.h5", layout_of(atmosphere, 10), {archive_time(0), archive_time(1)});
    writer.write(values);
    EXPECT_THROW(writer.close(), Error);
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace zonda::ingest
