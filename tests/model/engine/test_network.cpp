#include <gtest/gtest.h>

#include <malloc.h>
#include <unistd.h>
#include <cmath>
#include <fstream>

#include "core/error.hpp"
#include "model/ops/cpu/cpu_backend.hpp"
#include "model/ops/loss.hpp"
#include "model/ops/optimiser.hpp"
#include "network_derivatives.hpp"

namespace zonda::model::testing {
namespace {

class NetworkOnGrid : public ::testing::TestWithParam<std::string> {};

TEST_P(NetworkOnGrid, GradientsAdjointAndTangentAgree) {
  const Grid grid = Grid::parse(GetParam());
  Sample s(smallest_network(), grid, 2, DType::f64, Use::tangent);
  randomise(s.network.parameters());
  expect_derivatives_agree(s);
}

INSTANTIATE_TEST_SUITE_P(Grids, NetworkOnGrid,
                         ::testing::Values("gaussian 8x12", "latlon 9x12", "regional 50..40x10 350..5x14"),
                         [](const auto& each) { return each.param.substr(0, each.param.find(' ')); });

TEST(Network, TheFastBackendAgreesWithTheReference) {
  NetworkConfig config = smallest_network();
  config.width = 128;
  const Grid grid = Grid::latlon(17, 24, true);
  Sample truth(config, grid, 2, DType::f64, Use::training), fast(config, grid, 2, DType::f32, Use::training);
  for (Sample* s : {&truth, &fast}) {
    randomise(s->network.parameters(), 0.05);
    s->network.parameters().zero_gradients();
    s->network.forward(s->x, s->condition, s->y);
    s->network.backward(s->w, s->dx);
  }
  const auto compare = [](const Tensor& a, const Tensor& b, const std::string& what) {
    double error = 0, size = 0;
    for (std::int64_t i = 0; i < a.count(); ++i) {
      error += std::pow(get(a, i) - get(b, i), 2);
      size += std::pow(get(b, i), 2);
    }
    EXPECT_LE(std::sqrt(error), 1e-5 * std::sqrt(size)) << what;
  };
  compare(fast.y, truth.y, "y");
  compare(fast.dx, truth.dx, "dx");
  for (ParameterId id = 0; id < static_cast<ParameterId>(truth.network.parameters().list().size()); ++id)
    compare(fast.network.parameters().gradient(id), truth.network.parameters().gradient(id),
            truth.network.parameters().at(id).name);
}

TEST(Network, HasTheSameBitsOnAnyNumberOfThreads) {
  std::vector<std::unique_ptr<Sample>> runs;
  for (int threads : {1, 2, 3}) {
    runs.push_back(std::make_unique<Sample>(smallest_network(), Grid::gaussian(24, 48), 3, DType::f32, Use::training,
                                            std::make_shared<CpuBackend>(threads, threads == 1 ? 32768 : 0)));
    Sample& s = *runs.back();
    randomise(s.network.parameters());
    s.network.parameters().zero_gradients();
    s.network.forward(s.x, s.condition, s.y);
    s.network.backward(s.w, s.dx);
    EXPECT_EQ(std::memcmp(s.y.data, runs[0]->y.data, s.y.bytes()), 0) << threads;
    EXPECT_EQ(std::memcmp(s.dx.data, runs[0]->dx.data, s.dx.bytes()), 0) << threads;
    const Tensor g = s.network.parameters().gradients();
    EXPECT_EQ(std::memcmp(g.data, runs[0]->network.parameters().gradients().data, g.bytes()), 0) << threads;
  }
}

TEST(Network, InferenceGivesTheBitsOfTrainingWithLessMemory) {
  const Grid grid = Grid::gaussian(16, 32);
  Sample a(smallest_network(), grid, 2, DType::f32, Use::training),
      b(smallest_network(), grid, 2, DType::f32, Use::inference);
  for (Sample* s : {&a, &b}) {
    randomise(s->network.parameters());
    s->network.forward(s->x, s->condition, s->y);
  }
  EXPECT_EQ(std::memcmp(a.y.data, b.y.data, a.y.bytes()), 0);
  EXPECT_LT(b.network.plan(2, Use::inference), a.network.plan(2, Use::training) / 2);
  EXPECT_THROW(b.network.backward(b.w, b.dx), Error);
}

TEST(Network, GivesTheSameGradientsWithAndWithoutTheInputs) {
  // 72 tokens: the last piece of a product has few rows.
  for (const char* embedding : {"channels", "levels"})
    for (const Grid& grid : {Grid::latlon(16, 18, false), Grid::latlon(17, 18, true)}) {
      NetworkConfig config = smallest_network();
      config.embedding = embedding;
      Sample with(config, grid, 2, DType::f32, Use::training), without(config, grid, 2, DType::f32, Use::training);
      for (Sample* s : {&with, &without}) {
        randomise(s->network.parameters());
        s->network.parameters().zero_gradients();
        s->network.forward(s->x, s->condition, s->y);
        s->network.backward(s->w, s == &with ? s->dx : Tensor{});
      }
      const Tensor a = with.network.parameters().gradients(), b = without.network.parameters().gradients();
      EXPECT_EQ(std::memcmp(a.data, b.data, a.bytes()), 0) << embedding << " on " << grid.to_string();
      EXPECT_GT(dot(a, a), 0);
    }
}

TEST(Network, UntrainedItIsPersistence) {
  Sample s(NetworkConfig{}, Grid::gaussian(32, 64), 1, DType::f32, Use::inference);
  s.network.initialise(1);
  s.network.forward(s.x, s.condition, s.y);
  for (std::int64_t i = 0; i < s.y.count(); ++i) ASSERT_EQ(get(s.y, i), 0.0);
}

/// The kinds of blocks and embeddings that presets are made of.
NetworkConfig network_with(const std::string& what) {
  NetworkConfig config = smallest_network();
  config.window_rows = config.window_columns = 4;
  if (what == "levels") config.embedding = "levels";
  if (what == "lift") config.lift = LiftConfig{2, 2};
  if (what == "windows") {
    config.window_rows.reset();
    config.window_columns.reset();
    config.windows = {"4x4", "2x8"};
    config.blocks = 6;
    config.global_every = 3;
  }
  if (what == "lora") config.lora = LoraConfig{2, {1.0}};
  if (what == "noise") config.noise = 3;
  return config;
}

class NetworkWith : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Parts, NetworkWith, ::testing::Values("across", "levels", "windows", "lift", "lora", "noise"),
                         [](const auto& each) { return each.param; });

TEST_P(NetworkWith, RollingTheEarthRollsTheForecast) {
  // 32 columns, 16 tokens: the grid that begins 16 columns further east (a window of every kind) sees the input rolled.
  const NetworkConfig config = network_with(GetParam());
  const Grid here = Grid::latlon(17, 32, true), there = Grid::latlon(17, 32, true, 16 * 360.0 / 32);
  Sample a(config, here, 1, DType::f64, Use::inference), b(config, there, 1, DType::f64, Use::inference);
  for (Sample* s : {&a, &b}) randomise(s->network.parameters());
  for (std::int64_t row = 0; row < a.x.count() / 32; ++row)
    for (std::int64_t j = 0; j < 32; ++j) set(b.x, row * 32 + j, get(a.x, row * 32 + (j + 16) % 32));
  a.network.forward(a.x, a.condition, a.y);
  b.network.forward(b.x, b.condition, b.y);
  double largest = 0;
  for (std::int64_t i = 0; i < a.y.count(); ++i) largest = std::max(largest, std::abs(get(a.y, i)));
  ASSERT_GT(largest, 0);
  for (std::int64_t row = 0; row < a.y.count() / 32; ++row)
    for (std::int64_t j = 0; j < 32; ++j)
      ASSERT_NEAR(get(b.y, row * 32 + j), get(a.y, row * 32 + (j + 16) % 32), 1e-11 * largest);
}

TEST_P(NetworkWith, GradientAndTangentAgree) {
  for (const Grid& grid : {Grid::latlon(17, 32, true), Grid::regional(50, 35, 16, 350, 13, 24)}) {
    Sample s(network_with(GetParam()), grid, 2, DType::f64, Use::tangent);
    randomise(s.network.parameters());
    const std::vector<double> leads{0.25, 3};
    s.network.set_leads(leads);
    s.network.forward(s.x, s.condition, s.y);
    const Tensor d = s.numbers.add(s.in, "d"), td = s.numbers.zeros(s.out);
    s.network.tangent(d, td);
    s.network.backward(s.w, s.dx, false);
    double scale = 0;
    for (std::int64_t i = 0; i < td.count(); ++i) scale += std::abs(get(td, i) * get(s.w, i));
    EXPECT_NEAR(dot(td, s.w), dot(d, s.dx), 1e-12 * scale) << grid.to_string();
    constexpr double h = 1e-5;
    double sides[2];
    for (int k = 0; k < 2; ++k) {
      const Tensor moved = s.numbers.zeros(s.in), y = s.numbers.zeros(s.out);
      for (std::int64_t i = 0; i < d.count(); ++i) set(moved, i, get(s.x, i) + (k == 0 ? h : -h) * get(d, i));
      s.network.forward(moved, s.condition, y);
      sides[k] = dot(y, s.w);
    }
    EXPECT_NEAR(dot(d, s.dx), (sides[0] - sides[1]) / (2 * h), 1e-6 * scale) << grid.to_string();
  }
}

TEST_P(NetworkWith, TheFastBackendTrainsAsTheReference) {
  const Grid grid = Grid::latlon(17, 32, true);
  NetworkConfig config = network_with(GetParam());
  config.width = 64;
  Sample truth(config, grid, 2, DType::f64, Use::training), fast(config, grid, 2, DType::f32, Use::training);
  for (Sample* s : {&truth, &fast}) {
    randomise(s->network.parameters(), 0.05);
    s->network.parameters().zero_gradients();
    s->network.forward(s->x, s->condition, s->y);
    s->network.backward(s->w, s->dx);
  }
  const auto compare = [](const Tensor& a, const Tensor& b, const std::string& what) {
    double error = 0, size = 0;
    for (std::int64_t i = 0; i < a.count(); ++i) {
      error += std::pow(get(a, i) - get(b, i), 2);
      size += std::pow(get(b, i), 2);
    }
    EXPECT_LE(std::sqrt(error), 2e-5 * std::sqrt(size)) << what;
  };
  compare(fast.y, truth.y, "y");
  compare(fast.dx, truth.dx, "dx");
  for (ParameterId id = 0; id < static_cast<ParameterId>(truth.network.parameters().list().size()); ++id)
    compare(fast.network.parameters().gradient(id), truth.network.parameters().gradient(id),
            truth.network.parameters().at(id).name);
}

TEST_P(NetworkWith, RunsInMixedPrecision) {
  const Grid grid = Grid::latlon(17, 32, true);
  NetworkConfig config = network_with(GetParam()), mixed = config;
  mixed.precision = "bf16";
  Sample truth(config, grid, 2, DType::f32, Use::training), narrow(mixed, grid, 2, DType::f32, Use::training);
  for (Sample* s : {&truth, &narrow}) {
    randomise(s->network.parameters(), 0.05);
    s->network.forward(s->x, s->condition, s->y);
    s->network.backward(s->w, s->dx);
  }
  for (const auto& [a, b] : {std::pair{narrow.y, truth.y}, std::pair{narrow.dx, truth.dx}}) {
    double error = 0, size = 0;
    for (std::int64_t i = 0; i < a.count(); ++i) {
      error += std::pow(get(a, i) - get(b, i), 2);
      size += std::pow(get(b, i), 2);
    }
    EXPECT_GT(error, 0);
    EXPECT_LE(std::sqrt(error), 0.02 * std::sqrt(size));
  }
}

TEST(Network, LearnsASmallSampleByHeart) {
  const Grid grid = Grid::gaussian(16, 32);
  Sample s(smallest_network(), grid, 2, DType::f32, Use::training);
  s.network.initialise(3);
  ParameterStore& store = s.network.parameters();
  store.allocate_optimiser(true);
  const Tensor gradient = s.numbers.zeros(s.out);
  const std::vector<float> channels(Sample::outputs, 1.0f);
  double first = 0, last = 0;
  for (int step = 1; step <= 60; ++step) {
    store.zero_gradients();
    s.network.forward(s.x, s.condition, s.y);
    last = weighted_loss(LossKind::squared, s.y, s.w, grid.row_weights(), channels, {}, gradient);
    if (step == 1) first = last;
    s.network.backward(gradient, {});
    adamw_step(store,
               {.learning_rate = 3e-3, .weight_decay = 0, .gradient_scale = std::min(1.0, 1 / gradient_norm(store))},
               step);
    average_update(store, 0.9);
  }
  EXPECT_NEAR(first, 1.0, 0.1);  // noise of variance one against zero
  EXPECT_LT(last, 0.5 * first);
}

TEST(Network, LongRolloutsStayFinite) {
  Sample s(smallest_network(), Grid::gaussian(16, 32), 1, DType::f32, Use::inference);
  randomise(s.network.parameters(), 0.2);
  // The normalised state plus a tenth of the tendency, 200 steps: norms bound what the trunk returns whatever comes in.
  for (int step = 0; step < 200; ++step) {
    s.network.forward(s.x, s.condition, s.y);
    for (std::int64_t c = 0; c < Sample::outputs; ++c)
      for (std::int64_t i = 0; i < 512; ++i) set(s.x, c * 512 + i, get(s.x, c * 512 + i) + 0.1 * get(s.y, c * 512 + i));
  }
  double largest = 0;
  for (std::int64_t i = 0; i < s.x.count(); ++i) {
    ASSERT_TRUE(std::isfinite(get(s.x, i)));
    largest = std::max(largest, std::abs(get(s.x, i)));
  }
  EXPECT_LT(largest, 1e5);
}

TEST(Network, PresetsHaveTheSizesOfTheDesign) {
  struct Row {
    const char *preset, *grid;
    int channels;
    double parameters, work;
  };
  // model.md, section 4: parameters and forward work of a step.
  for (const Row& row :
       {Row{"tiny", "gaussian 32x64", 19, 0.26e6, 0.27e9}, Row{"test", "gaussian 32x64", 19, 1.4e6, 1.3e9},
        Row{"small", "latlon 121x240", 69, 40e6, 0.62e12}, Row{"base", "latlon 121x240", 69, 118e6, 1.8e12},
        Row{"meta", "latlon 721x1440", 74, 817e6, 49e12}, Row{"ghr", "latlon 2161x4320", 74, 931e6, 500e12},
        Row{"fengwu-ghr", "latlon 721x1440", 74, 2.7e9, 44e12},
        Row{"edge", "regional 60..36x240 0..24x240", 30, 5.4e6, 40e9}}) {
    NetworkConfig config;
    config.preset = row.preset;
    // Five upper-air channels a level at two times; the rest, static fields and forcings are one group.
    std::vector<int> levels(static_cast<std::size_t>(2 * row.channels + 10), 0);
    for (int c = 0; c < 2 * row.channels; ++c)
      levels[static_cast<std::size_t>(c)] = c % row.channels < 65 ? 1 + c % row.channels / 5 : 0;
    const ForecastNetwork network(config, Grid::parse(row.grid), 2 * row.channels + 10, row.channels, 6, DType::f32,
                                  nullptr, levels);
    EXPECT_NEAR(static_cast<double>(network.parameter_count()), row.parameters, 0.08 * row.parameters) << row.preset;
    EXPECT_NEAR(network.flops_per_sample(), row.work, 0.08 * row.work) << row.preset;
  }
}

TEST(Network, MemoryIsKnownBeforeItIsTaken) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitiser's shadow is resident, too";
#endif
  NetworkConfig config;
  const Grid grid = Grid::gaussian(48, 96);
  const auto resident = [] {
    std::ifstream file("/proc/self/statm");
    std::size_t total = 0, pages = 0;
    file >> total >> pages;
    return static_cast<double>(pages) * static_cast<double>(sysconf(_SC_PAGESIZE));
  };
  malloc_trim(0);  // what earlier tests gave back does not hide what this one takes
  const double before = resident();
  Sample s(config, grid, 8, DType::f32, Use::training);
  const MemoryPlan plan = s.network.memory(8, Use::training);
  EXPECT_EQ(plan.activations, s.network.plan(8, Use::training));
  s.network.initialise(1);
  s.network.parameters().zero_gradients();
  s.network.parameters().allocate_optimiser(true);
  s.network.forward(s.x, s.condition, s.y);
  s.network.backward(s.w, s.dx);
  adamw_step(s.network.parameters(), {}, 1);
  const double fields = static_cast<double>(2 * s.x.bytes() + 2 * s.y.bytes());
  const double taken = resident() - before - fields;
  EXPECT_NEAR(taken, static_cast<double>(plan.total()), 0.05 * static_cast<double>(plan.total()));
  EXPECT_EQ(s.network.parameters().bytes(), plan.parameters + plan.gradients + plan.moments + plan.average);
}

