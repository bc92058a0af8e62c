#include "ingest/observations/files/odb_reader.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "ingest/observations/files/observation_file.hpp"
#include "odb_writing.hpp"
#include "tests/ingest/archive/scratch_folder.hpp"

namespace zonda::ingest {
namespace {

const double missing = -2147483647;

std::vector<OdbRow> rows() {
  return {{"72357", 35, -97, 20200101, 113000, 2, 255, 50000, 1},
          {"72357", 35, -97, 20200101, 113000, 3, 12, 50000, missing},
          {"72357", 35, -97, 20200101, 113000, 2, 250, missing, 1},    // no level
          {"72357", 35, -97, 20200101, 113000, 119, 250, 50000, 1},    // not read
          {"72357", 35, -97, 20200101, 113000, 2, missing, 50000, 1},  // no value
          {"72357", 135, -97, 20200101, 113000, 2, 250, 50000, 1},     // no such place
          {"72357", 35, -97, 20201301, 113000, 2, 250, 50000, 1},      // no such month
          {"10033", 54, 9, 20200101, 235959, 39, 280, missing, 2}};
}

TEST(OdbReader, reads_rows_of_all_frames_and_counts_the_others) {
  const ScratchFolder folder("odb_reader_1");
  const auto path = folder.path() / "obs.odb";
  write_odb(path, rows());
  EXPECT_EQ(observation_format(path), ObservationFormat::odb);
  const auto [table, account] = read_observations(path);
  ASSERT_EQ(table.size(), 4u);
  EXPECT_EQ(table[0].station, "72357");
  EXPECT_EQ(table[0].kind, ReportKind::temp);
  EXPECT_EQ(table.info(0).short_name, "t");
  EXPECT_EQ(table[0].value, 255);
  EXPECT_EQ(table[0].pressure, 50000);
  EXPECT_EQ(table[0].error, 1);
  EXPECT_EQ(table[0].longitude, 263);
  EXPECT_EQ(table[0].time, parse_time("2020-01-01T11:30"));
  EXPECT_TRUE(std::isnan(table[1].error));
  EXPECT_EQ(table[2].flag, QualityFlag::level);
  EXPECT_EQ(table[3].station, "10033");
  EXPECT_EQ(table.info(3).short_name, "2t");
  EXPECT_EQ(table[3].source.message, 8u);
  ASSERT_EQ(account.reports.size(), 1u);
  const ReportCount& count = account.reports.begin()->second;
  EXPECT_TRUE(account.balanced());
  EXPECT_EQ(count.read, 8u);
  EXPECT_EQ(count.used, 4u);
  for (const QualityFlag reason :
       {QualityFlag::unsupported, QualityFlag::missing, QualityFlag::position, QualityFlag::time})
    EXPECT_EQ(count.rejected.at(reason), 1u) << name(reason);
}

TEST(OdbReader, refuses_damaged_files) {
  const ScratchFolder folder("odb_reader_2");
  const auto path = folder.path() / "obs.odb";
  write_odb(path, rows());
  const std::string whole = read_file(path);
  write_file(path, whole.substr(0, whole.size() / 2));
  testing::internal::CaptureStdout();
  EXPECT_THROW(read_odb(path), Error);
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");  // stdout is for results
  EXPECT_THROW(read_odb(folder.path() / "none.odb"), Error);
}

}  // namespace
}  // namespace zonda::ingest
