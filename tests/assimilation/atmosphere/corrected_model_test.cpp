#include "assimilation/atmosphere/corrected_model.hpp"

#include <gtest/gtest.h>

#include "core/error.hpp"
#include "small_network.hpp"

namespace zonda::assimilation {
namespace {

const Time origin = parse_time("2001-06-01");

AtmosphereModel network() {
  return network_model(small_layout(), maker(small_layout(), small_network_config(), model::DType::f64), "small",
                       origin);
}

/// A tenth of each channel's standard deviation.
Vector mean_error(const AtmosphereModel& of) {
  const Vector all = deviations(of, small_layout());
  Vector error(all.end() - static_cast<std::ptrdiff_t>(of.layout.slot_size), all.end());
  scale(0.1, error);
  return error;
}

TEST(CorrectedModel, takes_the_mean_error_off_each_step) {
  const AtmosphereModel plain = network(), model = corrected_model(plain, std::make_shared<Vector>(mean_error(plain)));
  EXPECT_EQ(model.identity, plain.identity);
  const Vector start = network_state(plain, small_layout());
  Vector expected = start, found = start;
  for (std::size_t n = 0; n < 3; ++n) {
    plain.model->step(n, expected);
    axpy(-1, mean_error(plain), View(expected).last(plain.layout.slot_size));
    model.model->step(n, found);
  }
  EXPECT_EQ(found, expected);
}

TEST(CorrectedModel, refuses_an_error_of_another_size) {
  EXPECT_THROW(corrected_model(network(), std::make_shared<Vector>(3)), Error);
}

}  // namespace
}  // namespace zonda::assimilation
