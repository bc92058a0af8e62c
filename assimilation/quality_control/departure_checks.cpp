#include "assimilation/quality_control/departure_checks.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "assimilation/interfaces/position.hpp"
#include "assimilation/quality_control/checks.hpp"
#include "core/constants.hpp"

namespace zonda::assimilation {

using ingest::ObservationTable;
using ingest::QualityFlag;

Vector background_errors(const ObservationTable& table, const std::vector<BackgroundErrorRule>& rules,
                         double fraction) {
  std::map<ingest::VariableNumber, double> of_variable;
  for (const BackgroundErrorRule& rule : rules) of_variable[ingest::variable_number(rule.variable)] = rule.error;
  Vector errors(table.size());
  for (std::size_t i = 0; i < table.size(); ++i) {
    const auto rule = of_variable.find(table.variable[i]);
    errors[i] = rule != of_variable.end() ? rule->second : fraction * table.error[i];
  }
  return errors;
}

void check_background(ObservationTable& table, ConstView background_error, double limit) {
  require_size("background errors", background_error.size(), table.size());
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (!table.accepted(i) || !std::isfinite(table.background[i])) continue;
    const double departure = table.value[i] - table.background[i];
    if (!(std::abs(departure) <= limit * std::hypot(background_error[i], table.error[i])))
      table.reject(i, QualityFlag::background);
  }
  reject_wind_partners(table);
}

namespace {

constexpr double least_correlation = 0.05, farthest = 3;  // exp(-3) < 0.05

class Neighbourhoods {
 public:
  Neighbourhoods(const ObservationTable& table, ConstView background_error, const BuddyCheck& check)
      : table_(table), background_error_(background_error), check_(check) {
    for (std::size_t i = 0; i < table.size(); ++i)
      if (table.accepted(i) && std::isfinite(table.background[i])) entries_.push_back(i);
    std::stable_sort(entries_.begin(), entries_.end(), [&](std::size_t a, std::size_t b) {
      return std::pair(table.variable[a], table.latitude[a]) < std::pair(table.variable[b], table.latitude[b]);
    });
  }

  const std::vector<std::size_t>& entries() const { return entries_; }
  std::size_t at(std::size_t place) const { return entries_[place]; }

  double correlation(std::size_t a, std::size_t b) const {
    const double far = SphereMetric().distance({table_.longitude[a], table_.latitude[a], 0},
                                               {table_.longitude[b], table_.latitude[b], 0}) /
                       check_.length;
    return std::exp(-0.5 * (far * far + apart(a, b)));
  }

  /// Squared, in height and time.
  double apart(std::size_t a, std::size_t b) const {
    const double up = table_.pressure[a] > 0 && table_.pressure[b] > 0
                          ? std::log(table_.pressure[a] / table_.pressure[b]) / check_.depth
                          : 0;
    const double later = static_cast<double>((table_.time[a] - table_.time[b]).count()) / check_.duration;
    return up * up + later * later;
  }

  /// The most correlated accepted neighbours of the entry at `place`.
  std::vector<std::size_t> of(std::size_t place) const {
    const std::size_t i = entries_[place];
    const double reach = 3 * check_.length / constants::earth_radius * 180 / constants::pi;
    std::vector<std::pair<double, std::size_t>> found;
    const auto look = [&](std::size_t other) {
      const std::size_t j = entries_[other];
      if (table_.variable[j] != table_.variable[i] || std::abs(table_.latitude[j] - table_.latitude[i]) > reach)
        return false;
      if (!table_.accepted(j) || j == i || apart(i, j) > 2 * farthest) return true;
      const double rho = correlation(i, j);
      if (rho > least_correlation) found.emplace_back(-rho, j);
      return true;
    };
    for (std::size_t k = place; k-- > 0 && look(k);) {
    }
    for (std::size_t k = place + 1; k < entries_.size() && look(k); ++k) {
    }
    std::sort(found.begin(), found.end());
    if (found.size() > check_.most) found.resize(check_.most);
    std::vector<std::size_t> buddies;
    for (const auto& [rho, j] : found) buddies.push_back(j);
    return buddies;
  }

