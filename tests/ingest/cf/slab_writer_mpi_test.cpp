// Files that ranks write together, under mpirun. A folder is made in the working directory and taken away.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <limits>

#include "core/atomic_file.hpp"
#include "core/philox.hpp"
#include "ingest/cf/slab_writer.hpp"
#include "ingest/sources/source.hpp"
#include "parallel/counting.hpp"
#include "parallel/mpi_session.hpp"
#include "parallel/together.hpp"

namespace {

using namespace zonda;
namespace fs = std::filesystem;

parallel::MpiSession* session = nullptr;

const Grid grid = Grid::latlon(21, 16384, false);  // chunks of 4 rows
const std::vector<Channel> channels{{"msl"}, {"z", 500}, {"orog"}, {"z", 850}};
const Time start = parse_time("2020-01-01");

float value(std::size_t channel, std::size_t row, std::size_t column, int step) {
  static const Philox random(7, "slab writer");
  if (channel == 0 && row == 11 && column == 5) return std::numeric_limits<float>::quiet_NaN();
  return static_cast<float>(std::size_t{1000} * channel + row + 20 * static_cast<std::size_t>(step)) +
         static_cast<float>(random.uniform(row * grid.nlon() + column));
}

State rows_at(parallel::Range rows, int step) {
  State state(grid.sub_grid({.first_row = rows.begin, .rows = rows.size(), .first_column = 0, .columns = grid.nlon()}),
              channels, start + std::chrono::hours(step));
  for (std::size_t c = 0; c < channels.size(); ++c)
    for (std::size_t i = rows.begin; i < rows.end; ++i)
      for (std::size_t j = 0; j < grid.nlon(); ++j)
        state.field(c)[(i - rows.begin) * grid.nlon() + j] = value(c, i, j, step);
  return state;
}

void write_together(const fs::path& path, const parallel::Communicator& ranks, bool at_chunks) {
  std::vector<parallel::Range> rows;
  const auto size = static_cast<std::size_t>(ranks.size());
  for (std::size_t r = 0; r < size; ++r) {
    const auto cut = [&](std::size_t part) {
      return part == size ? grid.nlat() : at_chunks ? 20 * part / size / 4 * 4 : grid.nlat() * part / size;
    };
    rows.push_back({cut(r), cut(r + 1)});
  }
  ingest::CfOptions options;
  options.history = "fixed";
  options.reference_time = start;
  options.realization = 2;
  ingest::SlabWriter writer(path, grid, channels, options, ranks, rows, ingest::SlabWriting::collective);
  for (int step = 1; step <= 2; ++step) writer.write(rows_at(rows[static_cast<std::size_t>(ranks.rank())], step));
  EXPECT_FALSE(fs::exists(path)) << "the file appears only when it is whole";
  writer.close();
}

TEST(SlabWriter, EveryRankWritesItsRowsAndTheBytesAreTheSameOnAnyNumberOfRanks) {
  const parallel::Communicator& world = session->world();
  const fs::path folder = fs::path(ZONDA_BINARY_DIR) / ("slab_writer_" + std::to_string(world.size()));
  if (world.is_root()) fs::remove_all(folder);
  world.barrier();
  const parallel::Communicator one = world.split(world.rank(), 0);
  parallel::together(world, [&] {
    if (world.is_root()) write_together(folder / "alone.nc", one, true);
  });
  const auto traffic = std::make_shared<parallel::Traffic>();
  write_together(folder / "chunks.nc", parallel::counted(world, traffic), true);
  write_together(folder / "rows.nc", world, false);
  EXPECT_LT(traffic->bytes(), 2000U) << "fields passed from rank to rank";
  if (world.is_root()) {
    const std::string alone = read_file(folder / "alone.nc");
    EXPECT_TRUE(read_file(folder / "chunks.nc") == alone);
    EXPECT_TRUE(read_file(folder / "rows.nc") == alone);
    const auto source = ingest::open_source(folder / "rows.nc");
    std::size_t found = 0;
    for (const ingest::FieldKey& key : source->fields()) {
      const auto c =
          static_cast<std::size_t>(std::find(channels.begin(), channels.end(), key.channel) - channels.begin());
      ASSERT_LT(c, channels.size());
      const int step = c == 2 ? 1 : key.valid_time == start + std::chrono::hours(1) ? 1 : 2;
      std::vector<float> field(grid.size());
      source->read(key, field);
      for (std::size_t i = 0; i < grid.nlat(); ++i)
        for (std::size_t j = 0; j < grid.nlon(); ++j) {
          const float expected = value(c, i, j, step), got = field[i * grid.nlon() + j];
          if (!(got == expected || (std::isnan(got) && std::isnan(expected))))
            FAIL() << key.channel.name() << " row " << i << " column " << j << ": " << got << ", not " << expected;
        }
      ++found;
    }
    EXPECT_EQ(found, 7U);
    EXPECT_EQ(std::distance(fs::directory_iterator(folder), fs::directory_iterator()), 3) << "a temporary file stayed";
  }
  world.barrier();
  if (world.is_root()) fs::remove_all(folder);
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  parallel::MpiSession mpi(argc, argv);
  session = &mpi;
  int failed = 1;
  try {
    failed = RUN_ALL_TESTS();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rank %d: %s\n", mpi.world().rank(), error.what());
    mpi.abort(1);
  }
  std::int64_t all = failed;
  mpi.world().all_reduce(std::span(&all, 1), parallel::Reduction::max).wait();
  return static_cast<int>(all);
}
