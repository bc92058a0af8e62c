#include "model/training/distillation/student_start.hpp"

#include <gtest/gtest.h>

#include "core/error.hpp"
#include "core/philox.hpp"
#include "model/forecast_state/layout_network.hpp"
#include "tests/model/forecast_state/regional_layout.hpp"

namespace zonda::model {
namespace {

struct StudentStartTest : testing::Test {
  ForecastLayout student_layout = regional_layout(2), teacher_layout = [this] {
    ForecastLayout layout = student_layout;
    layout.boundary.reset();
    return layout;
  }();
  NetworkConfig teacher_config = [] {
    NetworkConfig config;
    config.preset = "tiny";
    config.width = 16;
    config.heads = 2;
    config.blocks = 6;
    return config;
  }();
  ForecastNetwork teacher = network_of_layout(teacher_config, teacher_layout);
  void SetUp() override {
    teacher.initialise(1);
    const Tensor values = teacher.parameters().values();
    const Philox philox(9, "trained");
    for (const Parameter& p : teacher.parameters().list())
      for (std::int64_t i = p.offset; i < p.offset + p.count; ++i)
        values.as<float>()[i] += static_cast<float>(0.1 * philox.normal(static_cast<std::uint64_t>(i)));
  }
  static std::vector<float> numbers(const ForecastNetwork& network, const std::string& name) {
    const ParameterStore& store = network.parameters();
    const ParameterId id = store.find(name);
    EXPECT_GE(id, 0) << name;
    const Tensor value = store.value(id);
    return {value.as<float>(), value.as<float>() + value.count()};
  }
};

TEST_F(StudentStartTest, OfTheSameWidthItHasEveryKthBlockBitByBit) {
  const StudentConfig config{.every = 3, .width = std::nullopt};
  ForecastNetwork student = network_of_layout(student_network(teacher_config, config), student_layout);
  start_from_teacher(student, teacher, config, 5);
  EXPECT_EQ(student.shape().blocks, 2);
  std::size_t compared = 0;
  for (const Parameter& p : student.parameters().list()) {
    if (p.name == "embedding.patch.weight") continue;
    std::string there = p.name;
    if (there.starts_with("block1")) there = "block3" + there.substr(6);
    EXPECT_EQ(numbers(student, p.name), numbers(teacher, there)) << p.name;
    ++compared;
  }
  EXPECT_GT(compared, 30U);
}

TEST_F(StudentStartTest, NewInputsBeginAtZeroAndTheOthersAreTheTeachers) {
  const StudentConfig config{.every = 3, .width = std::nullopt};
  ForecastNetwork student = network_of_layout(student_network(teacher_config, config), student_layout);
  start_from_teacher(student, teacher, config, 5);
  const std::vector<float> mine = numbers(student, "embedding.patch.weight"),
                           theirs = numbers(teacher, "embedding.patch.weight");
  ASSERT_EQ(mine.size(), theirs.size() + (2 * 2 + 1) * 4 * 16);
  EXPECT_TRUE(std::equal(theirs.begin(), theirs.end(), mine.begin()));
  for (std::size_t i = theirs.size(); i < mine.size(); ++i) EXPECT_EQ(mine[i], 0.0F);
}

TEST_F(StudentStartTest, ANarrowerOneTakesWholeHeadsAndLeadingChannels) {
  const StudentConfig config{.every = 2, .width = 8};
  ForecastNetwork student = network_of_layout(student_network(teacher_config, config), student_layout);
  start_from_teacher(student, teacher, config, 5);
  EXPECT_EQ(student.shape().heads, 1);
  EXPECT_EQ(student.shape().blocks, 3);
  const std::vector<float> mine = numbers(student, "block2.qkv.weight"), theirs = numbers(teacher, "block4.qkv.weight");
  for (std::size_t row = 0; row < 8; ++row)
    for (std::size_t part = 0; part < 3; ++part)
      for (std::size_t i = 0; i < 8; ++i) ASSERT_EQ(mine[row * 24 + part * 8 + i], theirs[row * 48 + part * 16 + i]);
  EXPECT_EQ(numbers(student, "block1.query_gain"), numbers(teacher, "block2.query_gain"));
  EXPECT_LT(student.parameter_count() * 4, teacher.parameter_count());
}

TEST_F(StudentStartTest, MatchesTheLastBlockOfEachGroup) {
  EXPECT_EQ(matched_blocks(6, 3), (std::vector<std::size_t>{2, 5}));
  EXPECT_EQ(matched_blocks(6, 4), (std::vector<std::size_t>{3, 5}));
  EXPECT_EQ(matched_blocks(6, 1), (std::vector<std::size_t>{0, 1, 2, 3, 4, 5}));
}

TEST_F(StudentStartTest, RefusesWidthsThatCutHeads) {
  EXPECT_THROW(student_network(teacher_config, {.every = 2, .width = 12}), Error);
  EXPECT_THROW(student_network(teacher_config, {.every = 2, .width = 32}), Error);
  EXPECT_THROW(student_network(teacher_config, {.every = 7, .width = 8}), Error);
}

}  // namespace
}  // namespace zonda::model
