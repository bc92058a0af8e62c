#include "model/training/outlier_guard.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace zonda::model {
namespace {

constexpr std::size_t remembered = 100, enough = 30;
constexpr int most_in_a_row = 10;

double z_score(const std::deque<double>& record, double value) {
  if (record.size() < enough) return 0;
  double mean = 0, variance = 0;
  for (const double v : record) mean += v;
  mean /= static_cast<double>(record.size());
  for (const double v : record) variance += (v - mean) * (v - mean);
  // The floor keeps a very steady record from calling a common fluctuation an outlier.
  const double stddev = std::max(0.05, std::sqrt(variance / static_cast<double>(record.size())));
  return (value - mean) / stddev;
}

void remember(std::deque<double>& record, double value) {
  record.push_back(value);
  if (record.size() > remembered) record.pop_front();
}

}  // namespace

std::string OutlierGuard::judge(double loss, double gradient_norm) {
  const double l = std::log(std::max(loss, 1e-30)), g = std::log(std::max(gradient_norm, 1e-30));
  if (threshold_ > 0) {
    const double loss_score = z_score(losses_, l), norm_score = z_score(norms_, g);
    if (loss_score > threshold_ || norm_score > threshold_) {
      if (++left_out_ < most_in_a_row)
        return loss_score > threshold_
                   ? fmt::format("loss {:.6g} is {:.1f} standard deviations out", loss, loss_score)
                   : fmt::format("gradient norm {:.6g} is {:.1f} standard deviations out", gradient_norm, norm_score);
      losses_.clear();
      norms_.clear();
    }
  }
  left_out_ = 0;
  remember(losses_, l);
  remember(norms_, g);
  return {};
}

nlohmann::json OutlierGuard::to_json() const {
  return {{"losses", losses_}, {"norms", norms_}, {"left_out", left_out_}};
}

void OutlierGuard::from_json(const nlohmann::json& json) {
  losses_ = json.at("losses").get<std::deque<double>>();
  norms_ = json.at("norms").get<std::deque<double>>();
  left_out_ = json.at("left_out").get<int>();
}

}  // namespace zonda::model
