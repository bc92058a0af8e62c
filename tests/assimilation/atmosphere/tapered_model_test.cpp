#include "assimilation/atmosphere/tapered_model.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.hpp"
#include "persistent_model.hpp"
#include "random_vectors.hpp"

namespace zonda::assimilation {
namespace {

/// The model does not see small scales, and so carries them on as they are.
struct TaperedModelTest : testing::Test {
  TaperedModelTest() {
    model.layout.slots = 2;
    model.model = std::make_shared<PersistentModel>(model.layout.state_size());
    const std::size_t nlon = model.layout.grid.nlon();
    mean.resize(model.layout.slot_size);
    state.resize(model.layout.state_size());
    for (std::size_t i = 0; i < mean.size(); ++i) {
      mean[i] = 250 + (i % nlon == 5 ? 3 : 0);                                     // a mountain
      noise.push_back(i % 2 == 0 ? 1 : -1);                                        // of two grid lengths
      wave.push_back(std::cos(2 * M_PI * double(i % nlon) / double(nlon)) * 0.5);  // around the globe
    }
    const View present = View(state).last(mean.size());
    copy(mean, present);
    axpy(1, noise, present);
    axpy(1, wave, present);
  }
  const std::vector<Channel> channels{{"t", 850}};
  AtmosphereModel model{nullptr, channel_layout(Grid::parse("gaussian 16x32"), channels), {}, {}, {}};
  Vector mean, noise, wave, state;
};

TEST_F(TaperedModelTest, ends_noise_and_keeps_mountains) {
  const AtmosphereModel tapered = tapered_model(model, mean, 8, 10);
  Vector once = state;
  tapered.model->step(0, once);
  Vector left = difference(ConstView(once).last(mean.size()), mean);
  axpy(-1, wave, left);
  EXPECT_LT(norm(left), 0.05 * norm(noise)) << "noise of two grid lengths is still there";
  EXPECT_EQ(Vector(once.begin(), once.end() - std::ptrdiff_t(mean.size())),
            Vector(state.begin(), state.end() - std::ptrdiff_t(mean.size())))
      << "the earlier slot is not the taper's";
}

TEST_F(TaperedModelTest, leaves_the_mean_as_it_is) {
  Vector still = state;
  copy(mean, View(still).last(mean.size()));
  tapered_model(model, mean, 2, 4).model->step(0, still);
  EXPECT_LT(norm(difference(ConstView(still).last(mean.size()), mean)), 1e-12 * norm(mean));
}

TEST_F(TaperedModelTest, asks_for_a_mean_of_the_present) {
  mean.pop_back();
  EXPECT_THROW(tapered_model(model, mean, 2, 4), Error);
}

}  // namespace
}  // namespace zonda::assimilation
