#include "assimilation/atmosphere/network_model.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "assimilation/atmosphere/corrected_model.hpp"
#include "assimilation/atmosphere/tapered_model.hpp"
#include "core/error.hpp"
#include "forecast_model_checks.hpp"
#include "model/forecast_state/forecast_model.hpp"
#include "small_network.hpp"

namespace zonda::assimilation {
namespace {

using model::DType;
const Time origin = parse_time("2001-06-01");

AtmosphereModel small_network(DType dtype, const NetworkOptions& options = {}) {
  return network_model(small_layout(), maker(small_layout(), small_network_config(), dtype), "small", origin, options);
}

/// In f32 derivatives are those of a rounded map: no ladder of remainders, all else at f32's digits.
constexpr DifferentialTolerances single{.adjoint = 1e-5, .tangent = 1e-3, .linearity = 1e-5, .rounding = 1e-6};

std::vector<ModelCase> networks() {
  std::vector<ModelCase> cases;
  const auto add = [&](const char* name, const model::ForecastLayout& layout, const AtmosphereModel& network,
                       const DifferentialTolerances& tolerances) {
    cases.push_back({name, network.model, network_state(network, layout), 1, tolerances, deviations(network, layout)});
  };
  NetworkOptions threes;
  threes.batch = 3;
  threes.linearisations = 1;
  model::ForecastLayout states = small_layout();
  states.target = model::Target::state;
  add("network_f64", small_layout(), small_network(DType::f64, threes), {});
  add("network_f64_of_states", states,
      network_model(states, maker(states, small_network_config(), DType::f64), "states", origin), {});
  AtmosphereModel corrected = small_network(DType::f64);
  corrected = corrected_model(corrected, std::make_shared<Vector>(corrected.layout.slot_size, 1e-3));
  add("network_f64_corrected", small_layout(), corrected, {});
  AtmosphereModel tapered = small_network(DType::f64);
  tapered = tapered_model(tapered, Vector(tapered.layout.slot_size, 2.0), 1, 3);
  add("network_f64_tapered", small_layout(), tapered, {});
  add("network_f32", small_layout(), small_network(DType::f32, threes), single);
  return cases;
}
INSTANTIATE_TEST_SUITE_P(networks, EveryModel, testing::Combine(testing::ValuesIn(networks()), testing::Values(1, 3)),
                         name_of_case);

/// The preset that learns on two cores, on its grid, in fp32.
std::vector<ModelCase> test_preset() {
  model::ForecastLayout layout = small_layout(Grid::latlon(32, 64, false));
  model::NetworkConfig config;
  config.preset = "test";
  const AtmosphereModel network = network_model(layout, maker(layout, config, DType::f32, 0.05), "test", origin);
  return {{"test_preset_f32", network.model, network_state(network, layout), 1, single, deviations(network, layout)}};
}
INSTANTIATE_TEST_SUITE_P(test_preset, EveryModel,
                         testing::Combine(testing::ValuesIn(test_preset()), testing::Values(1)), name_of_case);

TEST(NetworkModel, describes_its_state) {
  const AtmosphereModel network = small_network(DType::f64);
  EXPECT_EQ(network.step, std::chrono::hours(6));
  EXPECT_EQ(network.layout.slots, 2);
  EXPECT_EQ(network.layout.state_size(), network.model->size());
  EXPECT_FALSE(network.layout.has("tp"));
  EXPECT_EQ(network.layout.find("q")->offset, std::vector<std::size_t>{4 * network.layout.grid.size()});
  EXPECT_NEAR(network.layout.orography[4], 2800 / 9.80665, 1e-3);
  EXPECT_TRUE(network.model->differentiable());
}

/// Against the single precision that forecasts use, by hand.
TEST(NetworkModel, steps_as_a_forecast_does) {
  const model::ForecastLayout layout = small_layout();
  const model::ForecastStep step(layout);
  const auto network = maker(layout, small_network_config(), DType::f32)();
  const AtmosphereModel single_precision = small_network(DType::f32), twice = small_network(DType::f64);
  const Vector start = network_state(twice, layout);
  const Duration d = std::chrono::hours(6);
  const std::size_t points = layout.points(), slot = twice.layout.slot_size;
  const auto image = [&](std::size_t from) {
    std::vector<float> all(layout.channels.size() * points);
    std::size_t p = 0;
    for (std::size_t c = 0; c < layout.channels.size(); ++c)
      for (std::size_t i = 0; i < points && c != 2; ++i) all[c * points + i] = static_cast<float>(start[from + p++]);
    layout.normalisation.normalise(all);
    return all;
  };
  const std::size_t n = 5;
  const Time now = origin + 5 * d;
  std::vector<float> earlier = image(0), present = image(slot), next(present.size()), y(present.size()),
                     u(layout.input_channels() * points), forcing(2 * points), forcing_next(2 * points), condition(7);
  model::normalised_forcing(layout, now, forcing);
  model::normalised_forcing(layout, now + d, forcing_next);
  step.assemble(earlier, present, forcing, forcing_next, u);
  step.condition(now, d, Duration{0}, condition);
  network->plan(1, model::Use::inference);
  const auto shape = [&](std::size_t channels) { return model::Shape{1, static_cast<int>(channels), 8, 12}; };
  network->forward(model::Tensor::of(u, shape(layout.input_channels())), model::Tensor::of(condition, {1, 7}),
                   model::Tensor::of(y, shape(layout.channels.size())));
  step.advance(y, present, d, next);

  for (const AtmosphereModel* of : {&single_precision, &twice}) {
    Vector state = start;
    of->model->step(n, state);
    EXPECT_EQ(Vector(state.begin(), state.begin() + static_cast<std::ptrdiff_t>(slot)),
              Vector(start.begin() + static_cast<std::ptrdiff_t>(slot), start.end()));
    std::size_t p = 0;
    for (std::size_t c = 0; c < layout.channels.size(); ++c)
      for (std::size_t i = 0; i < points && c != 2; ++i)
        EXPECT_NEAR((state[slot + p++] - layout.normalisation.mean[c]) / layout.normalisation.stddev[c],
                    next[c * points + i], 1e-5);
    Vector later = start;
    of->model->step(n + 1, later);
    EXPECT_NE(later, state) << "the time of day forces the network";
  }
}

TEST(NetworkModel, keeps_humidity_within_bounds_and_lets_no_derivative_through) {
  NetworkOptions bounded;
  bounded.bounds = true;
  const AtmosphereModel free = small_network(DType::f64), held = small_network(DType::f64, bounded);
  Vector state = network_state(free, small_layout());
  const std::size_t slot = free.layout.slot_size, q = slot + free.layout.find("q")->offset[0],
                    points = free.layout.grid.size();
  for (std::size_t i = 0; i < points; ++i) state[q + i] = i % 2 ? -1e-2 : 1e-2;
  Vector freely = state, bound = state;
  free.model->step(0, freely);
  held.model->step(0, bound);
  const Vector direction = random_vector(state.size(), 1);
  Vector free_change = direction, held_change = direction;
  free.model->tangent(0, state, free_change);
  held.model->tangent(0, state, held_change);
  std::size_t at_bound = 0;
  for (std::size_t i = 0; i < state.size(); ++i) {
    const bool is_humidity = i >= q && i < q + points;
    EXPECT_EQ(bound[i], is_humidity && i >= slot ? std::max(freely[i], 0.0) : freely[i]);
    if (is_humidity && freely[i] < 0) {
      ++at_bound;
      EXPECT_EQ(held_change[i], 0);
    } else {
      EXPECT_EQ(held_change[i], free_change[i]);
    }
  }
  EXPECT_GT(at_bound, points / 4);
  EXPECT_LT(at_bound, points);
  const Vector weights = random_vector(state.size(), 2);
  Vector back = weights;
  held.model->adjoint(0, state, back);
  EXPECT_NEAR(dot(direction, back), dot(held_change, weights), 1e-12 * norm(held_change) * norm(weights));
}

TEST(NetworkModel, takes_the_step_it_is_told) {
  NetworkOptions options;
  options.step = std::chrono::hours(12);
  const AtmosphereModel half_days = small_network(DType::f64, options);
  EXPECT_EQ(half_days.step, std::chrono::hours(12));
  EXPECT_NE(half_days.identity, small_network(DType::f64).identity);
  options.step = std::chrono::hours(7);
  EXPECT_THROW(small_network(DType::f64, options), Error);
}

/// Each rank takes its latitudes through the network; states, tangents and sensitivities have the bits of one rank.
TEST(NetworkModel, is_shared_by_ranks_with_the_bits_of_one) {
  const model::ForecastLayout layout = small_layout(Grid::latlon(16, 24, false));
  for (const DType dtype : {DType::f32, DType::f64}) {
    struct Results {
      Vector state, two, perturbation, sensitivity;
    };
    const auto results = [&](const parallel::Communicator& slabs) {
      NetworkOptions options;
      options.slabs = slabs;
      const AtmosphereModel network = network_model(
          layout, maker(layout, small_network_config(), dtype, 0.1, {.slabs = slabs, .chunks = slabs.size()}), "shared",
          origin, options);
      EXPECT_EQ(network.shared, slabs.size() > 1);
      Results found{network_state(network, layout), network_state(network, layout, 7), {}, {}};
      found.perturbation = found.sensitivity = random_vector(found.state.size(), 3);
      const Vector about = found.state;
      network.model->tangent(0, about, found.perturbation);
      network.model->adjoint(0, about, found.sensitivity);
      const std::vector<View> both{found.state, found.two};
      network.model->step_members(0, both);
      network.model->step(1, found.state);
      return found;
    };
    const Results alone = results(parallel::Communicator::self());
    for (const int ranks : {2, 4})
      parallel::run_on_threads(ranks, [&](const parallel::Communicator& slabs) {
        const Results shared = results(slabs);
        EXPECT_EQ(shared.state, alone.state) << ranks << " ranks, rank " << slabs.rank();
        EXPECT_EQ(shared.two, alone.two);
        EXPECT_EQ(shared.perturbation, alone.perturbation);
        EXPECT_EQ(shared.sensitivity, alone.sensitivity);
      });
  }
}

TEST(NetworkModel, names_what_is_no_number) {
  const AtmosphereModel network = small_network(DType::f64);
  Vector state = network_state(network, small_layout());
  state[3] = NAN;
  try {
    network.model->step(0, state);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::numerical);
  }
}

struct ModelFile : testing::Test {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("zonda-network-model-" + std::to_string(getpid()));
  void TearDown() override { std::filesystem::remove_all(folder); }
};

TEST_F(ModelFile, opens_as_a_forecast_model) {
  const model::ForecastLayout layout = small_layout();
  const auto network = maker(layout, small_network_config(), DType::f32)();
  model::write_model(folder, layout, *network, {}, false);
  const AtmosphereModel opened = open_network(folder, origin), made = small_network(DType::f32);
  Vector state = network_state(opened, layout), other = state;
  opened.model->step(2, state);
  made.model->step(2, other);
  EXPECT_EQ(state, other);
  EXPECT_EQ(opened.identity, open_network(folder, origin).identity);
  EXPECT_NE(opened.identity, made.identity);
  EXPECT_THROW(open_network(folder / "elsewhere", origin), Error);
  // The weights are read when they are needed: another model in its place is refused.
  const AtmosphereModel late = open_network(folder, origin);
  model::write_model(folder, layout, *maker(layout, small_network_config(), DType::f32, 0.2)(), {}, false);
  EXPECT_THROW(late.model->step(0, state), Error);
}

}  // namespace
}  // namespace zonda::assimilation
