// The generic suite on every covariance.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "assimilation/covariance/dense_covariance.hpp"
#include "assimilation/covariance/diagonal_covariance.hpp"
#include "assimilation/covariance/ensemble_covariance.hpp"
#include "assimilation/covariance/hybrid_covariance.hpp"
#include "core/error.hpp"
#include "covariance_checks.hpp"

namespace zonda::assimilation {
namespace {

constexpr std::size_t size = 12;

std::vector<Position> ring() {
  std::vector<Position> positions;
  for (std::size_t i = 0; i < size; ++i) positions.push_back({static_cast<double>(i), 0, 0});
  return positions;
}

std::shared_ptr<const Covariance> correlation() {
  return localisation_matrix({std::make_shared<PeriodicMetric>(size), 2.5, 1}, ring());
}

std::vector<Vector> anomalies(std::size_t members) {
  std::vector<Vector> result;
  Vector mean(size);
  for (std::size_t k = 0; k < members; ++k) {
    result.push_back(random_vector(size, 100 + k));
    axpy(1 / static_cast<double>(members), result.back(), mean);
  }
  for (Vector& anomaly : result) axpy(-1, mean, anomaly);
  return result;
}

struct CovarianceCase {
  const char* name;
  std::shared_ptr<const Covariance> covariance;
  bool regular = true;
};

std::vector<CovarianceCase> covariances() {
  Vector deviations;
  for (std::size_t i = 0; i < size; ++i) deviations.push_back(0.5 + 0.1 * static_cast<double>(i));
  const auto diagonal = std::make_shared<DiagonalCovariance>(deviations);
  const auto ensemble = std::make_shared<EnsembleCovariance>(anomalies(5), correlation());
  const auto everywhere = std::make_shared<DenseCovariance>(size, Vector(size * size, 1));
  return {{"diagonal", diagonal},
          {"correlation_matrix", correlation()},
          {"sample", std::make_shared<DenseCovariance>(sample_covariance(anomalies(30), 0.3))},
          {"localised_ensemble", ensemble},
          {"ensemble_without_localisation", std::make_shared<EnsembleCovariance>(anomalies(5), everywhere), false},
          {"hybrid", std::make_shared<HybridCovariance>(diagonal, 0.3, ensemble, 0.7)}};
}

class EveryCovariance : public testing::TestWithParam<CovarianceCase> {
 protected:
  const Covariance& b() const { return *GetParam().covariance; }
};

TEST_P(EveryCovariance, takes_zero_to_zero) {
  check_zero_to_zero(b());
}

TEST_P(EveryCovariance, is_linear_symmetric_and_positive) {
  check_linear_symmetric_and_positive(b());
}

TEST_P(EveryCovariance, is_the_square_of_its_root) {
  check_square_of_its_root(b());
}

TEST_P(EveryCovariance, has_an_inverse_or_says_that_it_has_none) {
  const Vector x = random_vector(size, 1);
  Vector y(size, 99);
  if (!GetParam().regular) {
    EXPECT_THROW(b().inverse(x, y), Error);
    return;
  }
  b().inverse(x, y);
  EXPECT_LT(norm(difference(times(b(), y), x)), 1e-10 * norm(x));
}

TEST_P(EveryCovariance, draws_samples_with_itself_as_covariance) {
  check_draws(b(), 4000);
}

INSTANTIATE_TEST_SUITE_P(assimilation, EveryCovariance, testing::ValuesIn(covariances()),
                         [](const auto& test) { return std::string(test.param.name); });

/// Element by element: covariance of the members times the correlation.
TEST(EnsembleCovariance, is_the_element_wise_product) {
  const auto members = anomalies(5);
  const EnsembleCovariance b(members, correlation());
  for (std::size_t i = 0; i < size; ++i) {
    const Vector of_b = column(b, i), of_correlation = column(*correlation(), i);
    for (std::size_t j = 0; j < size; ++j) {
      double covariance = 0;
      for (const Vector& member : members) covariance += member[i] * member[j] / 4;
      EXPECT_NEAR(of_b[j], covariance * of_correlation[j], 1e-13);
    }
  }
}

TEST(HybridCovariance, gives_the_pure_cases_at_its_ends) {
  const auto one = correlation();
  const auto other = std::make_shared<EnsembleCovariance>(anomalies(4), correlation());
  const HybridCovariance only_one(one, 1, other, 0), only_other(one, 0, other, 1);
  for (std::size_t i = 0; i < size; ++i) {
    EXPECT_EQ(column(only_one, i), column(*one, i));
    EXPECT_EQ(column(only_other, i), column(*other, i));
  }
}

TEST(Covariances, refuse_what_is_none) {
  EXPECT_THROW(DenseCovariance(2, Vector{1, 2, 3, 4}), Error);                // not symmetric
  EXPECT_THROW(DenseCovariance(2, Vector{1, 2, 2, 1}), Error);                // eigenvalues 3 and -1
  EXPECT_THROW(DiagonalCovariance({1, 0}), Error);                            // no variance
  EXPECT_THROW(EnsembleCovariance({Vector(size)}, correlation()), Error);     // one member
  EXPECT_THROW(HybridCovariance(correlation(), 0, correlation(), 0), Error);  // nothing left
  EXPECT_THROW(HybridCovariance(correlation(), -1, correlation(), 2), Error);
}

}  // namespace
}  // namespace zonda::assimilation
