#pragma once
// Round numbers for axes, contour intervals and colour bars.
#include <string>
#include <vector>

namespace zonda::postproc {

/// The round step (1, 2, 2.5 or 5 times a power of ten) that cuts `range` into about `parts`.
double nice_step(double range, double parts);
/// Multiples of `step` that cover [minimum, maximum]: the first is <= minimum, the last >= maximum.
std::vector<double> covering_levels(double minimum, double maximum, double step);
/// Multiples of `step` within [minimum, maximum].
std::vector<double> ticks_within(double minimum, double maximum, double step);
/// A number as an axis shows it: no trailing zeros, a true minus sign, powers of ten beyond 1e5.
std::string tick_text(double value);
/// For logarithmic axes: powers of ten as 10⁵ where tick_text would be long.
std::string power_text(double value);
/// Smallest and largest finite values; the lowest and highest `trim` share are left out. {0, 1} if there is none.
struct Range {
  double minimum, maximum;
};
template <class Values>
Range value_range(const Values& values, double trim = 0);

}  // namespace zonda::postproc

#include <algorithm>
#include <cmath>

namespace zonda::postproc {

template <class Values>
Range value_range(const Values& values, double trim) {
  std::vector<double> finite;
  for (const auto value : values)
    if (std::isfinite(value)) finite.push_back(static_cast<double>(value));
  if (finite.empty()) return {0, 1};
  const auto cut = static_cast<std::ptrdiff_t>(trim * static_cast<double>(finite.size()));
  const auto low = finite.begin() + cut, high = finite.end() - 1 - cut;
  std::nth_element(finite.begin(), low, finite.end());
  const double minimum = *low;
  std::nth_element(finite.begin(), high, finite.end());
  return {minimum, *high};
}

}  // namespace zonda::postproc