TEST(Network, BadShapesAndGridsAreNamed) {
  const auto message = [](auto&& call) -> std::string {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  NetworkConfig config;
  config.preset = "tset";
  EXPECT_NE(message([&] { resolve(config); }).find("did you mean 'test'"), std::string::npos);
  config.preset = "test";
  config.heads = 3;
  EXPECT_NE(message([&] { resolve(config); }).find("width 128 over 3 heads"), std::string::npos);
  config.heads.reset();
  config.patch = 4;
  const std::string patches = message([&] { ForecastNetwork(config, Grid::latlon(31, 60, true), 3, 3, 2); });
  EXPECT_NE(patches.find("31x60"), std::string::npos) << patches;
  EXPECT_NE(patches.find("these fit: 1, 2, 3, 5, 6, 10, 15, 30"), std::string::npos) << patches;
  Sample s(smallest_network(), Grid::gaussian(8, 12), 2, DType::f32, Use::training);
  EXPECT_NE(message([&] { s.network.forward(s.x, s.condition, s.y); }).find("parameters"), std::string::npos);
  s.network.initialise(1);
  EXPECT_NE(message([&] { s.network.forward(s.x, s.condition, s.x); }).find("expected f32 of [2, 3, 8, 12]"),
            std::string::npos);
  EXPECT_NE(message([&] { s.network.backward(s.w, s.dx); }).find("backward without"), std::string::npos);
}

}  // namespace
}  // namespace zonda::model::testing
