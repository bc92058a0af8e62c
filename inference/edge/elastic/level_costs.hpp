#pragma once
// LevelCosts: what a request costs at each token level, from the bundle's measurements first, then from its own.
#include <chrono>
#include <vector>

namespace zonda::edge {

class LevelCosts {
 public:
  using Seconds = std::chrono::duration<double>;
  /// `measured` [level], level 0 exact and dearest. Throws Error(usage): none, or one that is not positive.
  explicit LevelCosts(std::vector<Seconds> measured);
  int levels() const { return static_cast<int>(cost_.size()); }
  /// What one more is expected to take, with a reserve of two mean deviations.
  Seconds expected(int level) const;
  /// The cheapest of all levels.
  Seconds least() const;
  /// One took so long: the mean moves by an eighth, the deviation by a quarter (Jacobson 1988). Before a level has run,
  /// it is taken to be off by the same factor as those that have.
  void observe(int level, Seconds taken);

 private:
  struct Cost {
    double mean, deviation = 0;
    bool seen = false;
  };
  std::vector<Cost> cost_;
};

}  // namespace zonda::edge
