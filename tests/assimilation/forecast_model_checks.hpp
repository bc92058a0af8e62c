#pragma once
// The generic suite of forecast models; a test program instantiates it for the models it knows.
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "assimilation/interfaces/forecast_model.hpp"
#include "differential_checks.hpp"

namespace zonda::assimilation {

struct ModelCase {
  const char* name;
  std::shared_ptr<const ForecastModel> model;
  Vector state;
  double scale;                         ///< of perturbations
  DifferentialTolerances tolerances{};  ///< of derivatives
  Vector units{};                       ///< of the state's components; empty: all 1
};

inline void PrintTo(const ModelCase& model, std::ostream* out) {
  *out << model.name;
}

inline Vector spun_up(const ForecastModel& model, Vector state, std::size_t steps) {
  for (std::size_t n = 0; n < steps; ++n) model.step(n, state);
  return state;
}

/// Steps in the state's units, so that components of all sizes count.
inline DifferentiableMap over(const ModelCase& c, std::size_t steps) {
  const auto model = c.model;
  const Vector units = c.units.empty() ? Vector(model->size(), 1) : c.units;
  const auto times = [units](ConstView x) {
    Vector result(x.begin(), x.end());
    for (std::size_t i = 0; i < result.size(); ++i) result[i] *= units[i];
    return result;
  };
  const auto over_units = [units](Vector x) {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] /= units[i];
    return x;
  };
  std::vector<Vector> trajectory{c.state};
  for (std::size_t n = 0; n + 1 < steps; ++n) {
    trajectory.push_back(trajectory.back());
    model->step(n, trajectory.back());
  }
  return {model->size(),
          model->size(),
          over_units(c.state),
          c.scale,
          [model, steps, times, over_units](ConstView x) { return over_units(spun_up(*model, times(x), steps)); },
          [model, trajectory, times, over_units](ConstView x) {
            Vector result = times(x);
            for (std::size_t n = 0; n < trajectory.size(); ++n) model->tangent(n, trajectory[n], result);
            return over_units(std::move(result));
          },
          [model, trajectory, times, over_units](ConstView y) {
            Vector result = over_units(Vector(y.begin(), y.end()));
            for (std::size_t n = trajectory.size(); n-- > 0;) model->adjoint(n, trajectory[n], result);
            return times(result);
          }};
}

class EveryModel : public testing::TestWithParam<std::tuple<ModelCase, std::size_t>> {
 protected:
  DifferentiableMap map() const { return over(std::get<0>(GetParam()), std::get<1>(GetParam())); }
  const DifferentialTolerances& tolerances() const { return std::get<0>(GetParam()).tolerances; }
};

TEST_P(EveryModel, zero_stays_zero) {
  check_zero_stays_zero(map());
}
TEST_P(EveryModel, has_linear_derivatives) {
  check_linearity(map(), tolerances());
}
TEST_P(EveryModel, has_a_tangent_of_first_order) {
  check_tangent(map(), tolerances());
}
TEST_P(EveryModel, has_the_adjoint_of_its_tangent) {
  check_adjoint(map(), tolerances());
}

TEST_P(EveryModel, repeats_itself_bit_for_bit) {
  const DifferentiableMap m = map();
  EXPECT_EQ(m.apply(m.state), m.apply(m.state));
  EXPECT_NE(m.apply(m.state), m.state);
}

TEST_P(EveryModel, steps_members_as_it_steps_one) {
  const auto& [c, steps] = GetParam();
  std::vector<Vector> members, alone;
  for (std::size_t j = 0; j < 5; ++j) {
    Vector moved = random_vector(c.state.size(), 30 + j, 1e-2 * c.scale);
    for (std::size_t i = 0; i < moved.size(); ++i)
      moved[i] = c.state[i] + moved[i] * (c.units.empty() ? 1 : c.units[i]);
    members.push_back(moved);
    c.model->step(steps, moved);
    alone.push_back(moved);
  }
  const std::vector<View> views(members.begin(), members.end());
  c.model->step_members(steps, views);
  EXPECT_EQ(members, alone);
}

inline std::string name_of_case(const testing::TestParamInfo<std::tuple<ModelCase, std::size_t>>& test) {
  return std::string(std::get<0>(test.param).name) + "_" + std::to_string(std::get<1>(test.param)) + "_steps";
}

}  // namespace zonda::assimilation
