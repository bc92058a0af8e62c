// Where forecasts start: files on another grid than the model's, read and regridded by rows.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

#include "inference/rollout/initial_states.hpp"
#include "ingest/cf/cf_writer.hpp"
#include "ingest/regrid/regridder.hpp"
#include "ingest/sources/source.hpp"
#include "parallel/partition.hpp"
#include "tests/model/training/turning_waves.hpp"

namespace {
std::atomic<std::size_t> largest_allocation{0};
}

[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  std::size_t known = largest_allocation;
  while (size > known && !largest_allocation.compare_exchange_weak(known, size)) {
  }
  return std::malloc(size);
}
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (void* memory = operator new(size, std::nothrow)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace zonda::inference {
namespace {

struct InitialStatesTest : testing::Test {
  TemporaryFolder folder;
  TurningWaves waves{.grid = Grid::latlon(181, 360, true),
                     .channels = {{"t", 850}, {"u", 500}, {"u", 850}, {"v", 500}, {"v", 850}, {"10v", 0}, {"10u", 0}}};
  // v850 and 10u are there, but the model steps neither.
  model::ForecastLayout layout{
      .grid = Grid::latlon(60, 120, false),
      .channels = {{"v", 500}, {"t", 850}, {"u", 850}, {"u", 500}, {"10v", 0}},
      .static_channels = {},
      .static_fields = {},
      .forcings = {},
      .steps = {Duration{21600}},
      .target = model::Target::tendency,
      .normalisation = {.mean = {1, 280, 0, 2, 0}, .stddev = {8, 9, 7, 6, 5}, .tendency_stddev = {}},
      .trained_lead = Duration{0}};
  std::filesystem::path file = folder / "states.nc";

  void SetUp() override {
    ingest::CfWriter writer(file, waves.grid, waves.channels, {});
    State state(waves.grid, waves.channels, waves.first);
    state.values = waves.fields(0);
    writer.write(state);
    writer.close();
  }
  std::vector<float> rows(const InitialStates& states, parallel::Range range) const {
    std::vector<float> values(layout.channels.size() * range.size() * layout.grid.nlon());
    states.read(waves.first, range, values);
    return values;
  }
};

TEST_F(InitialStatesTest, WindsOfAnotherGridTurnAsVectors) {
  const std::vector<float> read = rows(*states_of_files({file}, {}, layout), {0, 60});
  const auto source = ingest::open_source(file);
  const auto field = [&](const Channel& channel) {
    std::vector<float> values(waves.grid.size());
    source->read(source->fields_of(channel).front(), values);
    return values;
  };
  const ingest::Regridder regridder(waves.grid, layout.grid, ingest::RegridMethod::bilinear);
  std::vector<float> wanted(read.size());
  const std::size_t size = layout.points();
  const auto out = [&](std::size_t c) { return std::span(wanted).subspan(c * size, size); };
  std::vector<float> unasked(size);
  regridder.apply_wind(field({"u", 500}), field({"v", 500}), out(3), out(0));
  regridder.apply_wind(field({"u", 850}), field({"v", 850}), out(2), unasked);
  regridder.apply_wind(field({"10u", 0}), field({"10v", 0}), unasked, out(4));
  regridder.apply(field({"t", 850}), out(1));
  ASSERT_EQ(layout.normalisation.normalise(wanted), -1);
  EXPECT_EQ(read, wanted);
}

TEST_F(InitialStatesTest, RanksReadTheBitsOfTheWhole) {
  const auto states = states_of_files({file}, {}, layout);
  const std::vector<float> whole = rows(*states, {0, 60});
  const std::size_t columns = layout.grid.nlon();
  for (const std::size_t ranks : {2U, 4U, 7U})
    for (std::size_t rank = 0; rank < ranks; ++rank) {
      const parallel::Range mine = parallel::partition(60, ranks, rank);
      const std::vector<float> part = rows(*states, mine);
      for (std::size_t c = 0; c < layout.channels.size(); ++c)
        EXPECT_EQ(std::memcmp(part.data() + c * mine.size() * columns, whole.data() + (c * 60 + mine.begin) * columns,
                              mine.size() * columns * sizeof(float)),
                  0)
            << layout.channels[c].name() << " on rank " << rank << " of " << ranks;
    }
}

TEST_F(InitialStatesTest, ARankHoldsItsRowsAlone) {
  // In one file or two, of which either could have the field.
  std::filesystem::copy_file(file, folder / "again.nc");
  for (const auto& files : {std::vector{file}, {file, folder / "again.nc"}}) {
    const auto states = states_of_files(files, {}, layout);
    rows(*states, {0, 60});  // weights and inventories are made
    largest_allocation = 0;
    rows(*states, {0, 60});
    EXPECT_GT(largest_allocation, waves.grid.size() * sizeof(float));
    for (const parallel::Range polar_and_not : {parallel::Range{0, 6}, {30, 36}}) {
      largest_allocation = 0;
      rows(*states, polar_and_not);
      EXPECT_LT(largest_allocation, waves.grid.size() * sizeof(double) / 7) << polar_and_not.begin;
    }
  }
}

}  // namespace
}  // namespace zonda::inference
