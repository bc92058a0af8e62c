// A network whose parameters lie elsewhere gives the same bits as one that has them itself.
#include <gtest/gtest.h>

#include <deque>

#include "core/error.hpp"
#include "network_sample.hpp"

namespace zonda::model::testing {
namespace {

NetworkConfig in_precision(const std::string& precision) {
  NetworkConfig config = smallest_network();
  config.precision = precision;
  return config;
}

bool is_trunk_matrix(const Parameter& p) {
  return p.name.starts_with("block") && p.name.ends_with(".weight");
}

/// Numbers of another network, in the element types that a precision reads.
class Lender {
 public:
  explicit Lender(ForecastNetwork& owner) : owner_(owner) {}
  void lend(ParameterStore& to, DType trunk) {
    for (ParameterId id = 0; id < static_cast<ParameterId>(to.list().size()); ++id) {
      const Tensor own = owner_.parameters().value(id);
      const bool narrow = is_trunk_matrix(to.at(id)) && trunk != DType::f32;
      if (!narrow) {
        to.lend(id, own);
        continue;
      }
      Arena arena;
      Context ctx(owner_.backend(), arena, DType::f32);
      const Tensor numbers(room(static_cast<std::size_t>(own.count()) * size_of(trunk)), own.shape, trunk);
      if (trunk == DType::bf16) {
        ctx->cast(ctx, own, numbers);
        to.lend(id, numbers);
      } else {
        const Tensor scales(room(static_cast<std::size_t>(own.shape[1]) * 4), {own.shape[1]}, DType::f32);
        ctx->quantise_columns(ctx, own, numbers, scales);
        to.lend(id, numbers, scales);
      }
    }
  }

 private:
  void* room(std::size_t bytes) { return rooms_.emplace_back(bytes).data(); }
  ForecastNetwork& owner_;
  std::deque<Buffer> rooms_;
};

struct Precision {
  std::string name;
  DType trunk;
};

class LentParameters : public ::testing::TestWithParam<Precision> {};

TEST_P(LentParameters, GiveTheSameBits) {
  const Grid grid = Grid::gaussian(16, 24);
  Sample own(in_precision(GetParam().name), grid, 2, DType::f32, Use::inference),
      borrowing(in_precision(GetParam().name), grid, 2, DType::f32, Use::inference);
  randomise(own.network.parameters());
  own.network.forward(own.x, own.condition, own.y);
  Lender lender(own.network);
  EXPECT_FALSE(borrowing.network.parameters().complete());
  lender.lend(borrowing.network.parameters(), GetParam().trunk);
  EXPECT_TRUE(borrowing.network.parameters().complete());
  borrowing.network.forward(borrowing.x, borrowing.condition, borrowing.y);
  for (std::int64_t i = 0; i < own.y.count(); ++i) ASSERT_EQ(get(own.y, i), get(borrowing.y, i)) << i;
  EXPECT_EQ(borrowing.network.parameters().bytes(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Precisions, LentParameters,
                         ::testing::Values(Precision{"fp32", DType::f32}, Precision{"bf16", DType::bf16},
                                           Precision{"int8", DType::i8}),
                         [](const auto& case_) { return case_.param.name; });

TEST(LentParameters, OthersTakeEffectAtTheNextStep) {
  const Grid grid = Grid::gaussian(16, 24);
  Sample own(smallest_network(), grid, 1, DType::f32, Use::inference),
      borrowing(smallest_network(), grid, 1, DType::f32, Use::inference);
  randomise(own.network.parameters());
  Lender lender(own.network);
  lender.lend(borrowing.network.parameters(), DType::f32);
  borrowing.network.forward(borrowing.x, borrowing.condition, borrowing.y);
  const ParameterId id = own.network.parameters().find("block0.up.bias");
  std::vector<float> other(static_cast<std::size_t>(own.network.parameters().at(id).count), 0.5f);
  borrowing.network.parameters().lend(id, Tensor::of(other, own.network.parameters().at(id).shape));
  borrowing.network.forward(borrowing.x, borrowing.condition, borrowing.y);
  std::copy(other.begin(), other.end(), own.network.parameters().value(id).as<float>());
  own.network.forward(own.x, own.condition, own.y);
  for (std::int64_t i = 0; i < own.y.count(); ++i) ASSERT_EQ(get(own.y, i), get(borrowing.y, i)) << i;
}

TEST(LentParameters, WhatDoesNotFitIsRefused) {
  Sample s(smallest_network(), Grid::gaussian(16, 24), 1, DType::f32, Use::inference);
  ParameterStore& store = s.network.parameters();
  const ParameterId id = store.find("block0.up.weight");
  const Shape shape = store.at(id).shape;
  std::vector<float> numbers(static_cast<std::size_t>(shape.count()));
  EXPECT_THROW(store.lend(id, Tensor::of(numbers, {shape[1], shape[0]})), Error);
  EXPECT_THROW(store.lend(id, Tensor(numbers.data(), shape, DType::i8)), Error);
  store.lend(id, Tensor::of(numbers, shape));
  EXPECT_THROW(store.allocate_values(), Error);
  EXPECT_THROW(s.network.forward(s.x, s.condition, s.y), Error);  // the others are missing
}

}  // namespace
}  // namespace zonda::model::testing
