#pragma once
// A guard against bad batches: a step whose loss or gradient norm lies far outside the last ones' is left out.
#include <deque>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace zonda::model {

class OutlierGuard {
 public:
  /// `threshold`: z-score of the logarithm; 0 lets everything pass.
  explicit OutlierGuard(double threshold) : threshold_(threshold) {}
  /// "" if the step may be taken; else the reason. Steps that were left out do not enter the record, but after ten in a
  /// row the record begins anew: then the level itself has changed.
  std::string judge(double loss, double gradient_norm);
  nlohmann::json to_json() const;
  void from_json(const nlohmann::json& json);

 private:
  double threshold_;
  std::deque<double> losses_, norms_;  // logarithms of the last steps
  int left_out_ = 0;
};

}  // namespace zonda::model
