#pragma once
// Scores of yes/no events from the 2x2 contingency table (Jolliffe & Stephenson 2012, ch. 3; SEDI: Ferro & Stephenson
// 2011).
#include <span>

namespace zonda::postproc {

/// Counts (or area weights) are kept, so that tables of several files and ranks merge.
struct Contingency {
  double hits = 0, false_alarms = 0, misses = 0, correct_negatives = 0;

  void add(bool forecast, bool truth, double weight = 1);
  /// Event: value >= threshold.
  void add(std::span<const float> forecast, std::span<const float> truth, double threshold);
  void merge(const Contingency& other);
  double total() const { return hits + false_alarms + misses + correct_negatives; }

  double probability_of_detection() const;        ///< POD, hit rate H
  double probability_of_false_detection() const;  ///< POFD, false-alarm rate F
  double false_alarm_ratio() const;               ///< FAR
  double critical_success_index() const;          ///< CSI, threat score
  double equitable_threat_score() const;          ///< ETS, Gilbert skill score
  double hanssen_kuipers() const;                 ///< HK, Peirce skill score: H - F
  double heidke() const;                          ///< HSS
  double extremal_dependence_index() const;       ///< SEDI
  double frequency_bias() const;
};

}  // namespace zonda::postproc
