#include "model/training/distillation/merged_response.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <vector>

#include "core/error.hpp"

namespace zonda::model {

namespace {

using Rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Square = Eigen::MatrixXd;

constexpr double ridge = 1e-3;  // of the departures' mean variance

/// Sums of the regression, level after level.
class Regression {
 public:
  Regression(const ForecastNetwork& network, std::span<const TokenMerging> levels)
      : grid_(network.grid(), network.shape().patch),
        width_(network.shape().width),
        levels_(levels.begin(), levels.end()),
        ahead_(levels.size()),
        departures_(Square::Zero(width_, width_)),
        products_(Square::Zero(width_, width_)) {}

  /// Tokens [T, D] of one sample ahead of `layer`, which is not the first.
  void see(std::size_t layer, std::span<const float> tokens) {
    for (std::size_t i = 0; i < levels_.size(); ++i) {
      if (layer == static_cast<std::size_t>(levels_[i].first)) ahead_[i].assign(tokens.begin(), tokens.end());
      if (layer == static_cast<std::size_t>(levels_[i].last) && !ahead_[i].empty())
        add(ahead_[i], tokens, levels_[i].tokens);
    }
  }

  Square solve() const {
    const double variance = departures_.trace() / static_cast<double>(width_);
    const Square damped = departures_ + ridge * variance * Square::Identity(width_, width_);
    return damped.selfadjointView<Eigen::Lower>().ldlt().solve(products_);
  }
  double explained(const Square& response) const {
    const double left = changes_ - 2 * response.cwiseProduct(products_).sum() +
                        (response.transpose() * departures_.selfadjointView<Eigen::Lower>() * response).trace();
    return changes_ > 0 ? 1 - left / changes_ : 0;
  }
  bool any() const { return departures_.trace() > 0; }

 private:
  Rows departures_of(const TokenGroups& groups, std::span<const float> x) const {
    Rows survivors(static_cast<Eigen::Index>(groups.survivors.size()), width_),
        departures(static_cast<Eigen::Index>(groups.given_up.size()), width_);
    const auto all = [](Rows& rows) { return std::span<float>(rows.data(), static_cast<std::size_t>(rows.size())); };
    gather_survivors<float>(groups, x, width_, all(survivors));
    gather_departures<float>(groups, x, all(survivors), width_, all(departures));
    return departures;
  }
  void add(std::span<const float> before, std::span<const float> behind, std::int64_t tokens) {
    const TokenGroups groups = merge_neighbours(grid_, before, width_, tokens);
    const Square d = departures_of(groups, before).cast<double>(),
                 change = departures_of(groups, behind).cast<double>() - d;
    departures_.selfadjointView<Eigen::Lower>().rankUpdate(d.transpose());
    products_ += d.transpose() * change;
    changes_ += change.squaredNorm();
  }

  const TokenGrid grid_;
  const std::int64_t width_;
  const std::vector<TokenMerging> levels_;
  std::vector<std::vector<float>> ahead_;  // of each level's blocks
  Square departures_, products_;
  double changes_ = 0;
};

ParameterId matrix_of(const ForecastNetwork& network) {
  const ParameterId matrix = network.parameters().find(std::string(merged_response_name) + ".weight");
  if (matrix < 0) fail(ErrorKind::failure, "network: no matrix for the response of merged tokens");
  return matrix;
}

}  // namespace

bool has_merged_response(const ForecastNetwork& network) {
  const auto weight = network.parameters().value(matrix_of(network)).span<float>();
  return std::ranges::any_of(weight, [](float w) { return w != 0; });
}

double fit_merged_response(ForecastNetwork& network, std::span<const TokenMerging> levels,
                           const std::function<void()>& forecasts) {
  ParameterStore& store = network.parameters();
  const ParameterId matrix = matrix_of(network);
  Regression regression(network, levels);
  network.set_tap({.output =
                       [&](std::size_t layer, const Tensor& tokens) {
                         const std::span<const float> all = tokens.span<float>();
                         const std::size_t size = static_cast<std::size_t>(
                             TokenGrid(network.grid(), network.shape().patch).count() * network.shape().width);
                         for (std::size_t first = 0; first < all.size(); first += size)
                           regression.see(layer + 1, all.subspan(first, size));
                       },
                   .gradient = {}});
  forecasts();
  network.set_tap({});
  if (!regression.any()) return 0;
  const Square response = regression.solve();
  float* weight = store.value(matrix).as<float>();
  for (Eigen::Index i = 0; i < response.rows(); ++i)
    for (Eigen::Index j = 0; j < response.cols(); ++j)
      weight[i * response.cols() + j] = static_cast<float>(response(i, j));
  store.values_changed();
  return regression.explained(response);
}

}  // namespace zonda::model
