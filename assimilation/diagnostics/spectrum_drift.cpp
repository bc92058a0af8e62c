#include "assimilation/diagnostics/spectrum_drift.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "postproc/verification/spectrum.hpp"

namespace zonda::assimilation {

std::vector<double> tail_power(const Grid& grid, std::size_t channels, std::span<const float> fields, std::size_t from,
                               std::size_t to) {
  std::vector<double> tail(channels);
  for (std::size_t c = 0; c < channels; ++c) {
    const std::vector<double> spectrum =
        postproc::mean_zonal_spectrum(grid, fields.subspan(c * grid.size(), grid.size()));
    for (std::size_t k = from; k <= to && k < spectrum.size(); ++k) tail[c] += spectrum[k];
  }
  return tail;
}

SpectrumGate::SpectrumGate(std::vector<Channel> channels, std::vector<double> reference, double factor)
    : channels_(std::move(channels)), reference_(std::move(reference)), factor_(factor) {
  if (channels_.size() != reference_.size())
    fail(ErrorKind::failure, "the spectrum gate has {} channels and {} references", channels_.size(),
         reference_.size());
}

std::vector<double> SpectrumGate::ratios(std::span<const double> tail) const {
  std::vector<double> result;
  for (std::size_t c = 0; c < tail.size(); ++c) result.push_back(reference_[c] > 0 ? tail[c] / reference_[c] : 0);
  return result;
}

void SpectrumGate::check(std::span<const double> tail, const std::string& when) const {
  const std::vector<double> all = ratios(tail);
  const auto worst = std::max_element(all.begin(), all.end());
  if (worst == all.end() || *worst <= factor_) return;
  fail(ErrorKind::numerical,
       "{}: the small scales of {} have {:.1f} times the power that they had at the start, more than the {:g} of "
       "gate.factor: the cycle gathers noise; a taper, RTPP or less inflation takes it out",
       when, channels_[static_cast<std::size_t>(worst - all.begin())].name(), *worst, factor_);
}

}  // namespace zonda::assimilation
