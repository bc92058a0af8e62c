#pragma once
// Fields of a state on pressure levels and at the surface: what scores, spectra, maps and files of analyses show.
#include <vector>

#include "assimilation/observations/atmosphere_layout.hpp"

namespace zonda::assimilation {

class PressureFields {
 public:
  /// Throws Error(usage) naming the channel that the state lacks.
  PressureFields(const AtmosphereLayout& layout, std::vector<Channel> channels);
  const std::vector<Channel>& channels() const { return channels_; }
  const Grid& grid() const { return layout_.grid; }
  /// [channel, lat, lon], SI, of the state's present (its last slot). Linear in ln p between levels, constant beyond.
  std::vector<float> of(ConstView state) const;

 private:
  AtmosphereLayout layout_;
  std::vector<Channel> channels_;
};

/// Of these channels, those that a state of this layout has.
std::vector<Channel> present_channels(const AtmosphereLayout& layout, const std::vector<Channel>& wanted);

}  // namespace zonda::assimilation
