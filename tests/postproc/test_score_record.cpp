#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "postproc/verification/score_record.hpp"
#include "tests/postproc/memory_fields.hpp"

namespace zonda::postproc {
namespace {

TEST(ScoreTable, ReadsBackWhatItWroteBitForBit) {
  ScratchFolder folder("scores");
  const ScoreTable table({{"z", 500, 24, "global", "rmse", "forecast", 1.0 / 3},
                          {"z", 500, 6, "global", "rmse", "forecast", 1e-17},
                          {"2t", 0, 24, "tropics", "acc", "persistence", -0.5}});
  table.write_json(folder.path() / "scores.json");
  table.write_csv(folder.path() / "scores.csv");
  const ScoreTable back = ScoreTable::read(folder.path() / "scores.json");
  EXPECT_EQ(back.find({"z", 500}, 24, "global", "rmse", "forecast"), 1.0 / 3);
  EXPECT_EQ(back.find({"2t", 0}, 24, "tropics", "acc", "persistence"), -0.5);
  EXPECT_EQ(back.find({"2t", 0}, 48, "tropics", "acc", "persistence"), std::nullopt);
  EXPECT_EQ(back.curve({"z", 500}, "global", "rmse", "forecast"),
            (std::vector<std::pair<double, double>>{{6, 1e-17}, {24, 1.0 / 3}}));
  EXPECT_EQ(back.lead_hours(), (std::vector<double>{6, 24}));
  const auto json = nlohmann::json::parse(read_file(folder.path() / "scores.json"));
  EXPECT_EQ(json[0].size(), 7U);
  EXPECT_EQ(json[0]["level_hpa"], 500);
  EXPECT_TRUE(json[2]["level_hpa"].is_null());
  EXPECT_NE(read_file(folder.path() / "scores.csv").find("2t,,24,tropics,acc,persistence,-0.5\n"), std::string::npos);
}

TEST(ScoreTable, ADamagedFileIsNamed) {
  ScratchFolder folder("bad-scores");
  write_file(folder.path() / "scores.json", R"([{"variable": "z", "level_hpa": 500}])");
  const auto [kind, message] = error_of([&] { ScoreTable::read(folder.path() / "scores.json"); });
  EXPECT_EQ(kind, ErrorKind::data);
  EXPECT_NE(message.find("scores.json: record 0"), std::string::npos) << message;
}

}  // namespace
}  // namespace zonda::postproc
