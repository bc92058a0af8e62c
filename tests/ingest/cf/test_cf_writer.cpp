// CF NetCDF files, read back with NetCDF-C itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netcdf.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <thread>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/philox.hpp"
#include "ingest/cf/cf_writer.hpp"
#include "ingest/cf/slab_writer.hpp"

namespace {

using namespace zonda;
using ingest::CfOptions;
using ingest::CfWriter;
namespace fs = std::filesystem;

const Time start = parse_time("2018-10-06T18");

std::vector<Channel> channels(std::initializer_list<const char*> names) {
  std::vector<Channel> list;
  for (const char* name : names) list.push_back(parse_channel(name));
  return list;
}

/// Values that tell their place: channel, row, column and step.
State numbered(const Grid& grid, const std::vector<Channel>& list, Time time, int step) {
  State state(grid, list, time);
  for (std::size_t c = 0; c < list.size(); ++c) {
    for (std::size_t k = 0; k < grid.size(); ++k) {
      state.field(c)[k] = static_cast<float>(1000.0 * static_cast<double>(c) + 0.25 * static_cast<double>(k) + step);
    }
  }
  return state;
}

State rows_of(const State& state, parallel::Range rows) {
  const std::size_t nlon = state.grid.nlon();
  State part(state.grid.sub_grid({.first_row = rows.begin, .rows = rows.size(), .first_column = 0, .columns = nlon}),
             state.channels, state.time);
  for (std::size_t c = 0; c < state.channels.size(); ++c) {
    const auto values = state.field(c).subspan(rows.begin * nlon, rows.size() * nlon);
    std::copy(values.begin(), values.end(), part.field(c).begin());
  }
  return part;
}

class CfWriterTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              ("zonda_cf_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

/// A file opened by NetCDF-C.
struct Read {
  int id = -1;
  explicit Read(const fs::path& path) { EXPECT_EQ(nc_open(path.c_str(), NC_NOWRITE, &id), NC_NOERR) << path; }
  ~Read() { nc_close(id); }
  int variable(const char* name) const {
    int v = -1;
    EXPECT_EQ(nc_inq_varid(id, name, &v), NC_NOERR) << name;
    return v;
  }
  bool has(const char* name) const {
    int v = -1;
    return nc_inq_varid(id, name, &v) == NC_NOERR;
  }
  std::vector<std::string> dimensions(const char* name) const {
    int n = 0;
    nc_inq_varndims(id, variable(name), &n);
    std::vector<int> ids(static_cast<std::size_t>(n));
    nc_inq_vardimid(id, variable(name), ids.data());
    std::vector<std::string> names;
    for (const int d : ids) {
      char text[NC_MAX_NAME + 1] = {};
      nc_inq_dimname(id, d, text);
      names.emplace_back(text);
    }
    return names;
  }
  std::vector<double> values(const char* name) const {
    std::size_t n = 1;
    for (const std::string& d : dimensions(name)) {
      int dim = 0;
      std::size_t length = 0;
      nc_inq_dimid(id, d.c_str(), &dim);
      nc_inq_dimlen(id, dim, &length);
      n *= length;
    }
    std::vector<double> all(n);
    EXPECT_EQ(nc_get_var_double(id, variable(name), all.data()), NC_NOERR);
    return all;
  }
  std::string text(const char* name, const char* attribute) const {
    const int v = name[0] == '\0' ? NC_GLOBAL : variable(name);
    std::size_t n = 0;
    if (nc_inq_attlen(id, v, attribute, &n) != NC_NOERR) return "(absent)";
    std::string value(n, ' ');
    nc_get_att_text(id, v, attribute, value.data());
    return value;
  }
};

TEST_F(CfWriterTest, AForecastHasTheDimensionsCoordinatesAndValuesOfTheStates) {
  const Grid grid = Grid::latlon(7, 12, true);
  const auto list = channels({"t850", "z500", "2t", "t500", "z850", "lsm", "10u"});
  CfOptions options;
  options.title = "a test";
  options.history = "made by a test";
  options.reference_time = start;
  options.realization = 3;
  const fs::path path = folder_ / "forecast.nc";
  CfWriter writer(path, grid, list, options);
  for (int step = 0; step < 3; ++step)
    writer.write(numbered(grid, list, start + std::chrono::hours(6 * (step + 1)), step));
  EXPECT_FALSE(fs::exists(path)) << "the file appears only when it is whole";
  writer.close();

  const Read file(path);
  EXPECT_THAT(file.dimensions("z"), testing::ElementsAre("time", "level", "lat", "lon"));
  EXPECT_THAT(file.dimensions("t2m"), testing::ElementsAre("time", "lat", "lon"));
  EXPECT_THAT(file.dimensions("lsm"), testing::ElementsAre("lat", "lon"));
  EXPECT_THAT(file.values("level"), testing::ElementsAre(85000, 50000));
  EXPECT_EQ(file.text("level", "units"), "Pa");
  EXPECT_EQ(file.text("level", "positive"), "down");
  EXPECT_EQ(file.text("", "Conventions"), "CF-1.8");
  EXPECT_EQ(file.text("", "history"), "made by a test");
  EXPECT_EQ(file.text("z", "standard_name"), "geopotential");
  EXPECT_EQ(file.text("z", "units"), "m2 s-2");
  EXPECT_EQ(file.text("t2m", "coordinates"), "height_2m");
  EXPECT_EQ(file.text("", "coordinates"), "forecast_reference_time forecast_period realization");
  EXPECT_THAT(file.values("height_10m"), testing::ElementsAre(10));
  EXPECT_THAT(file.values("realization"), testing::ElementsAre(3));
  EXPECT_THAT(file.values("forecast_period"), testing::ElementsAre(21600, 43200, 64800));
  const double reference = static_cast<double>(start.time_since_epoch().count());
  EXPECT_THAT(file.values("forecast_reference_time"), testing::ElementsAre(reference));
  EXPECT_THAT(file.values("time"), testing::ElementsAre(reference + 21600, reference + 43200, reference + 64800));
  const auto lat_bounds = file.values("lat_bnds");
  EXPECT_EQ(lat_bounds.front(), 90);
  EXPECT_EQ(lat_bounds.back(), -90);
  EXPECT_EQ(file.values("lon_bnds")[0], -15);

  const auto z = file.values("z");
  const auto lsm = file.values("lsm");
  for (std::size_t k = 0; k < grid.size(); ++k) {
    for (std::size_t step = 0; step < 3; ++step) {
      // z850 is channel 4 and the first level, z500 channel 1 and the second.
      EXPECT_EQ(z[(step * 2 + 0) * grid.size() + k], 4000 + 0.25 * static_cast<double>(k) + static_cast<double>(step));
      EXPECT_EQ(z[(step * 2 + 1) * grid.size() + k], 1000 + 0.25 * static_cast<double>(k) + static_cast<double>(step));
    }
    EXPECT_EQ(lsm[k], 5000 + 0.25 * static_cast<double>(k));
  }
}

TEST_F(CfWriterTest, EveryFieldIsOneChunkShuffledAndDeflated) {
  const Grid grid = Grid::gaussian(8, 16);
  const auto list = channels({"z500", "z850"});
  CfWriter writer(folder_ / "a.nc", grid, list, {});
  writer.write(numbered(grid, list, start, 0));
  writer.close();
  const Read file(folder_ / "a.nc");
  int storage = 0, shuffle = 0, deflate = 0, level = 0;
  std::size_t chunk[4] = {};
  nc_inq_var_chunking(file.id, file.variable("z"), &storage, chunk);
  nc_inq_var_deflate(file.id, file.variable("z"), &shuffle, &deflate, &level);
  EXPECT_EQ(storage, NC_CHUNKED);
  EXPECT_THAT(chunk, testing::ElementsAre(1, 1, 8, 16));
  EXPECT_EQ(shuffle, 1);
  EXPECT_EQ(level, 1);
}

TEST_F(CfWriterTest, FieldsOfManyRowsAreChunksOfRows) {
  const Grid grid = Grid::latlon(19, 16384, false);
  const auto list = channels({"msl"});
  CfWriter writer(folder_ / "a.nc", grid, list, {});
  writer.write(numbered(grid, list, start, 0));
  writer.close();
  const Read file(folder_ / "a.nc");
  int storage = 0;
  std::size_t chunk[3] = {};
  nc_inq_var_chunking(file.id, file.variable("msl"), &storage, chunk);
  EXPECT_THAT(chunk, testing::ElementsAre(1, 4, 16384));
  EXPECT_EQ(file.values("msl").back(), 0.25 * static_cast<double>(grid.size() - 1));
}

TEST_F(CfWriterTest, RowsOfRanksGiveTheBytesOfWholeStates) {
  const Grid grid = Grid::latlon(19, 16384, false);  // chunks of 4 rows
  const auto list = channels({"z500", "msl", "z850", "orog"});
  CfOptions options;
  options.history = "fixed";
  options.keep_bits = 9;
  const auto state = [&](int step) { return numbered(grid, list, start + std::chrono::hours(step), step); };
  {
    CfWriter writer(folder_ / "alone.nc", grid, list, options);
    for (int step = 0; step < 2; ++step) writer.write(state(step));
    writer.close();
  }
  for (const std::vector<std::size_t>& cuts :
       {std::vector<std::size_t>{0, 19}, {0, 8, 19}, {0, 3, 10, 19}, {0, 1, 2, 17, 19}}) {
    const std::string name = std::to_string(cuts.size() - 1) + ".nc";
    parallel::run_on_threads(static_cast<int>(cuts.size()) - 1, [&](const parallel::Communicator& ranks) {
      std::vector<parallel::Range> rows;
      for (std::size_t r = 0; r + 1 < cuts.size(); ++r) rows.push_back({cuts[r], cuts[r + 1]});
      ingest::SlabWriter writer(folder_ / name, grid, list, options, ranks, rows);
      for (int step = 0; step < 2; ++step) writer.write(rows_of(state(step), rows[std::size_t(ranks.rank())]));
      writer.close();
    });
    EXPECT_TRUE(read_file(folder_ / name) == read_file(folder_ / "alone.nc")) << name;
  }
}

TEST_F(CfWriterTest, AnErrorOfTheWritingRankIsEverybodys) {
  const Grid grid = Grid::latlon(6, 8, false);
  const auto list = channels({"z500", "msl"});
  std::atomic<int> refused = 0;
  parallel::run_on_threads(2, [&](const parallel::Communicator& ranks) {
    const std::vector<parallel::Range> rows{{0, 2}, {2, 6}};
    ingest::SlabWriter writer(folder_ / "a.nc", grid, list, {}, ranks, rows);
    const State mine = rows_of(numbered(grid, list, start, 0), rows[std::size_t(ranks.rank())]);
    writer.write(mine);
    try {
      writer.write(mine);
    } catch (const Error& error) {
      refused += std::string_view(error.what()).find("times must ascend") != std::string_view::npos;
    }
    try {
      ingest::SlabWriter(folder_ / "b.nc", grid, list, {}, ranks, rows, ingest::SlabWriting::collective);
    } catch (const Error& error) {
      refused += error.kind() == ErrorKind::usage;
    }
  });
  EXPECT_EQ(refused, 4);
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(CfWriterTest, DifferentSetsOfLevelsGetAxesOfTheirOwn) {
  const Grid grid = Grid::latlon(4, 8, false);
  const auto list = channels({"z500", "q850", "z850", "q1000"});
  CfWriter writer(folder_ / "a.nc", grid, list, {});
  writer.write(numbered(grid, list, start, 0));
  writer.close();
  const Read file(folder_ / "a.nc");
  EXPECT_THAT(file.dimensions("z"), testing::ElementsAre("time", "level", "lat", "lon"));
  EXPECT_THAT(file.dimensions("q"), testing::ElementsAre("time", "level_2", "lat", "lon"));
  EXPECT_THAT(file.values("level_2"), testing::ElementsAre(100000, 85000));
  EXPECT_EQ(file.values("q")[0], 3000);
  EXPECT_EQ(file.values("q")[grid.size()], 1000);
}

TEST_F(CfWriterTest, ARegionAcrossTheMeridianHasGrowingLongitudes) {
  const Grid grid = Grid::regional(60, 40, 5, 350, 10, 5);
  const auto list = channels({"msl"});
  CfWriter writer(folder_ / "a.nc", grid, list, {});
  writer.write(numbered(grid, list, start, 0));
  writer.close();
  const Read file(folder_ / "a.nc");
  EXPECT_THAT(file.values("lon"), testing::ElementsAre(-10, -5, 0, 5, 10));
  EXPECT_EQ(file.values("lon_bnds")[0], -12.5);
}

TEST_F(CfWriterTest, NanBecomesTheFillValueAlsoWhenBitsAreRounded) {
  const Grid grid = Grid::latlon(4, 8, false);
  const auto list = channels({"sst"});
  State state = numbered(grid, list, start, 0);
  state.values[3] = std::numeric_limits<float>::quiet_NaN();
  state.values[5] = 273.15F;
  CfOptions options;
  options.keep_bits = 7;
  CfWriter writer(folder_ / "a.nc", grid, list, options);
  writer.write(state);
  writer.close();
  const Read file(folder_ / "a.nc");
  float fill = 0;
  nc_get_att_float(file.id, file.variable("sst"), "_FillValue", &fill);
  std::vector<float> values(grid.size());
  nc_get_var_float(file.id, file.variable("sst"), values.data());
  EXPECT_EQ(values[3], fill);
  EXPECT_EQ(values[5], 274.0F);  // spacing 2 at 7 kept bits in [256, 512)
}

TEST_F(CfWriterTest, AccumulatedChannelsHaveTimeBoundsAndCellMethods) {
  const Grid grid = Grid::latlon(4, 8, false);
  const auto list = channels({"tp", "msl"});
  CfOptions options;
  options.accumulation = std::chrono::hours(6);
  CfWriter writer(folder_ / "a.nc", grid, list, options);
  writer.write(numbered(grid, list, start, 0));
  writer.close();
  const Read file(folder_ / "a.nc");
  const double now = static_cast<double>(start.time_since_epoch().count());
  EXPECT_THAT(file.values("time_bnds"), testing::ElementsAre(now - 21600, now));
  EXPECT_EQ(file.text("tp", "cell_methods"), "time: sum");
  EXPECT_EQ(file.text("msl", "cell_methods"), "time: point");
}

TEST_F(CfWriterTest, TheSameStatesGiveTheSameBytesAlsoOverAKilledRunsLeftover) {
  const Grid grid = Grid::gaussian(16, 32);
  const auto list = channels({"z500", "2t", "orog"});
  CfOptions options;
  options.history = "fixed";
  options.reference_time = start;
  const auto make = [&](const fs::path& path) {
    CfWriter writer(path, grid, list, options);
    for (int step = 0; step < 4; ++step) writer.write(numbered(grid, list, start + std::chrono::hours(step), step));
    writer.close();
    return read_file(path);
  };
  const std::string first = make(folder_ / "a.nc");
  write_file(folder_ / ".b.nc.tmp", "what a killed run left");
  // Objects of HDF5 may carry times of their making in whole seconds.
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  EXPECT_EQ(first, make(folder_ / "b.nc"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 2) << "a temporary file stayed";
}

TEST_F(CfWriterTest, SourceDateEpochFixesTheHistory) {
  setenv("SOURCE_DATE_EPOCH", "86400", 1);
  const Grid grid = Grid::latlon(4, 8, false);
  const auto list = channels({"msl"});
  CfWriter writer(folder_ / "a.nc", grid, list, {});
  unsetenv("SOURCE_DATE_EPOCH");
  writer.write(numbered(grid, list, start, 0));
  writer.close();
  EXPECT_THAT(Read(folder_ / "a.nc").text("", "history"), testing::StartsWith("1970-01-02T00:00:00Z zonda "));
}

TEST_F(CfWriterTest, WithoutCloseNothingStays) {
  const Grid grid = Grid::latlon(4, 8, false);
  const auto list = channels({"msl"});
  {
    CfWriter writer(folder_ / "a.nc", grid, list, {});
    writer.write(numbered(grid, list, start, 0));
  }
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(CfWriterTest, TwoThreadsWriteTwoFilesAtOnce) {
  const Grid grid = Grid::latlon(31, 60, true);
  const auto list = channels({"z500", "t850", "msl"});
  CfOptions options;
  options.history = "fixed";
  const auto make = [&](const fs::path& path) {
    CfWriter writer(path, grid, list, options);
    for (int step = 0; step < 20; ++step) writer.write(numbered(grid, list, start + std::chrono::hours(step), step));
    writer.close();
  };
  make(folder_ / "alone.nc");
  {
    std::vector<std::jthread> threads;
    for (const char* name : {"a.nc", "b.nc", "c.nc"}) threads.emplace_back([&, name] { make(folder_ / name); });
  }
  for (const char* name : {"a.nc", "b.nc", "c.nc"})
    EXPECT_EQ(read_file(folder_ / "alone.nc"), read_file(folder_ / name));
}

TEST_F(CfWriterTest, AFullDiskIsAnErrorAndNothingStays) {
  const Grid grid = Grid::latlon(181, 360, true);
  const auto list = channels({"z500"});
  // In a process of its own, whose files may not grow beyond 100 kB.
  const auto child = [&] {
    const rlimit limit{100'000, 100'000};
    if (std::signal(SIGXFSZ, SIG_IGN) == SIG_ERR || setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(99);
    State state(grid, list, start);
    const Philox random(1, "noise");
    for (std::size_t k = 0; k < grid.size(); ++k) state.values[k] = static_cast<float>(random.uniform(k));
    int code = 0;
    try {
      CfWriter writer(folder_ / "a.nc", grid, list, {});
      for (int step = 0; step < 10; ++step, state.time += std::chrono::hours(1)) writer.write(state);
      writer.close();
    } catch (const Error& error) {
      code = error.exit_code() + 50;
    }
    _exit(code);
  };
  EXPECT_EXIT(child(), testing::ExitedWithCode(51), "");
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(CfWriterTest, WrongUseHasItsMessage) {
  const Grid grid = Grid::latlon(4, 8, false);
  const auto list = channels({"msl"});
  const auto message = [](auto&& action) -> std::string {
    try {
      action();
    } catch (const Error& error) {
      return error.what();
    }
    return "(no error)";
  };
  EXPECT_THAT(message([&] {
                CfWriter(folder_ / "a.nc", grid, channels({"msl", "msl"}), {});
              }),
              testing::HasSubstr("channel msl is named twice"));
  CfOptions bits;
  bits.keep_bits = 24;
  EXPECT_THAT(message([&] { CfWriter(folder_ / "a.nc", grid, list, bits); }), testing::HasSubstr("expected 1 to 23"));
  CfWriter writer(folder_ / "a.nc", grid, list, {});
  EXPECT_THAT(message([&] { writer.close(); }), testing::HasSubstr("before any state"));
  writer.write(numbered(grid, list, start, 0));
  EXPECT_THAT(message([&] { writer.write(numbered(grid, list, start, 0)); }), testing::HasSubstr("times must ascend"));
  EXPECT_THAT(message([&] { writer.write(numbered(Grid::latlon(5, 8, true), list, start, 0)); }),
              testing::HasSubstr("on grid latlon 5x8"));
  writer.close();
  EXPECT_THAT(message([&] { writer.write(numbered(grid, list, start, 0)); }), testing::HasSubstr("closed"));
  write_file(folder_ / "plain", "a file");
  EXPECT_THAT(message([&] { CfWriter(folder_ / "plain" / "a.nc", grid, list, {}); }), testing::HasSubstr("plain"));
}

}  // namespace
