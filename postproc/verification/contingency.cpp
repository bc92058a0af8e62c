#include "postproc/verification/contingency.hpp"

#include <cmath>
#include <cstddef>

namespace zonda::postproc {

void Contingency::add(bool forecast, bool truth, double weight) {
  (forecast ? (truth ? hits : false_alarms) : (truth ? misses : correct_negatives)) += weight;
}

void Contingency::add(std::span<const float> forecast, std::span<const float> truth, double threshold) {
  for (std::size_t i = 0; i < forecast.size(); ++i) add(forecast[i] >= threshold, truth[i] >= threshold);
}

void Contingency::merge(const Contingency& other) {
  hits += other.hits;
  false_alarms += other.false_alarms;
  misses += other.misses;
  correct_negatives += other.correct_negatives;
}

double Contingency::probability_of_detection() const {
  return hits / (hits + misses);
}
double Contingency::probability_of_false_detection() const {
  return false_alarms / (false_alarms + correct_negatives);
}
double Contingency::false_alarm_ratio() const {
  return false_alarms / (hits + false_alarms);
}
double Contingency::critical_success_index() const {
  return hits / (hits + misses + false_alarms);
}

double Contingency::equitable_threat_score() const {
  const double by_chance = (hits + misses) * (hits + false_alarms) / total();
  return (hits - by_chance) / (hits + misses + false_alarms - by_chance);
}

double Contingency::hanssen_kuipers() const {
  return probability_of_detection() - probability_of_false_detection();
}

double Contingency::heidke() const {
  return 2 * (hits * correct_negatives - false_alarms * misses) /
         ((hits + misses) * (misses + correct_negatives) + (hits + false_alarms) * (false_alarms + correct_negatives));
}

double Contingency::extremal_dependence_index() const {
  const double h = probability_of_detection(), f = probability_of_false_detection();
  const double upper = std::log(f) - std::log(h) - std::log(1 - f) + std::log(1 - h);
  return upper / (std::log(f) + std::log(h) + std::log(1 - f) + std::log(1 - h));
}

double Contingency::frequency_bias() const {
  return (hits + false_alarms) / (hits + misses);
}

}  // namespace zonda::postproc
