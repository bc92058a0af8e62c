#include "ingest/observations/files/ioda_store.hpp"

#include <gtest/gtest.h>
#include <hdf5.h>

#include <cmath>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/philox.hpp"
#include "ingest/observations/files/observation_file.hpp"
#include "tests/ingest/archive/scratch_folder.hpp"

namespace zonda::ingest {
namespace {

/// Soundings, surface reports and aircraft with flags, errors, unknown heights, and values that could not be read.
ObservationTable mixed_table(std::uint32_t first_report, std::uint32_t reports) {
  const Philox random(3, "table");
  ObservationTable table;
  const std::uint32_t file = table.file_number("obs.bufr");
  for (std::uint32_t r = first_report; r < first_report + reports; ++r) {
    Observation entry;
    const std::string station = "station " + std::to_string(r % 7);
    entry.station = station;
    entry.kind = r % 2 == 0 ? ReportKind::temp : ReportKind::synop;
    entry.latitude = -90 + 180 * random.uniform(10 * r);
    entry.longitude = 360 * random.uniform(10 * r + 1);
    entry.time = parse_time("2020-01-01") + Duration(60 * r);
    entry.source = {file, r + 1, 0};
    const auto add = [&](const char* variable, double value, double error, QualityFlag flag) {
      entry.variable = variable_number(variable);
      entry.value = value;
      entry.error = error;
      entry.flag = flag;
      table.add(entry);
    };
    if (r % 2 == 0) {
      for (int level = 0; level < 3; ++level) {
        entry.pressure = 85000 - 20000 * level;
        add("t", 280 - 10 * level + random.normal(10 * r + 2), 1, QualityFlag::accepted);
        add("q", 1e-3 * (3 - level), not_known, level == 2 ? QualityFlag::bounds : QualityFlag::accepted);
      }
    } else {
      entry.height = 100.5;
      add("2t", 290, 2, r % 3 == 0 ? QualityFlag::background : QualityFlag::accepted);
      add("2d", not_known, not_known, QualityFlag::damaged);
      table.background[table.size() - 2] = 291.25;
    }
  }
  return table;
}

void expect_equal(const ObservationTable& a, const ObservationTable& b) {
  ASSERT_EQ(a.size(), b.size());
  const auto same = [](double x, double y) { return x == y || (std::isnan(x) && std::isnan(y)); };
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a.station_name(i), b.station_name(i));
    EXPECT_EQ(a.kind[i], b.kind[i]);
    EXPECT_EQ(a.variable[i], b.variable[i]);
    EXPECT_EQ(a.time[i], b.time[i]);
    EXPECT_EQ(a.flag[i], b.flag[i]);
    EXPECT_EQ(a.source[i], b.source[i]);
    EXPECT_TRUE(same(a.latitude[i], b.latitude[i]) && same(a.longitude[i], b.longitude[i]) &&
                same(a.height[i], b.height[i]) && same(a.pressure[i], b.pressure[i]))
        << i;
    EXPECT_TRUE(same(a.value[i], b.value[i]) && same(a.error[i], b.error[i]) && same(a.background[i], b.background[i]))
        << i;
  }
}

TEST(IodaStore, gives_back_what_was_written) {
  const ScratchFolder folder("ioda_store_1");
  const auto path = folder.path() / "obs.h5";
  const ObservationTable table = mixed_table(0, 40);
  write_ioda(path, table);
  EXPECT_EQ(observation_format(path), ObservationFormat::ioda);
  const auto [again, account] = read_observations(path);
  expect_equal(table, again);
  EXPECT_EQ(again.files, table.files);
  EXPECT_TRUE(account.balanced());
}