  /// |d - d_n| / sigma; 0 where there are too few buddies.
  double strangeness(std::size_t place, const std::vector<std::size_t>& buddies) const {
    if (buddies.size() < check_.least) return 0;
    const std::size_t i = entries_[place];
    const auto n = static_cast<Eigen::Index>(buddies.size());
    Eigen::MatrixXd covariance(n, n);
    Eigen::VectorXd to_entry(n), departures(n);
    for (Eigen::Index a = 0; a < n; ++a) {
      const std::size_t ia = buddies[static_cast<std::size_t>(a)];
      for (Eigen::Index b = 0; b < n; ++b) {
        const std::size_t ib = buddies[static_cast<std::size_t>(b)];
        covariance(a, b) = background_error_[ia] * background_error_[ib] * (a == b ? 1 : correlation(ia, ib));
      }
      covariance(a, a) += table_.error[ia] * table_.error[ia];
      to_entry(a) = background_error_[i] * background_error_[ia] * correlation(i, ia);
      departures(a) = table_.value[ia] - table_.background[ia];
    }
    const Eigen::LDLT<Eigen::MatrixXd> factors(covariance);
    const Eigen::VectorXd weights = factors.solve(to_entry);
    const double total = background_error_[i] * background_error_[i] + table_.error[i] * table_.error[i];
    const double variance = std::max(total - weights.dot(to_entry), 1e-12 * total);
    return std::abs(table_.value[i] - table_.background[i] - weights.dot(departures)) / std::sqrt(variance);
  }

 private:
  const ObservationTable& table_;
  ConstView background_error_;
  const BuddyCheck& check_;
  std::vector<std::size_t> entries_;  ///< by variable and latitude
};

}  // namespace

void check_buddies(ObservationTable& table, ConstView background_error, const BuddyCheck& check) {
  require_size("background errors", background_error.size(), table.size());
  const Neighbourhoods neighbourhoods(table, background_error, check);
  const std::size_t n = neighbourhoods.entries().size();
  std::vector<std::size_t> place_of(table.size());
  for (std::size_t place = 0; place < n; ++place) place_of[neighbourhoods.at(place)] = place;
  std::vector<std::vector<std::size_t>> buddies(n);
  std::vector<double> strange(n);
  std::vector<std::size_t> pending(n);
  std::iota(pending.begin(), pending.end(), std::size_t{0});
  while (!pending.empty()) {
#pragma omp parallel for schedule(static)
    for (std::size_t k = 0; k < pending.size(); ++k) {
      const std::size_t place = pending[k];
      buddies[place] = neighbourhoods.of(place);
      strange[place] = neighbourhoods.strangeness(place, buddies[place]);
    }
    // Who is the strangest of its neighbourhood goes; an equal one with the smaller number first.
    std::vector<std::size_t> rejected;
    for (std::size_t place = 0; place < n; ++place) {
      if (!table.accepted(neighbourhoods.at(place)) || strange[place] <= check.limit) continue;
      const bool strangest = std::all_of(buddies[place].begin(), buddies[place].end(), [&](std::size_t j) {
        const std::size_t other = place_of[j];
        return strange[other] < strange[place] || (strange[other] == strange[place] && other > place);
      });
      if (strangest) rejected.push_back(place);
    }
    for (const std::size_t place : rejected) table.reject(neighbourhoods.at(place), QualityFlag::buddy);
    pending.clear();
    if (rejected.empty()) break;
    for (std::size_t place = 0; place < n; ++place) {
      if (!table.accepted(neighbourhoods.at(place))) continue;
      if (std::any_of(buddies[place].begin(), buddies[place].end(), [&](std::size_t j) { return !table.accepted(j); }))
        pending.push_back(place);
    }
  }
  reject_wind_partners(table);
}

RobustNorm RobustNorm::huber(double corner) {
  return {corner, 0};
}

RobustNorm RobustNorm::flat(double gross, double width) {
  return {0, gross * std::sqrt(2 * constants::pi) / ((1 - gross) * 2 * width)};
}

double RobustNorm::cost(double x) const {
  if (corner_ > 0) return std::abs(x) <= corner_ ? 0.5 * x * x : corner_ * std::abs(x) - 0.5 * corner_ * corner_;
  return -std::log((gamma_ + std::exp(-0.5 * x * x)) / (gamma_ + 1));
}

double RobustNorm::weight(double x) const {
  if (corner_ > 0) return std::abs(x) <= corner_ ? 1 : corner_ / std::abs(x);
  return 1 - gamma_ / (gamma_ + std::exp(-0.5 * x * x));
}

void reweigh_errors(ObservationTable& table, const RobustNorm& norm) {
  constexpr double least = 1e-6;
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (!table.accepted(i) || !std::isfinite(table.background[i])) continue;
    const double x = (table.value[i] - table.background[i]) / table.error[i];
    table.error[i] /= std::sqrt(std::max(norm.weight(x), least));
  }
}

}  // namespace zonda::assimilation
