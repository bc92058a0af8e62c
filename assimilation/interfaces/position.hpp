#pragma once
// Where a state variable or an observation is, and how far apart two of them are.

namespace zonda::assimilation {

/// Meaning by metric: metres or grid lengths on a periodic plane; degrees east and north on the sphere. `z` is the
/// vertical coordinate that localisation uses (ln p).
struct Position {
  double x = 0, y = 0, z = 0;
  bool operator==(const Position&) const = default;
};

class Metric {
 public:
  virtual ~Metric() = default;
  /// Horizontal distance.
  virtual double distance(const Position& a, const Position& b) const = 0;
  /// Positions whose y differ by more than this are farther apart than `distance`; infinity where y says nothing.
  virtual double reach_in_y(double distance) const = 0;
  /// The same in x, from a position at `y`; x comes round after `period_in_x`.
  virtual double reach_in_x(double distance, double y) const = 0;
  virtual double period_in_x() const = 0;
};

/// A torus; a ring where `length_y` is 0 (y is then ignored).
class PeriodicMetric final : public Metric {
 public:
  explicit PeriodicMetric(double length_x, double length_y = 0);
  double distance(const Position& a, const Position& b) const override;
  double reach_in_y(double distance) const override;
  double reach_in_x(double distance, double) const override { return distance; }
  double period_in_x() const override { return length_x_; }

 private:
  double length_x_, length_y_;
};

/// Great circles [m].
class SphereMetric final : public Metric {
 public:
  double distance(const Position& a, const Position& b) const override;
  double reach_in_y(double distance) const override;
  double reach_in_x(double distance, double latitude) const override;
  double period_in_x() const override { return 360; }
};

}  // namespace zonda::assimilation
