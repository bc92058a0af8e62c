#pragma once
// Systematic errors of instruments: a running mean for each station, and coefficients of predictors that the
// variational analysis estimates together with the state (Dee 2005, Q. J. R. Meteorol. Soc. 131, 3323-3343).
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "assimilation/interfaces/observation_operator.hpp"
#include "ingest/observations/observation_table.hpp"

namespace zonda::assimilation {

/// The mean departure of each station and variable, as an exponential mean over cycles.
class StationBias {
 public:
  /// A cycle's mean departure counts `rate` of the estimate, more in the first cycles (1 / n of n); nothing is
  /// corrected before `least` cycles.
  explicit StationBias(double rate = 0.05, int least = 10);
  /// Takes the estimate off the values of accepted entries.
  void correct(ingest::ObservationTable& table) const;
  /// From the departures of accepted entries that correct() has corrected: the estimate moves by `rate` of what is
  /// left.
  void update(const ingest::ObservationTable& table);
  /// 0 where nothing is known.
  double estimate(std::string_view station, std::string_view variable) const;
  /// Of how many pairs of station and variable it is taken off.
  std::size_t corrected() const;
  nlohmann::ordered_json to_record() const;
  /// Throws nlohmann::json::exception where it is none.
  static StationBias of_record(const nlohmann::ordered_json& record);
  /// JSON. Throws Error(data) where the file is no such record.
  void save(const std::filesystem::path& path) const;
  static StationBias load(const std::filesystem::path& path);

 private:
  struct Estimate {
    double bias = 0;
    int cycles = 0;
  };
  double rate_;
  int least_;
  std::map<std::pair<std::string, std::string>, Estimate> estimates_;
};

/// y = H(x) + P beta on the state (x, beta): beta's background and covariance are part of the analysis's.
class BiasedOperator final : public ObservationOperator {
 public:
  /// `predictors`: [observation, coefficient], row-major. Throws Error(usage) where sizes disagree.
  BiasedOperator(std::shared_ptr<const ObservationOperator> unbiased, Vector predictors, std::size_t coefficients);
  std::size_t state_size() const override { return unbiased_->state_size() + coefficients_; }
  std::size_t size() const override { return unbiased_->size(); }
  void apply(ConstView state, View values) const override;
  void tangent(ConstView state, ConstView perturbation, View values) const override;
  void adjoint(ConstView state, ConstView values, View sensitivity) const override;

 private:
  void add_bias(ConstView state, View values) const;
  std::shared_ptr<const ObservationOperator> unbiased_;
  Vector predictors_;
  std::size_t coefficients_;
};

}  // namespace zonda::assimilation
