#pragma once
// Models without small-scale dissipation gather noise in a cycle until it diverges: the power in the tail of the
// spectrum tells long before errors do.
#include <span>
#include <string>
#include <vector>

#include "core/grid.hpp"
#include "core/variables.hpp"

namespace zonda::assimilation {

/// Power of each channel at the zonal wavenumbers from `from` to `to` on 30 to 60 degrees, in (unit)^2 m: [channel].
std::vector<double> tail_power(const Grid& grid, std::size_t channels, std::span<const float> fields, std::size_t from,
                               std::size_t to);

/// Stops a run whose spectrum's tail grows beyond `factor` times what it was at the start.
class SpectrumGate {
 public:
  SpectrumGate(std::vector<Channel> channels, std::vector<double> reference, double factor);
  /// Tail power over the reference, [channel].
  std::vector<double> ratios(std::span<const double> tail) const;
  /// Throws Error(numerical) naming the channel of the largest ratio, `when`, and what to do.
  void check(std::span<const double> tail, const std::string& when) const;
  const std::vector<double>& reference() const { return reference_; }

 private:
  std::vector<Channel> channels_;
  std::vector<double> reference_;
  double factor_;
};

}  // namespace zonda::assimilation
