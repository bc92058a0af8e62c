// Observations of a window that meet the states of their own times.
#include <gmock/gmock.h>

#include <Eigen/Dense>
#include <numbers>
#include <set>

#include "assimilation/covariance/diagonal_covariance.hpp"
#include "assimilation/cycling/variational_method.hpp"
#include "assimilation/observations/selected_components.hpp"
#include "core/error.hpp"
#include "ingest/observations/files/observation_file.hpp"
#include "tests/assimilation/cycling/small_cycle.hpp"

namespace zonda::assimilation {
namespace {

class ObservationTimes : public CycleTest {
 protected:
  static CycleConfig slotted_cycle(const std::string& method) {
    CycleConfig config = small_cycle(method);
    config.slot = std::chrono::hours(1);
    config.end = parse_time("2000-01-01T06");
    config.analyses[0].covariance.samples = 6;
    config.analyses[0].covariance.every = std::chrono::hours(24);
    config.analyses[0].inner_iterations = 4;
    return config;
  }
};

TEST_F(ObservationTimes, EveryWayHasTheSameBitsOnRanksAndAfterAStop) {
  CycleConfig config = slotted_cycle("4dvar");
  config.members = 3;
  for (const std::string method : {"3dvar", "letkf"}) {
    config.analyses.push_back(config.analyses[0]);
    config.analyses.back().method = method;
  }
  run(config, path("one"));
  CycleConfig first = config;
  first.end = first.start;
  run(first, path("three"), true, 3);
  run(config, path("three"), true, 2);
  for (const std::string method : {"4dvar", "3dvar", "letkf"}) {
    CycleConfig of = config;
    if (method.ends_with("dvar")) of.members = 1;
    EXPECT_EQ(results(path("three"), method, of), results(path("one"), method, of)) << method;
  }
}

/// Stations report by turns; the first window begins with the cycle.
TEST_F(ObservationTimes, ReportsLieThroughoutTheWindow) {
  CycleConfig config = slotted_cycle("letkf");
  config.end = parse_time("2000-01-01T06");
  run(config, path("run"));
  const auto times = [&](const char* time) {
    std::set<std::string> found;
    const auto file = path("run") / "letkf" / "feedback" / fmt::format("feedback_{}.h5", time);
    const ingest::ObservationTable table = ingest::read_observations(file, nullptr).table;
    for (const std::size_t i : table.used()) {
      found.insert(to_string(table.time[i]));
      EXPECT_TRUE(std::isfinite(table.background[i]) && std::isfinite(table.analysis[i])) << table.describe(i);
    }
    return found;
  };
  EXPECT_THAT(times("2000010100"),
              testing::ElementsAre("2000-01-01T00:00:00Z", "2000-01-01T01:00:00Z", "2000-01-01T02:00:00Z"));
  EXPECT_THAT(times("2000010106"),
              testing::ElementsAre("2000-01-01T03:00:00Z", "2000-01-01T04:00:00Z", "2000-01-01T05:00:00Z",
                                   "2000-01-01T06:00:00Z", "2000-01-01T07:00:00Z", "2000-01-01T08:00:00Z"));
}

TEST_F(ObservationTimes, ASlotThatDoesNotFitIsRefused) {
  const auto faults = [](const char* slot) {
    CycleConfig config;
    try {
      config::read(config::parse_yaml(fmt::format("core: {{truncation: 21}}\nstart: 2000-01-01\nend: 2000-01-02\n"
                                                  "observations: {{synthetic: {{}}}}\nanalyses: [{{method: letkf}}]\n"
                                                  "slot: {}\n",
                                                  slot),
                                      "run.yaml"),
                   config);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(faults("1h"), "");
  EXPECT_EQ(faults("3h"), "");
  EXPECT_THAT(faults("2h"), testing::HasSubstr("half of the window"));
}

using Matrix = Eigen::MatrixXd;

/// x <- M x
class LinearModel final : public ForecastModel {
 public:
  explicit LinearModel(Matrix matrix) : matrix_(std::move(matrix)) {}
  std::size_t size() const override { return static_cast<std::size_t>(matrix_.rows()); }
  void step(std::size_t, View state) const override { transform(matrix_, state); }
  void tangent(std::size_t, ConstView, View perturbation) const override { transform(matrix_, perturbation); }
  void adjoint(std::size_t, ConstView, View sensitivity) const override { transform(matrix_.transpose(), sensitivity); }

 private:
  static void transform(const Matrix& matrix, View x) {
    Eigen::Map<Eigen::VectorXd> vector(x.data(), static_cast<Eigen::Index>(x.size()));
    vector = (matrix * vector).eval();
  }
  Matrix matrix_;
};

/// With G the way to all observations of the window, the smoother is x_b + B G^T (G B G^T + R)^-1 (y - G x_b), and of a
/// perfect linear model its state at the analysis' time that, forecast.
TEST(CycledFourDVar, OnALinearModelIsTheSmootherAtTheAnalysisTime) {
  constexpr Eigen::Index size = 8;
  Matrix step = Matrix::Identity(size, size);
  for (Eigen::Index i = 0; i < size; ++i) {
    step(i, (i + 1) % size) += 0.3;
    step((i + 3) % size, i) -= 0.2;
  }
  const AtmosphereModel model{std::make_shared<LinearModel>(step),
                              {Grid::gaussian(2, 4), size, {}, {}, 1},
                              parse_time("2000-01-01"),
                              std::chrono::hours(1),
                              "linear"};
  const Vector deviations{1, 0.5, 2, 1, 0.7, 1.5, 1, 0.9};
  const auto covariance = std::make_shared<DiagonalCovariance>(deviations);

  Vector start(size), values;
  for (std::size_t i = 0; i < start.size(); ++i) start[i] = std::sin(1.0 + static_cast<double>(i));
  std::vector<TimeSlot> slots;
  Matrix g(9, size), power = Matrix::Identity(size, size);
  Eigen::VectorXd y(9), r(9);
  Eigen::Index row = 0;
  for (std::size_t n = 0; n <= 4; ++n, power = (step * power).eval()) {
    if (n == 3) continue;
    Observations observations;
    std::vector<std::size_t> components{n, (n + 3) % 8};
    if (n == 4) components.push_back(7);
    for (const std::size_t i : components) {
      g.row(row) = power.row(static_cast<Eigen::Index>(i));
      y(row) = std::cos(static_cast<double>(3 * row));
      r(row) = 0.25 + 0.05 * static_cast<double>(row);
      observations.values.push_back(y(row));
      observations.errors.push_back(std::sqrt(r(row)));
      observations.positions.push_back({});
      ++row;
    }
    observations.instrument = std::make_shared<SelectedComponents>(size, components);
    slots.push_back({n, std::move(observations)});
  }
  ASSERT_EQ(row, 9);
  Matrix b = Matrix::Zero(size, size);
  for (Eigen::Index i = 0; i < size; ++i)
    b(i, i) = deviations[static_cast<std::size_t>(i)] * deviations[static_cast<std::size_t>(i)];
  const Eigen::VectorXd background = Eigen::Map<const Eigen::VectorXd>(start.data(), size);
  const Matrix innovation = g * b * g.transpose() + Matrix(r.asDiagonal());
  const Eigen::VectorXd smoothed = background + b * g.transpose() * innovation.ldlt().solve(y - g * background);
  const Eigen::VectorXd expected = step * (step * smoothed);

  AnalysisConfig config;
  config.method = "4dvar";
  config.inner_iterations = 50;
  config.inner_tolerance = 1e-14;
  const auto method = make_variational_method(config, model, covariance, nullptr, parallel::Communicator::self());
  Ensemble state(1, size);
  const Eigen::VectorXd at_analysis = step * (step * background);
  copy(ConstView(at_analysis.data(), size), state.member(0));
  const Time begin = model.origin + 2 * model.step;
  const AnalysisNotes notes =
      method->analyse(state, {slots[2].observations, 1, begin + 2 * model.step, state, slots, start, begin});
  for (Eigen::Index i = 0; i < size; ++i) {
    EXPECT_NEAR(state.member(0)[static_cast<std::size_t>(i)], expected(i), 1e-8);
    EXPECT_NEAR(notes.window_start[static_cast<std::size_t>(i)], smoothed(i), 1e-8);
  }
  EXPECT_GT((expected - at_analysis).norm(), 0.1);
}

/// What is observed moves one place a step. Compared with the state of the analysis' time, a good observation of
/// another time is a bad one.
TEST(CycledThreeDVar, FirstGuessAtAppropriateTimeBeatsPlainWhereWeatherMoves) {
  constexpr Eigen::Index size = 24;
  Matrix shift = Matrix::Zero(size, size);
  for (Eigen::Index i = 0; i < size; ++i) shift((i + 1) % size, i) = 1;
  const AtmosphereModel model{std::make_shared<LinearModel>(shift),
                              {Grid::gaussian(4, 6), size, {}, {}, 1},
                              parse_time("2000-01-01"),
                              std::chrono::hours(1),
                              "moving"};
  const auto covariance = std::make_shared<DiagonalCovariance>(Vector(size, 0.3));
  const auto truth = [](std::size_t component, std::size_t step) {
    return std::sin(2 * std::numbers::pi * (static_cast<double>(component) - static_cast<double>(step)) / 12);
  };
  Vector start(size);
  for (std::size_t i = 0; i < start.size(); ++i)
    start[i] = truth(i, 0) + 0.3 + 0.1 * std::cos(2 * std::numbers::pi * static_cast<double>(i) / 24);
  std::vector<TimeSlot> slots;
  Observations all;
  std::vector<std::size_t> everywhere;
  for (std::size_t n = 0; n <= 6; ++n) {
    Observations observations;
    std::vector<std::size_t> components;
    for (std::size_t i = n; i < static_cast<std::size_t>(size); i += 7) {
      components.push_back(i);
      observations.values.push_back(truth(i, n) + 0.05 * std::cos(11.0 * static_cast<double>(i + n)));
      observations.errors.push_back(0.05);
      observations.positions.push_back({});
    }
    all.values.insert(all.values.end(), observations.values.begin(), observations.values.end());
    all.errors.insert(all.errors.end(), observations.errors.begin(), observations.errors.end());
    all.positions.insert(all.positions.end(), observations.positions.begin(), observations.positions.end());
    everywhere.insert(everywhere.end(), components.begin(), components.end());
    observations.instrument = std::make_shared<SelectedComponents>(size, std::move(components));
    slots.push_back({n, std::move(observations)});
  }
  all.instrument = std::make_shared<SelectedComponents>(size, std::move(everywhere));

  AnalysisConfig config;
  config.method = "3dvar";
  config.inner_iterations = 50;
  config.inner_tolerance = 1e-12;
  const auto method = make_variational_method(config, model, covariance, nullptr, parallel::Communicator::self());
  const Time begin = model.origin, time = begin + 3 * model.step;
  const auto error_with = [&](const std::vector<TimeSlot>& by_step) {
    Ensemble state(1, size);
    copy(start, state.member(0));
    for (std::size_t n = 0; n < 3; ++n) model.model->step(n, state.member(0));
    method->analyse(state, {all, 1, time, state, by_step, start, begin});
    double sum = 0;
    for (std::size_t i = 0; i < start.size(); ++i) sum += std::pow(state.member(0)[i] - truth(i, 3), 2);
    return std::sqrt(sum / static_cast<double>(size));
  };
  const double fgat = error_with(slots);
  EXPECT_LT(fgat, 0.5 * 0.3) << "half of the background's error";
  EXPECT_LT(fgat, 0.5 * error_with({}));
}

}  // namespace
}  // namespace zonda::assimilation
