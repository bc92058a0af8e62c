#include <gtest/gtest.h>

#include <cstdint>

#include "core/error.hpp"
#include "model/tensor/arena.hpp"
#include "model/tensor/parameter_store.hpp"

namespace zonda::model {
namespace {

TEST(Tensor, ViewsKnowTheirShape) {
  std::vector<float> values(24);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const Tensor t = Tensor::of(values, {2, 3, 4});
  EXPECT_EQ(t.count(), 24);
  EXPECT_EQ(t.bytes(), 96u);
  EXPECT_EQ(t.shape.to_string(), "[2, 3, 4]");
  EXPECT_EQ(t.slice(1, 1).as<float>()[0], 12.0f);
  EXPECT_EQ(t.slice(1, 1).shape, (Shape{1, 3, 4}));
  EXPECT_EQ(t.reshaped({6, 4}).shape, (Shape{6, 4}));
  EXPECT_TRUE(Tensor{}.none());
  EXPECT_THROW(Tensor::of(values, {5, 5}), Error);
  EXPECT_THROW(t.reshaped({23}), Error);
  EXPECT_THROW(t.slice(2, 1), Error);
}

TEST(Arena, PiecesAliveTogetherDoNotOverlap) {
  Arena arena;
  const auto step = [&](std::vector<Tensor>* seen) {
    Tensor a = arena.take({1000}, DType::f32), b = arena.take({10}, DType::f64);
    if (seen) seen->insert(seen->end(), {a, b});
    arena.release(a);
    Tensor c = arena.take({500}, DType::f32), d = arena.take({500}, DType::f32);
    if (seen) seen->insert(seen->end(), {c, d});
    arena.release(c);
    arena.release(b);
    arena.release(d);
  };
  arena.begin_plan();
  step(nullptr);
  const std::size_t peak = arena.finish_plan();
  EXPECT_EQ(arena.live_bytes(), peak);  // here the placement loses nothing
  EXPECT_EQ(peak, 4096u + 128u);        // c and d lie where a was
  arena.allocate();
  for (int repeat = 0; repeat < 2; ++repeat) {
    std::vector<Tensor> seen;
    arena.rewind(0);
    step(&seen);
    const auto begin = [&](int i) { return reinterpret_cast<std::uintptr_t>(seen[static_cast<std::size_t>(i)].data); };
    const auto end = [&](int i) { return begin(i) + seen[static_cast<std::size_t>(i)].bytes(); };
    for (auto [i, j] : {std::pair{0, 1}, {1, 2}, {1, 3}, {2, 3}}) EXPECT_TRUE(end(i) <= begin(j) || end(j) <= begin(i));
    EXPECT_EQ(begin(0) % 64, 0u);
  }
}

TEST(Arena, AStepThatDiffersFromItsPlanIsAnError) {
  Arena arena;
  arena.begin_plan();
  Tensor a = arena.take({100}, DType::f32);
  arena.release(a);
  arena.finish_plan();
  arena.allocate();
  arena.rewind(0);
  EXPECT_THROW(arena.take({200}, DType::f32), Error);
}

TEST(Arena, ProtectedPiecesOutliveTheirRelease) {
  Arena arena;
  arena.begin_plan();
  Tensor kept = arena.take({100}, DType::f32);
  arena.protect();
  arena.release(kept);
  EXPECT_FALSE(kept.none());
  Tensor other = arena.take({100}, DType::f32);
  arena.release(other);
  EXPECT_GE(arena.finish_plan(), 2 * 400u);
}

TEST(ParameterStore, ArenasShareOneLayout) {
  ParameterStore store(DType::f32);
  const ParameterId a = store.add("a.weight", {3, 5}, true, 0.1f), b = store.add("b.bias", {7}, false, 0);
  EXPECT_EQ(store.count(), 22);
  EXPECT_EQ(store.extent() % 64, 0);
  EXPECT_EQ(store.value(a).data, nullptr);
  store.allocate_values();
  EXPECT_TRUE(store.gradients().none());
  store.zero_gradients();
  store.value(b).as<float>()[0] = 4;
  store.allocate_optimiser(true);
  EXPECT_EQ(store.average(b).as<float>()[0], 4.0f);
  store.value(b).as<float>()[0] = 5;
  store.swap_average();
  EXPECT_EQ(store.value(b).as<float>()[0], 4.0f);
  EXPECT_EQ(store.average(b).as<float>()[0], 5.0f);
  EXPECT_EQ(store.find("b.bias"), b);
  EXPECT_EQ(store.find("nothing"), -1);
  EXPECT_EQ(store.bytes(), 5u * static_cast<std::size_t>(store.extent()) * 4);
  EXPECT_THROW(store.add("late", {1}, false, 0), Error);
}

}  // namespace
}  // namespace zonda::model
