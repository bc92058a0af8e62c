#include "ingest/observations/files/observation_file.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "bufr_writing.hpp"
#include "core/atomic_file.hpp"
#include "core/config/table.hpp"
#include "core/error.hpp"
#include "ingest/observations/observation_summary.hpp"
#include "tests/ingest/archive/scratch_folder.hpp"

namespace zonda::ingest {
namespace {

struct Section {
  std::vector<ObservationSourceConfig> observations;
};
void describe(config::Table& table, Section& section) {
  table.list("observations", section.observations, "");
}

TEST(ObservationFiles, of_all_formats_make_one_table_and_account) {
  const ScratchFolder folder("observation_files");
  const std::string at = folder.path().string();
  write_file(folder.path() / "a.bufr", encode_synop(2, true));
  write_file(folder.path() / "b.bufr", encode_synop(1, false));
  write_file(folder.path() / "c.csv", "station,latitude,longitude,time,T\nX,1,2,2020-01-01,20\nY,1,2,never,20\n");
  Section section;
  config::read(config::parse_yaml("observations:\n  - path: [" + at + "/*.bufr]\n  - path: [" + at +
                                      "/c.csv]\n    columns: {values: [{column: T, variable: 2t, unit: degC}]}\n",
                                  "run.yaml"),
               section);
  const auto [table, account] = read_sources(section.observations);
  EXPECT_EQ(table.files, (std::vector<std::string>{at + "/a.bufr", at + "/b.bufr", at + "/c.csv"}));
  EXPECT_EQ(table.size(), 3u * 4 + 1);
  EXPECT_EQ(table.describe(table.size() - 1), at + "/c.csv, message 2, station X, 2t 293.15 K at 2020-01-01T00:00:00Z");
  EXPECT_TRUE(account.balanced());
  EXPECT_EQ(account.reports.size(), 3u);
  const auto record = summarise(table, account);
  EXPECT_EQ(record["reports"][2]["rejected"]["time"], 1);
  EXPECT_EQ(record["stations"], 3);
  EXPECT_EQ(record["first"], "2020-01-01T00:00:00Z");
}

TEST(ObservationFiles, are_refused_with_what_they_lack) {
  const ScratchFolder folder("observation_refusals");
  const auto path = folder.path() / "c.csv";
  write_file(path, "station,latitude,longitude,time,T\n");
  try {
    read_observations(path);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_EQ(std::string(error.what()),
              path.string() + ": it does not say what its columns are; describe them under `columns`");
  }
  EXPECT_THROW(read_observations(folder.path() / "none"), Error);
  EXPECT_THROW(read_sources({{{folder.path().string() + "/*.bufr"}, {}}}), Error);
  write_file(folder.path() / "noise", "neither");
  EXPECT_THROW(read_observations(folder.path() / "noise"), Error);
}

}  // namespace
}  // namespace zonda::ingest
