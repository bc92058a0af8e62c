#pragma once
#include <memory>

#include "assimilation/interfaces/position.hpp"

namespace zonda::assimilation {

/// Gaspari & Cohn (1999), eq. 4.10: a correlation function of r = distance / half support; 0 from r = 2 on.
double gaspari_cohn(double r);

/// The half support that makes Gaspari-Cohn look like a Gaussian of standard deviation `radius`: sqrt(10/3) radius, as
/// rounded to 1.82 in Sakov & Bertino (2011).
constexpr double gaspari_cohn_half_support(double radius) {
  return 1.82 * radius;
}

/// Weight by horizontal distance times weight by difference in z.
class Localisation {
 public:
  /// Half supports in the metric's unit and in that of z; infinity switches that direction off.
  Localisation(std::shared_ptr<const Metric> metric, double horizontal_half_support, double vertical_half_support);
  /// None: every weight is 1.
  Localisation() = default;
  double weight(const Position& a, const Position& b) const {
    return vertical_weight(a.z, b.z) * horizontal_weight(a, b);
  }
  double vertical_weight(double a, double b) const { return metric_ ? gaspari_cohn((a - b) / vertical_) : 1; }
  double horizontal_weight(const Position& a, const Position& b) const {
    return metric_ ? gaspari_cohn(metric_->distance(a, b) / horizontal_) : 1;
  }
  /// Positions whose y differ by more have weight 0.
  double reach_in_y() const;
  double reach_in_x(double y) const;  ///< the same, from a position at `y`
  double reach_in_z() const;
  /// Of the metric's x; infinity without one.
  double period_in_x() const;

 private:
  std::shared_ptr<const Metric> metric_;
  double horizontal_ = 0, vertical_ = 0;
};

}  // namespace zonda::assimilation
