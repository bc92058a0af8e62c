#include "assimilation/ensemble/additive_inflation.hpp"

#include <gtest/gtest.h>

#include <set>

#include "core/error.hpp"
#include "random_vectors.hpp"

namespace zonda::assimilation {
namespace {

constexpr std::size_t members = 5, state_size = 9, sample_size = 4;

std::vector<Vector> samples(std::size_t count) {
  std::vector<Vector> result;
  for (std::size_t s = 0; s < count; ++s) result.push_back(random_vector(sample_size, 300 + s));
  return result;
}

Ensemble random_members(parallel::Range own) {
  Ensemble ensemble(members, state_size, own);
  for (std::size_t k = 0; k < own.size(); ++k) copy(random_vector(state_size, 20 + own.begin + k), ensemble.member(k));
  return ensemble;
}

TEST(AdditiveInflation, keeps_the_mean_and_the_earlier_slot) {
  Ensemble ensemble = random_members({0, members});
  const Vector before = ensemble.mean();
  const Vector values(ensemble.values().begin(), ensemble.values().end());
  AdditiveInflation(samples(7), 0.8, 1).perturb(ensemble, 3);
  EXPECT_LT(norm(difference(ensemble.mean(), before)), 1e-14);
  for (std::size_t k = 0; k < members; ++k)
    for (std::size_t i = 0; i < state_size; ++i) {
      const double change = ensemble.member(k)[i] - values[k * state_size + i];
      if (i < state_size - sample_size)
        EXPECT_EQ(change, 0);
      else
        EXPECT_GT(std::abs(change), 1e-6);
    }
}

TEST(AdditiveInflation, deals_each_sample_once_before_any_comes_again) {
  const AdditiveInflation many(samples(members), 1, 1), few(samples(2), 1, 1);
  std::set<std::vector<std::size_t>> orders;
  for (std::uint64_t draw = 0; draw < 20; ++draw) {
    const auto drawn = many.drawn(members, draw);
    EXPECT_EQ(std::set(drawn.begin(), drawn.end()).size(), members);
    EXPECT_EQ(drawn, many.drawn(members, draw));
    orders.insert(drawn);
    for (const std::size_t s : few.drawn(members, draw)) EXPECT_LT(s, 2u);
  }
  EXPECT_GT(orders.size(), 15u);
}

/// Members that were alike get the samples' covariance times the square of the factor, on average over draws.
TEST(AdditiveInflation, spreads_as_the_samples_do) {
  constexpr double factor = 0.6;
  const std::vector<Vector> errors = samples(40);
  const AdditiveInflation additive(errors, factor, 4);
  Vector mean(sample_size), expected(sample_size), found(sample_size);
  for (const Vector& error : errors) axpy(1 / 40.0, error, mean);
  for (const Vector& error : errors)
    for (std::size_t i = 0; i < sample_size; ++i)
      expected[i] += factor * factor * (error[i] - mean[i]) * (error[i] - mean[i]) / 39;
  constexpr std::uint64_t draws = 4000;
  for (std::uint64_t draw = 0; draw < draws; ++draw) {
    Ensemble alike(members, state_size);
    additive.perturb(alike, draw);
    for (const Vector& anomaly : alike.anomalies())
      for (std::size_t i = 0; i < sample_size; ++i)
        found[i] += anomaly[state_size - sample_size + i] * anomaly[state_size - sample_size + i] /
                    static_cast<double>((members - 1) * draws);
  }
  for (std::size_t i = 0; i < sample_size; ++i) EXPECT_NEAR(found[i] / expected[i], 1, 0.05);
}

TEST(AdditiveInflation, does_not_depend_on_who_holds_the_members) {
  const AdditiveInflation additive(samples(7), 1, 2);
  Ensemble whole = random_members({0, members});
  additive.perturb(whole, 5);
  for (const parallel::Range own : {parallel::Range{0, 2}, parallel::Range{2, 5}}) {
    Ensemble part = random_members(own);
    additive.perturb(part, 5);
    for (std::size_t k = 0; k < own.size(); ++k)
      for (std::size_t i = 0; i < state_size; ++i) EXPECT_EQ(part.member(k)[i], whole.member(own.begin + k)[i]);
  }
}

TEST(AdditiveInflation, refuses_what_it_cannot_draw_from) {
  EXPECT_THROW(AdditiveInflation({}, 1, 1), Error);
  EXPECT_THROW(AdditiveInflation(samples(3), 0, 1), Error);
  EXPECT_THROW(AdditiveInflation({Vector(3), Vector(4)}, 1, 1), Error);
  Ensemble small(2, 3);
  EXPECT_THROW(AdditiveInflation(samples(3), 1, 1).perturb(small, 0), Error);
}

}  // namespace
}  // namespace zonda::assimilation
