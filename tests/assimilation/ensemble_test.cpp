// Ensemble filters against the Kalman filter, and what keeps an ensemble wide.
#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <memory>

#include "assimilation/covariance/dense_covariance.hpp"
#include "assimilation/ensemble/etkf.hpp"
#include "assimilation/ensemble/optimal_interpolation.hpp"
#include "assimilation/ensemble/rotation.hpp"
#include "assimilation/ensemble/stochastic_filter.hpp"
#include "assimilation/observations/selected_components.hpp"
#include "core/error.hpp"
#include "random_vectors.hpp"

namespace zonda::assimilation {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
constexpr std::size_t size = 6;

Ensemble random_ensemble(std::size_t members) {
  Ensemble ensemble(members, size);
  for (std::size_t k = 0; k < members; ++k) copy(random_vector(size, 50 + k), ensemble.member(k));
  return ensemble;
}

Observations some_observations() {
  return {std::make_shared<SelectedComponents>(size, std::vector<std::size_t>{0, 2, 3, 5}),
          {0.5, -1, 2, 0.1},
          {0.5, 1, 0.7, 2},
          std::vector<Position>(4)};
}

Eigen::VectorXd mean_of(const Ensemble& ensemble) {
  const Vector mean = ensemble.mean();
  return Eigen::Map<const Eigen::VectorXd>(mean.data(), size);
}

Matrix covariance_of(const Ensemble& ensemble) {
  Matrix anomalies(size, ensemble.total());
  const auto columns = ensemble.anomalies();
  for (std::size_t k = 0; k < columns.size(); ++k)
    anomalies.col(static_cast<Eigen::Index>(k)) = Eigen::Map<const Eigen::VectorXd>(columns[k].data(), size);
  return anomalies * anomalies.transpose() / static_cast<double>(ensemble.total() - 1);
}

struct KalmanAnalysis {
  Eigen::VectorXd mean;
  Matrix covariance;
};

KalmanAnalysis kalman_analysis(const Ensemble& background, const Observations& observations) {
  const auto p = static_cast<Eigen::Index>(observations.size());
  Matrix h = Matrix::Zero(p, size);
  for (std::size_t i = 0; i < size; ++i) {
    Vector unit(size), values(observations.size());
    unit[i] = 1;
    observations.instrument->apply(unit, values);
    h.col(static_cast<Eigen::Index>(i)) = Eigen::Map<const Eigen::VectorXd>(values.data(), p);
  }
  const Eigen::Map<const Eigen::VectorXd> y(observations.values.data(), p), error(observations.errors.data(), p);
  const Matrix b = covariance_of(background), r = error.cwiseAbs2().asDiagonal();
  const Matrix gain = b * h.transpose() * (h * b * h.transpose() + r).inverse();
  const Eigen::VectorXd mean = mean_of(background);
  return {mean + gain * (y - h * mean), (Matrix::Identity(size, size) - gain * h) * b};
}

class EnsembleSize : public testing::TestWithParam<std::size_t> {};

/// With few members the background covariance is singular; the identity holds all the same.
TEST_P(EnsembleSize, etkf_is_the_kalman_filter) {
  Ensemble ensemble = random_ensemble(GetParam());
  const KalmanAnalysis expected = kalman_analysis(ensemble, some_observations());
  Etkf({}).analyse(ensemble, some_observations(), 0);
  EXPECT_LT((mean_of(ensemble) - expected.mean).norm(), 1e-10);
  EXPECT_LT((covariance_of(ensemble) - expected.covariance).norm(), 1e-10);
}

/// Perturbations are centred, so the mean is exact; the covariance is right on average.
TEST_P(EnsembleSize, stochastic_filter_is_the_kalman_filter_on_average) {
  const Ensemble background = random_ensemble(GetParam());
  const KalmanAnalysis expected = kalman_analysis(background, some_observations());
  Matrix sum = Matrix::Zero(size, size);
  constexpr int draws = 400;
  for (int draw = 0; draw < draws; ++draw) {
    Ensemble ensemble = background;
    StochasticFilter({}, 3).analyse(ensemble, some_observations(), static_cast<std::size_t>(draw));
    ASSERT_LT((mean_of(ensemble) - expected.mean).norm(), 1e-10);
    sum += covariance_of(ensemble);
  }
  EXPECT_LT((sum / draws - expected.covariance).norm(), 0.05 * covariance_of(background).norm());
}

TEST_P(EnsembleSize, rotation_keeps_mean_and_covariance) {
  Ensemble ensemble = random_ensemble(GetParam());
  const Ensemble before = ensemble;
  rotate(ensemble, 1, 0);
  EXPECT_LT((mean_of(ensemble) - mean_of(before)).norm(), 1e-12);
  EXPECT_LT((covariance_of(ensemble) - covariance_of(before)).norm(), 1e-11);
  EXPECT_GT(norm(difference(ensemble.member(0), before.member(0))), 1e-3);
}

TEST_P(EnsembleSize, rotation_is_orthogonal_and_another_for_each_draw) {
  const auto n = static_cast<Eigen::Index>(GetParam());
  const Vector one = mean_preserving_rotation(GetParam(), 1, 0), other = mean_preserving_rotation(GetParam(), 1, 1);
  const Eigen::Map<const Matrix> q(one.data(), n, n);
  EXPECT_LT((q * q.transpose() - Matrix::Identity(n, n)).norm(), 1e-12);
  EXPECT_LT((q * Eigen::VectorXd::Ones(n) - Eigen::VectorXd::Ones(n)).norm(), 1e-12);
  EXPECT_EQ(one, mean_preserving_rotation(GetParam(), 1, 0));
  EXPECT_NE(one, other);
}

INSTANTIATE_TEST_SUITE_P(assimilation, EnsembleSize, testing::Values(3, 7, 20));

TEST(EnsembleFilters, leave_members_alone_without_observations) {
  const Observations none{std::make_shared<SelectedComponents>(size, std::vector<std::size_t>{}), {}, {}, {}};
  Ensemble ensemble = random_ensemble(5);
  const Ensemble before = ensemble;
  Etkf({1.5, 0, 0}).analyse(ensemble, none, 0);
  StochasticFilter({1.5, 0, 0}, 1).analyse(ensemble, none, 0);
  for (std::size_t k = 0; k < 5; ++k) EXPECT_EQ(difference(ensemble.member(k), before.member(k)), Vector(size));
}

TEST(EnsembleFilters, need_all_members_and_two_of_them) {
  Ensemble part(5, size, {0, 2}), single(1, size);
  EXPECT_THROW(Etkf({}).analyse(part, some_observations(), 0), Error);
  EXPECT_THROW(StochasticFilter({}, 1).analyse(single, some_observations(), 0), Error);
}

TEST(Inflation, does_what_its_names_say) {
  const Vector background{2, -1, -1}, narrow{1, -0.5, -0.5};
  const auto inflated = [&](const Inflation& inflation) {
    Vector analysis = narrow;
    inflate(inflation, background, analysis);
    return analysis;
  };
  EXPECT_EQ(inflated({}), narrow);
  EXPECT_EQ(inflated({1.5, 0, 0}), (Vector{1.5, -0.75, -0.75}));
  EXPECT_EQ(inflated({1, 1, 0}), background);
  EXPECT_EQ(inflated({1, 0.5, 0}), (Vector{1.5, -0.75, -0.75}));
  EXPECT_NEAR(norm(inflated({1, 0, 1})), norm(background), 1e-14);
  EXPECT_NEAR(norm(inflated({1, 0, 0.25})), norm(narrow) + 0.25 * (norm(background) - norm(narrow)), 1e-14);
  EXPECT_THROW(Etkf({0, 0, 0}), Error);
  EXPECT_THROW(Etkf({1, 1.5, 0}), Error);
  EXPECT_THROW(Etkf({1, 0, -1}), Error);
}

/// RTPP of 1 gives the background's anomalies about the analysis mean.
TEST(Etkf, relaxes_fully_to_background_perturbations) {
  Ensemble ensemble = random_ensemble(7), relaxed = ensemble;
  const auto before = ensemble.anomalies();
  Etkf({}).analyse(ensemble, some_observations(), 0);
  Etkf({1, 1, 0}).analyse(relaxed, some_observations(), 0);
  EXPECT_LT(norm(difference(relaxed.mean(), ensemble.mean())), 1e-13);
  for (std::size_t k = 0; k < 7; ++k) EXPECT_LT(norm(difference(relaxed.anomalies()[k], before[k])), 1e-13);
}

/// One observation moves the state along the covariance's column.
TEST(OptimalInterpolation, of_one_observation_has_the_shape_of_the_covariance) {
  const DenseCovariance b = sample_covariance(random_ensemble(20).anomalies());
  const Observations one{std::make_shared<SelectedComponents>(size, std::vector<std::size_t>{2}), {3}, {0.5}, {}};
  const Vector background = random_vector(size, 9);
  Vector unit(size), column(size);
  unit[2] = 1;
  b.multiply(unit, column);
  Vector expected = background;
  axpy((3 - background[2]) / (column[2] + 0.25), column, expected);
  EXPECT_LT(norm(difference(optimal_interpolation(b, background, one), expected)), 1e-13);
}

}  // namespace
}  // namespace zonda::assimilation