/// Groups of a cycle's feedback, and who wrote which part makes no difference.
TEST(IodaStore, keeps_what_observations_did) {
  const ScratchFolder folder("ioda_store_6");
  ObservationTable table = mixed_table(0, 24);
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (!table.accepted(i)) continue;
    table.background[i] = table.value[i] + 0.5;
    table.analysis[i] = table.value[i] - 0.25;
    if (i % 5 == 0) table.bias[i] = 0.125;
    if (i % 3 == 0) table.reject(i, QualityFlag::buddy);
  }
  write_ioda(folder.path() / "alone.h5", table);
  for (const int ranks : {2, 5}) {
    const auto path = folder.path() / ("on_" + std::to_string(ranks) + ".h5");
    parallel::run_on_threads(
        ranks, [&](const parallel::Communicator& world) { write_ioda(path, own_locations(table, world), world); });
    EXPECT_TRUE(read_file(path) == read_file(folder.path() / "alone.h5")) << ranks;
  }
  const ObservationTable back = read_ioda(folder.path() / "alone.h5").table;
  expect_equal(table, back);
  ASSERT_EQ(table.size(), back.size());
  for (std::size_t i = 0; i < table.size(); ++i) {
    EXPECT_EQ(table.given_flag[i], back.given_flag[i]);
    EXPECT_EQ(table.bias[i], back.bias[i]);
    EXPECT_TRUE(table.analysis[i] == back.analysis[i] ||
                (std::isnan(table.analysis[i]) && std::isnan(back.analysis[i])));
  }
  const hid_t file = H5Fopen((folder.path() / "alone.h5").c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  for (const char* name : {"hofx0", "hofx1", "ombg", "oman", "ObsBias0", "PreQC", "EffectiveQC"})
    EXPECT_GT(H5Lexists(file, name, H5P_DEFAULT), 0) << name;
  EXPECT_EQ(H5Lexists(file, "hofx", H5P_DEFAULT), 0);
  H5Fclose(file);
}

TEST(IodaStore, holds_an_empty_table) {
  const ScratchFolder folder("ioda_store_2");
  write_ioda(folder.path() / "none.h5", ObservationTable());
  EXPECT_EQ(read_ioda(folder.path() / "none.h5").table.size(), 0u);
}

TEST(IodaStore, has_the_same_bytes_from_any_number_of_ranks) {
  const ScratchFolder folder("ioda_store_3");
  write_ioda(folder.path() / "alone.h5", mixed_table(0, 24));
  for (const int ranks : {2, 3, 5}) {
    const auto path = folder.path() / ("on_" + std::to_string(ranks) + ".h5");
    parallel::run_on_threads(ranks, [&](const parallel::Communicator& world) {
      // The first rank has nothing.
      const std::uint32_t others = static_cast<std::uint32_t>(world.size() - 1);
      const std::uint32_t r = static_cast<std::uint32_t>(world.rank());
      const auto begin = [&](std::uint32_t part) { return part == 0 ? 0 : 24 * (part - 1) / others; };
      write_ioda(path, r == 0 ? ObservationTable() : mixed_table(begin(r), begin(r + 1) - begin(r)), world);
    });
    EXPECT_TRUE(read_file(path) == read_file(folder.path() / "alone.h5")) << ranks;
  }
}

TEST(IodaStore, is_read_in_shares_that_make_the_whole) {
  const ScratchFolder folder("ioda_store_4");
  const auto path = folder.path() / "obs.h5";
  const ObservationTable table = mixed_table(0, 25);
  write_ioda(path, table);
  std::vector<ObservationTable> shares(3);
  parallel::run_on_threads(3, [&](const parallel::Communicator& world) {
    shares[static_cast<std::size_t>(world.rank())] = read_ioda(path, world).table;
  });
  ObservationTable whole;
  for (const ObservationTable& share : shares) whole.append(share);
  expect_equal(table, whole);
}

TEST(IodaStore, counts_variables_and_flags_of_others) {
  const ScratchFolder folder("ioda_store_5");
  const auto path = folder.path() / "foreign.h5";
  write_ioda(path, mixed_table(1, 1));
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  const hsize_t one = 1;
  const hid_t space = H5Screate_simple(1, &one, nullptr);
  const hid_t dataset =
      H5Dcreate2(file, "ObsValue/brightnessTemperature", H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  const float value = 250;
  H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, &value);
  H5Dclose(dataset);
  const hid_t flags = H5Dopen2(file, "PreQC/airTemperatureAt2M", H5P_DEFAULT);
  const int other = 199;
  H5Dwrite(flags, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, &other);
  H5Dclose(flags);
  H5Sclose(space);
  H5Fclose(file);
  const auto [table, account] = read_ioda(path);
  EXPECT_TRUE(account.balanced());
  EXPECT_EQ(account.complaints.front().text,
            path.string() + ", location 1, station station 1: variable 'brightnessTemperature' is not read");
  EXPECT_EQ(table.flag[0], QualityFlag::rejected_at_source);
}

TEST(IodaStore, refuses_what_is_none) {
  const ScratchFolder folder("ioda_store_6");
  const auto path = folder.path() / "text.h5";
  write_file(path, "no HDF5");
  EXPECT_THROW(read_ioda(path), Error);
  EXPECT_EQ(observation_format(path), ObservationFormat::none);
}

}  // namespace
}  // namespace zonda::ingest
