#include "model/training/distillation/distill.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <map>
#include <numeric>
#include <set>
#include <sstream>

#include "core/error.hpp"
#include "core/signals.hpp"
#include "model/forecast_state/forecast_model.hpp"
#include "model/network/adapter.hpp"
#include "tests/model/distillation/small_distillation.hpp"

namespace zonda::model {
namespace {

struct DistillTest : testing::Test {
  TemporaryFolder folder;
  std::filesystem::path teacher;
  void SetUp() override {
    write_waves(folder / "archive");
    teacher = train_teacher(folder / "archive", folder / ".", 60);
  }
  void TearDown() override { request_stop(0); }
  DistillSummary distill(const DistillConfig& config, const std::string& where, bool resume = false) {
    return run_distill(config, parallel::Communicator::self(), teacher, folder / "archive", folder / where, resume);
  }
  static double mean_rmse(const DistillSummary& summary, std::size_t lead) {
    double sum = 0;
    for (const auto& variable : summary.acceptance.at("rmse").at(lead).at("variables"))
      sum += variable.at("student_rmse").get<double>() / variable.at("stddev").get<double>();
    return sum;
  }
};

TEST_F(DistillTest, AStudentThatLearntIsBetterThanOneThatBegins) {
  DistillConfig idle = small_distillation(1);
  idle.learning_rate = 0;
  idle.rollout.reset();
  const DistillSummary before = distill(idle, "before"), after = distill(small_distillation(80), "after");
  for (const std::size_t lead : {0U, 1U}) EXPECT_LT(mean_rmse(after, lead), 0.9 * mean_rmse(before, lead)) << lead;
  EXPECT_EQ(after.steps, 84);
  EXPECT_LT(3 * after.student_parameters, after.teacher_parameters);
}

TEST_F(DistillTest, TheModelIsRegionalAndItsVerdictsLieBesideIt) {
  const DistillSummary summary = distill(small_distillation(6), "run");
  const auto student = load_model(summary.model, {.precision = "int8"});
  ASSERT_TRUE(student->layout.boundary.has_value());
  EXPECT_EQ(student->layout.boundary->width, 2);
  EXPECT_EQ(student->network.config().precision, "int8");
  const auto acceptance = nlohmann::json::parse(read_file(folder / "run" / "acceptance.json"));
  EXPECT_EQ(acceptance, summary.acceptance);
  EXPECT_EQ(acceptance.at("model"), student->identity);
  EXPECT_EQ(acceptance.at("rmse").size(), 2U);
  EXPECT_EQ(acceptance.at("rmse")[1].at("lead_hours"), 12.0);
  const auto int8 = nlohmann::json::parse(read_file(folder / "run" / "int8.json"));
  EXPECT_EQ(int8.at("int8").size() + int8.at("exact").size(), 8U);  // four matrices in each of two blocks
  EXPECT_TRUE(int8.at("accepted").get<bool>());
  for (const auto& variable : int8.at("variables")) EXPECT_LE(variable.at("percent_of_stddev").get<double>(), 1.0);
  EXPECT_EQ(int8.at("int8"), student->network.int8_matrices());
  EXPECT_LT(int8.at("bytes_int8"), int8.at("bytes_fp32"));
  EXPECT_TRUE(distill(small_distillation(6), "run").nothing_to_do);
}

TEST_F(DistillTest, AGateThatNothingPassesKeepsEveryMatrix) {
  DistillConfig config = small_distillation(3);
  config.int8->percent = 0;
  const DistillSummary summary = distill(config, "run");
  EXPECT_EQ(summary.int8.at("exact").size(), 8U);
  EXPECT_EQ(summary.int8.at("bytes_int8"), summary.int8.at("bytes_fp32"));
  for (const auto& variable : summary.int8.at("variables"))
    EXPECT_LT(variable.at("percent_of_stddev").get<double>(), 0.05) << variable;  // the head's images in bf16
}

TEST_F(DistillTest, LevelsAreLearntInTurnAndTheModelNamesThem) {
  DistillConfig config = small_distillation(80);
  config.levels = {{.tokens = 0.5, .first_block = 1}, {.tokens = 0.25}};
  const DistillSummary summary = distill(config, "run");
  std::istringstream lines(read_file(folder / "run" / "metrics.jsonl"));
  std::array<std::vector<double>, 2> losses;
  for (std::string line; std::getline(lines, line);) {
    const auto step = nlohmann::json::parse(line);
    if (step.at("phase") == "single steps")
      losses.at(step.at("level").get<std::size_t>()).push_back(step.at("level_truth").get<double>());
  }
  for (const std::vector<double>& of_level : losses) {
    ASSERT_GT(of_level.size(), 25U);
    EXPECT_LT(std::accumulate(of_level.end() - 20, of_level.end(), 0.0),
              0.95 * std::accumulate(of_level.begin(), of_level.begin() + 20, 0.0));
  }
  const auto model = load_model(summary.model, {.precision = "fp32"});
  const TokenGrid grid(model->layout.grid, model->network.shape().patch);
  EXPECT_EQ(model->origin.levels, (std::vector<TokenMerging>{{1, 2, grid.count() / 2}, {0, 2, fewest_groups(grid)}}));
  EXPECT_EQ(summary.acceptance.at("levels").size(), 2U);
  config.levels = {{.tokens = 0.5, .first_block = 2}};
  EXPECT_THROW(distill(config, "no such block"), Error);
}

TEST_F(DistillTest, AStudentGoesOnFromAnother) {
  DistillConfig idle = small_distillation(1);
  const DistillSummary first = distill(small_distillation(40), "first");
  idle.learning_rate = 0;
  idle.rollout.reset();
  idle.student.from = first.model.string();
  EXPECT_NEAR(mean_rmse(distill(idle, "next"), 1), mean_rmse(first, 1), 1e-4 * mean_rmse(first, 1));
  idle.student.width = 16;
  EXPECT_THROW(distill(idle, "another size"), Error);
}

std::map<std::string, std::vector<float>> parameters_of(const std::filesystem::path& folder) {
  const auto model = load_model(folder, {.precision = "fp32"});
  const ParameterStore& store = model->network.parameters();
  std::map<std::string, std::vector<float>> values;
  for (ParameterId id = 0; id < static_cast<ParameterId>(store.list().size()); ++id) {
    const Parameter& p = store.at(id);
    const float* first = store.value(id).as<float>();
    values[p.name].assign(first, first + p.count);
  }
  return values;
}

TEST_F(DistillTest, AnAnswerOfMergedTokensThatWasLearntStays) {
  DistillConfig config = small_distillation(20);
  config.levels = {{.tokens = 0.5, .first_block = 1}};
  const DistillSummary first = distill(config, "first");
  config.steps = 1;
  config.learning_rate = 0;
  config.rollout.reset();
  config.student.from = first.model.string();
  const std::string name = "conditioning.merged_response.weight";
  const std::vector<float> learnt = parameters_of(first.model).at(name);
  EXPECT_TRUE(std::any_of(learnt.begin(), learnt.end(), [](float w) { return w != 0; }));
  EXPECT_EQ(parameters_of(distill(config, "next").model).at(name), learnt);
}

TEST_F(DistillTest, AdaptersAloneLearnAnotherRegion) {
  const DistillSummary base = distill(small_distillation(2), "base");
  DistillConfig idle = small_distillation(1);
  idle.region = {.north = 80, .south = -5, .west = 60, .east = 210};
  idle.rollout.reset();
  idle.student.from = base.model.string();
  idle.student.adapters = StudentAdapters{.rank = 4, .edges = {0.25}};
  DistillConfig learning = idle;
  idle.learning_rate = 0;
  learning.steps = 80;
  learning.learning_rate = 5e-2;
  learning.rollout = small_distillation(1).rollout;
  const DistillSummary before = distill(idle, "as it is"), after = distill(learning, "adapted");
  EXPECT_LT(mean_rmse(after, 1), 0.99 * mean_rmse(before, 1));

  const auto theirs = parameters_of(base.model), ours = parameters_of(after.model);
  std::set<std::size_t> turned;  // sets of adapters, by lead
  for (const auto& [name, values] : ours) {
    if (!is_adapter(name)) {
      ASSERT_TRUE(theirs.contains(name)) << name;
      EXPECT_EQ(values, theirs.at(name)) << name;
    } else if (name.ends_with("adapter_out")) {
      const std::size_t half = values.size() / 2;
      for (std::size_t i = 0; i < values.size(); ++i)
        if (values[i] != 0) turned.insert(i / half);
    }
  }
  EXPECT_EQ(turned, (std::set<std::size_t>{0, 1}));
  EXPECT_GT(ours.size(), theirs.size());
}

TEST_F(DistillTest, SpectraOfAChannelCanCountMore) {
  DistillConfig plain = small_distillation(2);
  plain.losses.spectral = 1;
  DistillConfig heavy = plain, unknown = plain;
  heavy.losses.spectral_weights = {"z500=5"};
  unknown.losses.spectral_weights = {"z501=5"};
  const auto spectral = [&](const DistillConfig& config, const std::string& where) {
    distill(config, where);
    std::istringstream lines(read_file(folder / where / "metrics.jsonl"));
    std::string first;
    std::getline(lines, first);
    return nlohmann::json::parse(first).at("spectral").get<double>();
  };
  EXPECT_GT(spectral(heavy, "heavy"), spectral(plain, "plain"));
  try {
    distill(unknown, "unknown");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("distill.losses.spectral_weights"), std::string::npos) << error.what();
  }
}

TEST_F(DistillTest, StoppedAndResumedItIsTheSameBytes) {
  DistillConfig config = small_distillation(7);
  config.levels = {{.tokens = 0.5}, {.tokens = 0.25, .first_block = 1}};
  distill(config, "whole");
  int stops = 0;
  for (bool done = false; !done && stops < 20;) {
    request_stop(SIGTERM);  // seen after the next step
    try {
      distill(config, "parts", stops > 0);
      done = true;
    } catch (const Interrupted& stop) {
      EXPECT_EQ(stop.exit_code(), 128 + SIGTERM);
      ++stops;
    }
    request_stop(0);
  }
  EXPECT_EQ(stops, 11);  // once after each step
  auto a = files_of(folder / "whole"), b = files_of(folder / "parts");
  // Each stop wrote a checkpoint of its own, so only the last one is common to both.
  const auto older = [](const auto& file) {
    return file.first.starts_with("step-") && !file.first.starts_with("step-11/");
  };
  std::erase_if(a, older);
  std::erase_if(b, older);
  EXPECT_EQ(difference(a, b), "");
  EXPECT_TRUE(a.contains("model/rank-0.bin"));
}

TEST_F(DistillTest, OtherConfigurationsTeachersAndUnfinishedRunsAreRefused) {
  const DistillConfig config = small_distillation(3);
  request_stop(SIGTERM);
  EXPECT_THROW(distill(config, "run"), Interrupted);
  request_stop(0);
  try {
    distill(config, "run");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_NE(std::string(error.what()).find("--resume"), std::string::npos);
  }
  DistillConfig other = config;
  other.losses.spectral = 0.5;
  try {
    distill(other, "run", true);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("losses.spectral"), std::string::npos) << error.what();
  }
  DistillConfig small = config;
  small.ring = 8;
  EXPECT_THROW(distill(small, "other"), Error);
}

}  // namespace
}  // namespace zonda::model
