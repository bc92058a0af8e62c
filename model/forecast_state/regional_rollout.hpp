#pragma once
// The rollout of a regional model: each step is forced by the host's state in the ring at its beginning and its end,
// and what the network predicts is relaxed to the latter. States and strips are normalised; the model's channels.
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "core/time.hpp"
#include "model/forecast_state/forecast_layout.hpp"

namespace zonda::model {

class ForecastNetwork;

/// One pass of the network from x(lead) on: u [input_channels, lat, lon], condition [condition_size] -> y [channel,
/// lat, lon].
using NetworkPass =
    std::function<void(std::span<const float> u, std::span<const float> condition, std::span<float> y, Duration lead)>;
/// Of a ForecastNetwork that has its weights, on the host. It must outlive the pass; plans it for one sample.
NetworkPass pass_of(ForecastNetwork& network);

/// In place, SI -> normalised: strips `[prognostic channel, cell]` of a host. Throws Error(data) naming the channel of
/// a value that is not finite.
void normalise_strip(const ForecastStep& step, std::span<float> strip);

class RegionalRollout {
 public:
  /// `layout` outlives the rollout. Throws Error(usage) for a global layout.
  RegionalRollout(const ForecastLayout& layout, Time initial, NetworkPass network);
  const ForecastStep& step() const { return step_; }

  /// x(initial + lead) `[channel, lat, lon]` for lead 0 and the -d of each step that will be taken. Where no strip is
  /// given for it, the state's own ring is the host's.
  void give_state(Duration lead, std::vector<float> state);
  /// The host's strip `[prognostic channel, cell]` at a lead.
  void give_boundary(Duration lead, std::vector<float> strip);

  /// The longest lead that the host's strips reach without a gap, in steps of d from lead() on.
  Duration reach(Duration d) const;
  /// x(lead() + d) from x(lead() - d), x(lead()) and the host's strips at lead() and lead() + d, which may be dropped
  /// thereafter. At the edge the result is the host's, bit by bit: verified at every step. Throws Error(data) naming
  /// the lead whose strip or state is missing, Error(numerical) where network or host give a value that is not finite.
  void advance(Duration d);

  Duration lead() const { return lead_; }
  /// x(lead()) `[channel, lat, lon]`, within its physical bounds.
  std::span<const float> state() const { return state(lead_); }

 private:
  std::span<const float> state(Duration lead) const;
  std::span<const float> boundary(Duration lead) const;

  const ForecastLayout& layout_;
  const ForecastStep step_;
  const Time initial_;
  const NetworkPass network_;
  Duration lead_{0};
  std::map<Duration, std::vector<float>> states_, strips_;
  std::vector<float> input_, output_, forcing_now_, forcing_next_;
};

}  // namespace zonda::model
