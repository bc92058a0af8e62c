#include "assimilation/quality_control/bias_correction.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/error.hpp"

namespace zonda::assimilation {

StationBias::StationBias(double rate, int least) : rate_(rate), least_(least) {
  if (!(rate > 0 && rate <= 1)) fail(ErrorKind::usage, "rate of bias correction {}, expected 0 < rate <= 1", rate);
}

void StationBias::correct(ingest::ObservationTable& table) const {
  for (std::size_t i = 0; i < table.size(); ++i)
    if (table.accepted(i)) {
      const double bias = estimate(table.station_name(i), table.info(i).short_name);
      table.value[i] -= bias;
      table.bias[i] += bias;
    }
}

void StationBias::update(const ingest::ObservationTable& table) {
  std::map<std::pair<std::string, std::string>, std::pair<double, int>> sums;
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (!table.accepted(i) || !std::isfinite(table.background[i])) continue;
    auto& [sum, count] = sums[{std::string(table.station_name(i)), table.info(i).short_name}];
    sum += table.value[i] - table.background[i];
    ++count;
  }
  for (const auto& [key, sum] : sums) {
    Estimate& estimate = estimates_[key];
    // Departures of a station that was not corrected yet still hold the whole bias.
    const double left = sum.first / sum.second - (estimate.cycles < least_ ? estimate.bias : 0);
    ++estimate.cycles;
    estimate.bias += std::max(rate_, 1.0 / estimate.cycles) * left;
  }
}

double StationBias::estimate(std::string_view station, std::string_view variable) const {
  const auto found = estimates_.find({std::string(station), std::string(variable)});
  return found != estimates_.end() && found->second.cycles >= least_ ? found->second.bias : 0;
}

std::size_t StationBias::corrected() const {
  return static_cast<std::size_t>(std::count_if(estimates_.begin(), estimates_.end(),
                                                [&](const auto& one) { return one.second.cycles >= least_; }));
}

nlohmann::ordered_json StationBias::to_record() const {
  nlohmann::ordered_json record{{"rate", rate_}, {"least_cycles", least_}};
  record["stations"] = nlohmann::ordered_json::array();
  for (const auto& [key, estimate] : estimates_)
    record["stations"].push_back(
        {{"station", key.first}, {"variable", key.second}, {"bias", estimate.bias}, {"cycles", estimate.cycles}});
  return record;
}

StationBias StationBias::of_record(const nlohmann::ordered_json& record) {
  StationBias made(record.at("rate").get<double>(), record.at("least_cycles").get<int>());
  for (const auto& row : record.at("stations"))
    made.estimates_[{row.at("station").get<std::string>(), row.at("variable").get<std::string>()}] = {
        row.at("bias").get<double>(), row.at("cycles").get<int>()};
  return made;
}

void StationBias::save(const std::filesystem::path& path) const {
  write_file(path, to_record().dump(1) + "\n");
}

StationBias StationBias::load(const std::filesystem::path& path) {
  try {
    return of_record(nlohmann::ordered_json::parse(read_file(path)));
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorKind::data, "{}: no record of station biases: {}", path.string(), error.what());
  }
}

BiasedOperator::BiasedOperator(std::shared_ptr<const ObservationOperator> unbiased, Vector predictors,
                               std::size_t coefficients)
    : unbiased_(std::move(unbiased)), predictors_(std::move(predictors)), coefficients_(coefficients) {
  if (predictors_.size() != unbiased_->size() * coefficients_)
    fail(ErrorKind::usage, "{} predictors of {} observations and {} coefficients", predictors_.size(),
         unbiased_->size(), coefficients_);
}

void BiasedOperator::add_bias(ConstView state, View values) const {
  const ConstView beta = state.subspan(unbiased_->state_size());
  for (std::size_t i = 0; i < size(); ++i)
    for (std::size_t c = 0; c < coefficients_; ++c) values[i] += predictors_[i * coefficients_ + c] * beta[c];
}

void BiasedOperator::apply(ConstView state, View values) const {
  require_size("the observed state", state.size(), state_size());
  unbiased_->apply(state.first(unbiased_->state_size()), values);
  add_bias(state, values);
}

void BiasedOperator::tangent(ConstView state, ConstView perturbation, View values) const {
  const std::size_t n = unbiased_->state_size();
  unbiased_->tangent(state.first(n), perturbation.first(n), values);
  add_bias(perturbation, values);
}

void BiasedOperator::adjoint(ConstView state, ConstView values, View sensitivity) const {
  const std::size_t n = unbiased_->state_size();
  unbiased_->adjoint(state.first(n), values, sensitivity.first(n));
  const View of_beta = sensitivity.subspan(n);
  std::fill(of_beta.begin(), of_beta.end(), 0);
  for (std::size_t i = 0; i < size(); ++i)
    for (std::size_t c = 0; c < coefficients_; ++c) of_beta[c] += predictors_[i * coefficients_ + c] * values[i];
}

}  // namespace zonda::assimilation
