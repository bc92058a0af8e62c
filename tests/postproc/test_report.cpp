#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "postproc/report/headline.hpp"
#include "postproc/report/html_page.hpp"
#include "postproc/report/pictures.hpp"
#include "postproc/report/report.hpp"
#include "postproc/report/training_curve.hpp"
#include "tests/postproc/memory_fields.hpp"

namespace zonda::postproc {
namespace {

ScoreTable made_up_scores() {
  std::vector<ScoreRecord> records;
  const double g = 9.80665;
  for (const double lead : {6.0, 24.0, 48.0, 72.0})
    for (const char* region : {"global", "tropics"}) {
      records.push_back({"z", 500, lead, region, "rmse", "forecast", lead * g});
      records.push_back({"z", 500, lead, region, "rmse", "persistence", 1.5 * lead * g});
      records.push_back({"z", 500, lead, region, "rmse", "climatology", 60 * g});
      records.push_back({"z", 500, lead, region, "acc", "forecast", 1 - lead / 200});
      records.push_back({"wind", 250, lead, region, "wind_vector_rmse", "forecast", 5});
      records.push_back({"wind", 250, lead, region, "wind_vector_rmse", "persistence", 4});
      records.push_back({"wind", 250, lead, region, "wind_vector_rmse", "climatology", 8});
    }
  return ScoreTable(std::move(records));
}

TEST(Headline, TableIsWhatItSays) {
  EXPECT_EQ(headline_table(made_up_scores()),
            "RMSE over the globe\n"
            "                     lead   forecast  persistence  climatology   forecast/persistence\n"
            "z500 (m)             24 h      24.00        36.00        60.00                  0.667\n"
            "wind 250 hPa (m/s)   24 h       5.00         4.00         8.00                  1.250\n"
            "z500 (m)             48 h      48.00        72.00        60.00                  0.667\n"
            "z500 (m)             72 h      72.00        108.0        60.00                  0.667\n"
            "At 24 h the model beats persistence and climatology for z500.\n");
  EXPECT_EQ(headline_table(ScoreTable()), "");
}

TEST(Headline, TheNearestLevelStandsIn) {
  EXPECT_EQ(key_channels(ScoreTable(
                {{"z", 400, 24, "global", "rmse", "forecast", 1}, {"z", 1000, 24, "global", "rmse", "forecast", 1}})),
            (std::vector<Channel>{{"z", 400}}));
}

TEST(HtmlPage, TextIsEscaped) {
  EXPECT_EQ(escape_html("a<b & \"c\">"), "a&lt;b &amp; &quot;c&quot;&gt;");
  HtmlPage page("<title>", "sub");
  page.section("s", "A & B");
  page.paragraph("x < y");
  const std::string html = page.render("foot");
  EXPECT_NE(html.find("<h2>A &amp; B</h2>"), std::string::npos);
  EXPECT_NE(html.find("<title>&lt;title&gt;</title>"), std::string::npos);
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_EQ(html.find("http"), std::string::npos);
}

TEST(Spectra, AreDrawnWithTheirRatio) {
  ScratchFolder folder("spectra");
  nlohmann::json list = nlohmann::json::array();
  for (const double lead : {24, 120, 240}) {
    nlohmann::json truth = nlohmann::json::array({1.0}), forecast = nlohmann::json::array({1.0});
    for (int k = 1; k <= 48; ++k) {
      truth.push_back(1e6 * std::pow(k, -3.0));
      forecast.push_back(1e6 * std::pow(k, -3.0) * std::exp(-lead * k / 9600));
    }
    list.push_back(
        {{"variable", "z"}, {"level_hpa", 500}, {"lead_hours", lead}, {"truth", truth}, {"forecast", forecast}});
  }
  write_file(folder.path() / "spectra.json", list.dump());
  EXPECT_TRUE(draw_spectra(folder.path() / "spectra.json", folder.path() / "spectra.png"));
  EXPECT_GT(std::filesystem::file_size(folder.path() / "spectra.png"), 5000U);
  write_file(folder.path() / "spectra.json", "[]");
  EXPECT_FALSE(draw_spectra(folder.path() / "spectra.json", folder.path() / "none.png"));
}

TEST(Ensemble, SpreadAndRanksAreDrawn) {
  ScratchFolder folder("ensemble-picture");
  std::vector<ScoreRecord> records;
  nlohmann::json list = nlohmann::json::array();
  for (const double lead : {24.0, 48.0, 72.0}) {
    for (const auto& [metric, value] : {std::pair{"rmse", 10.0}, {"spread", 8.0}, {"crps", 5.0}})
      records.push_back({"z", 500, lead, "global", metric, "forecast", value * lead});
    list.push_back({{"variable", "z"}, {"level_hpa", 500}, {"lead_hours", lead}, {"frequencies", {0.4, 0.2, 0.4}}});
  }
  const ScoreTable scores(records);
  write_file(folder.path() / "ranks.json", list.dump());
  const auto draw = [&](const std::vector<Channel>& channels, const char* png) {
    return draw_ensemble(scores, channels, "global", folder.path() / "ranks.json", folder.path() / png);
  };
  EXPECT_TRUE(draw({{"z", 500}}, "ensemble.png"));
  EXPECT_GT(std::filesystem::file_size(folder.path() / "ensemble.png"), 5000U);
  EXPECT_FALSE(draw({{"t", 850}}, "none.png"));
}

TEST(TrainingCurve, ReadsPhasesAndWhatEachReached) {
  ScratchFolder folder("phases");
  std::string text;
  for (int step = 1; step <= 40; ++step) {
    const std::string phase = step <= 25 ? "single steps" : "rollouts";
    text += fmt::format(R"({{"step":{},"phase":"{}","loss":{},"lr":{}}})", step, phase, 2.0 / step, 1e-3 / step) + "\n";
    if (step % 10 == 0)
      text += fmt::format(R"({{"step":{},"validation":{{"loss":{},"rmse":{{"z500":{}}},"persistence":{{"z500":10}}}},)"
                          R"("lead_hours":24}})",
                          step, 2.2 / step, 80.0 / step) +
              "\n";
    if (step == 25 || step == 40)
      text += fmt::format(R"({{"step":{},"phase":"{}","curve":[{{"lead_hours":24,"rmse":{{"z500":{}}},)"
                          R"("persistence":{{"z500":10}}}},{{"lead_hours":72,"rmse":{{"z500":8}},)"
                          R"("persistence":{{"z500":16}}}}]}})",
                          step, phase, step == 25 ? 6 : 5) +
              "\n";
  }
  write_file(folder.path() / "metrics.jsonl", text);
  const TrainingCurve curve = read_training_curve(folder.path() / "metrics.jsonl");
  EXPECT_EQ(curve.phases, (std::vector<std::pair<double, std::string>>{{1, "single steps"}, {26, "rollouts"}}));
  ASSERT_EQ(curve.after_phase.size(), 2U);
  EXPECT_EQ(curve.curve_channel, "z500");
  EXPECT_EQ(curve.after_phase[1].first, "rollouts");
  EXPECT_EQ(curve.after_phase[1].second, (TrainingCurve::Points{{24, 0.5}, {72, 0.5}}));
  draw_training_curve(curve, folder.path() / "curve.png");
  EXPECT_GT(std::filesystem::file_size(folder.path() / "curve.png"), 5000U);
}

TEST(TrainingCurve, ReadsStepsValidationAndACutLastLine) {
  ScratchFolder folder("curve");
  write_file(folder.path() / "metrics.jsonl",
             "{\"step\":1,\"loss\":1.5,\"lr\":0.001}\n{\"step\":2,\"loss\":9,\"lr\":0.001,\"skipped\":true}\n"
             "{\"step\":2,\"validation\":{\"loss\":0.7,\"rmse\":{\"z500\":200},\"persistence\":{\"z500\":400}},\"lead_"
             "hours\":24}\n"
             "{\"step\":3,\"lo");
  const TrainingCurve curve = read_training_curve(folder.path() / "metrics.jsonl");
  EXPECT_EQ(curve.loss, (TrainingCurve::Points{{1, 1.5}}));
  EXPECT_EQ(curve.skipped, 1U);
  EXPECT_EQ(curve.validation_loss, (TrainingCurve::Points{{2, 0.7}}));
  EXPECT_EQ(curve.skill.at("z500"), (TrainingCurve::Points{{2, 0.5}}));
  EXPECT_EQ(curve.validation_lead_hours, 24);
  write_file(folder.path() / "metrics.jsonl", "{\"step\":1,\"loss\":1}\nnonsense\n{\"step\":2,\"loss\":1}\n");
  const auto [kind, message] = error_of([&] { read_training_curve(folder.path() / "metrics.jsonl"); });
  EXPECT_EQ(kind, ErrorKind::data);
  EXPECT_NE(message.find("metrics.jsonl:2: not a line of training metrics"), std::string::npos) << message;
}

TEST(Report, HoldsTablesPicturesAndProvenanceOfARunWithoutFields) {
  ScratchFolder folder("report");
  const std::filesystem::path run = folder.path();
  made_up_scores().write_json(run / "scores.json");
  write_file(
      run / "verification.json",
      R"({"initial_times": 4, "first": "2020-01-01T00:00:00Z", "last": "2020-01-04T00:00:00Z", "members": 1, "pairs": 15,
                 "missing_pairs": 1, "lead_hours": [6, 24], "channels": ["z500"], "grid": "latlon 32x64 no-poles",
                 "climatology": "mean plus 1 daily harmonic by least squares"})");
  write_file(run / "spectra.json",
             R"([{"variable": "z", "level_hpa": 500, "lead_hours": 24, "forecast": [5, 4, 1], "truth": [5, 4, 2]}])");
  write_file(
      run / "provenance.json",
      R"({"version": "1.2.3", "host": "<node>", "ranks": 2, "stages": {"train": {"seconds": 75.04, "peak_memory_bytes": 209715200}}})");
  write_file(run / "config.full.yaml", "name: test\n");
  write_file(run / "checkpoints" / "metrics.jsonl",
             "{\"step\":1,\"loss\":1,\"lr\":0.1}\n{\"step\":2,\"loss\":0.5,\"lr\":0.1}\n");
  write_report({}, run);
  const std::string html = read_file(run / "index.html");
  for (const char* expected :
       {"beats persistence and climatology for z500", "<td><b>24.00</b></td>", "RMSE persistence (m)", "wind 250 hPa",
        "mean plus 1 daily harmonic by least squares", "report/scores.png", "report/scorecard.png",
        "report/spectra.png", "report/training.png", "1.2.3", "&lt;node&gt;", "75.0 s", "200 MiB", "name: test",
        "By region at 24 h", "tropics", "1 of 16 pairs", "2 steps; loss from 1 to 0.5"})
    EXPECT_NE(html.find(expected), std::string::npos) << expected;
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_EQ(html.find("http"), std::string::npos);
  EXPECT_EQ(html.find("src=\"/"), std::string::npos);
  for (const char* picture : {"scores.png", "scorecard.png", "spectra.png", "training.png"})
    EXPECT_GT(std::filesystem::file_size(run / "report" / picture), 5000U) << picture;
  write_report({}, run);
  EXPECT_EQ(read_file(run / "index.html"), html);
}

TEST(Report, ErrorsNameWhatIsWrong) {
  ScratchFolder folder("empty-run");
  EXPECT_NE(error_of([&] { write_report({}, folder.path()); }).second.find("nothing to report"), std::string::npos);
  made_up_scores().write_json(folder.path() / "scores.json");
  ReportConfig config;
  config.channels = {"z50"};
  const auto [kind, message] = error_of([&] { write_report(config, folder.path()); });
  EXPECT_EQ(kind, ErrorKind::usage);
  EXPECT_NE(message.find("did you mean 'z500'"), std::string::npos) << message;
}

}  // namespace
}  // namespace zonda::postproc
