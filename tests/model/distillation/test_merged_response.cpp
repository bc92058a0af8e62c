#include "model/training/distillation/merged_response.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.hpp"
#include "tests/model/engine/network_sample.hpp"

namespace zonda::model::testing {
namespace {

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::pow(double(a[i]) - double(b[i]), 2);
  return std::sqrt(sum);
}

TEST(MergedResponse, TheFitBringsALevelNearerToAllTokens) {
  NetworkConfig config = smallest_network();
  config.merged_response = true;
  const Grid grid = Grid::regional(60, 20, 16, 350, 40, 24);
  Sample s(config, grid, 1, DType::f32, Use::inference);
  randomise(s.network.parameters(), 0.1);
  const ParameterId matrix = s.network.parameters().find("conditioning.merged_response.weight");
  ASSERT_GE(matrix, 0);
  const Tensor weight = s.network.parameters().value(matrix);
  std::fill_n(weight.as<float>(), weight.count(), 0.0F);
  s.network.parameters().values_changed();
  const TokenMerging level{1, 4, 40};
  const auto pass = [&](const std::optional<TokenMerging>& merging) {
    s.network.set_merging(merging);
    s.network.plan(1, Use::inference);
    s.network.forward(s.x, s.condition, s.y);
    return std::vector<float>(s.y.as<float>(), s.y.as<float>() + s.y.count());
  };
  const std::vector<float> exact = pass(std::nullopt), before = pass(level);
  s.network.set_merging(std::nullopt);
  const double explained = fit_merged_response(s.network, std::span(&level, 1), [&] { pass(std::nullopt); });
  EXPECT_GT(explained, 0.05);
  EXPECT_LE(explained, 1);
  EXPECT_LT(distance(pass(level), exact), 0.98 * distance(before, exact));
  EXPECT_EQ(pass(std::nullopt), exact);
}

TEST(MergedResponse, LevelsFromTheFirstBlockOnAreLeftOut) {
  NetworkConfig config = smallest_network();
  config.merged_response = true;
  Sample s(config, Grid::regional(60, 20, 16, 350, 40, 24), 1, DType::f32, Use::inference);
  randomise(s.network.parameters(), 0.1);
  const Tensor weight =
      s.network.parameters().value(s.network.parameters().find("conditioning.merged_response.weight"));
  const std::vector<float> before(weight.as<float>(), weight.as<float>() + weight.count());
  const TokenMerging level{0, 4, 40};
  EXPECT_EQ(fit_merged_response(s.network, std::span(&level, 1),
                                [&] {
                                  s.network.plan(1, Use::inference);
                                  s.network.forward(s.x, s.condition, s.y);
                                }),
            0);
  EXPECT_EQ(std::vector<float>(weight.as<float>(), weight.as<float>() + weight.count()), before);
}

TEST(MergedResponse, ANetworkWithoutTheMatrixIsRefused) {
  Sample s(smallest_network(), Grid::regional(60, 20, 16, 350, 40, 24), 1, DType::f32, Use::inference);
  const TokenMerging level{1, 4, 40};
  EXPECT_THROW(fit_merged_response(s.network, std::span(&level, 1), [] {}), Error);
}

}  // namespace
}  // namespace zonda::model::testing
