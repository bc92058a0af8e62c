#pragma once
#include "assimilation/interfaces/forecast_model.hpp"
#include "assimilation/interfaces/vectors.hpp"
#include "parallel/partition.hpp"

namespace zonda::assimilation {

/// The members of one ensemble that this rank holds: partition(total, ranks, rank).
class Ensemble {
 public:
  /// All members on this rank.
  Ensemble(std::size_t members, std::size_t state_size) : Ensemble(members, state_size, {0, members}) {}
  Ensemble(std::size_t total, std::size_t state_size, parallel::Range own)
      : total_(total), state_size_(state_size), own_(own), values_(own.size() * state_size) {}

  std::size_t total() const { return total_; }
  std::size_t state_size() const { return state_size_; }
  parallel::Range own() const { return own_; }
  bool whole() const { return own_.size() == total_; }
  /// `k` counts own members from 0.
  View member(std::size_t k) { return View(values_).subspan(k * state_size_, state_size_); }
  ConstView member(std::size_t k) const { return ConstView(values_).subspan(k * state_size_, state_size_); }

  View values() { return values_; }  ///< [own member][state]

  void forecast(const ForecastModel& model, std::size_t step);
  /// These four need a whole ensemble of at least 2, else Error(usage).
  Vector mean() const;
  std::vector<Vector> anomalies() const;
  /// Root of the mean over variables of the unbiased variance.
  double spread() const;
  void require_whole(const char* by) const;

 private:
  std::size_t total_, state_size_;
  parallel::Range own_;
  Vector values_;
};

}  // namespace zonda::assimilation
