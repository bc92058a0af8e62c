#include "assimilation/atmosphere/network_model.hpp"

#include <algorithm>
#include <mutex>

#include "assimilation/atmosphere/linearisations.hpp"
#include "assimilation/atmosphere/network_step.hpp"
#include "core/checksum.hpp"
#include "core/constants.hpp"
#include "core/error.hpp"
#include "model/forecast_state/forecast_model.hpp"

namespace zonda::assimilation {
namespace {

class NetworkModel final : public ForecastModel {
 public:
  NetworkModel(std::shared_ptr<const NetworkDescription> description, NetworkMaker make, Time origin,
               const NetworkOptions& options)
      : description_(std::move(description)),
        make_(std::move(make)),
        origin_(origin),
        batch_(static_cast<std::size_t>(std::max(options.batch, 1))),
        linearised_(
            [this] {
              return std::make_unique<Linearised>(Linearised{NetworkStep(description_, make_()), this});
            },
            static_cast<std::size_t>(std::max(options.linearisations, 1))) {}

  std::size_t size() const override { return 2 * description_->slot_size(); }

  void step(std::size_t n, View state) const override { step_members(n, std::span(&state, 1)); }

  void step_members(std::size_t n, std::span<const View> states) const override {
    for (const View state : states) require_size("the state of the network", state.size(), size());
    const std::lock_guard lock(running_);
    if (!stepping_) stepping_ = std::make_unique<NetworkStep>(description_, make_());
    for (std::size_t first = 0; first < states.size(); first += batch_)
      stepping_->run(time(n), states.subspan(first, std::min(batch_, states.size() - first)));
  }
  void tangent(std::size_t n, ConstView state, View perturbation) const override {
    require_size("the perturbation", perturbation.size(), size());
    const std::lock_guard lock(running_);
    about(n, state).tangent(perturbation);
  }
  void adjoint(std::size_t n, ConstView state, View sensitivity) const override {
    require_size("the sensitivity", sensitivity.size(), size());
    const std::lock_guard lock(running_);
    about(n, state).adjoint(sensitivity);
  }

 private:
  /// A step with its time.
  struct Linearised {
    NetworkStep step;
    const NetworkModel* model;
    void linearise(std::size_t n, ConstView state) { step.linearise(model->time(n), state); }
  };
  Time time(std::size_t n) const { return origin_ + static_cast<std::int64_t>(n) * description_->d; }

  NetworkStep& about(std::size_t n, ConstView state) const {
    require_size("the state of the network", state.size(), size());
    return linearised_.about(n, state).step;
  }

  std::shared_ptr<const NetworkDescription> description_;
  NetworkMaker make_;
  Time origin_;
  std::size_t batch_;
  mutable std::mutex running_;
  mutable std::unique_ptr<NetworkStep> stepping_;
  mutable Linearisations<Linearised> linearised_;
};

Duration chosen_step(const model::ForecastLayout& layout, const NetworkOptions& options) {
  if (layout.steps.empty()) fail(ErrorKind::data, "the model has no steps");
  const Duration step = options.step.value_or(*std::min_element(layout.steps.begin(), layout.steps.end()));
  if (std::find(layout.steps.begin(), layout.steps.end(), step) != layout.steps.end()) return step;
  std::string known;
  for (const Duration d : layout.steps) known += (known.empty() ? "" : ", ") + to_string(d);
  fail(ErrorKind::usage, "the model has no step of {}; it has {}", to_string(step), known);
}

/// m above sea level; empty where the model was not told.
Vector orography(const model::ForecastLayout& layout) {
  for (std::size_t s = 0; s < layout.static_channels.size(); ++s)
    if (layout.static_channels[s].variable == "orog") {
      const auto field = std::span(layout.static_fields).subspan(s * layout.points(), layout.points());
      Vector height(field.begin(), field.end());
      scale(1 / constants::gravity, height);
      return height;
    }
  return {};
}

}  // namespace

AtmosphereModel network_model(model::ForecastLayout layout, const NetworkMaker& make, const std::string& identity,
                              Time origin, const NetworkOptions& options) {
  const Duration step = chosen_step(layout, options);
  const auto description = std::make_shared<const NetworkDescription>(std::move(layout), step, options.bounds);
  std::vector<Channel> channels;
  for (const std::size_t c : description->prognostic) channels.push_back(description->layout.channels[c]);
  AtmosphereLayout states = channel_layout(description->layout.grid, channels, orography(description->layout));
  states.slots = 2;
  return {std::make_shared<NetworkModel>(description, make, origin, options),
          std::move(states),
          origin,
          step,
          sha256("network " + identity + ' ' + description->layout.grid.to_string() + ' ' + to_string(step)),
          options.slabs.size() > 1};
}

AtmosphereModel open_network(const std::filesystem::path& model_folder, Time origin, const NetworkOptions& options) {
  const auto load = [model_folder, backend = options.backend, slabs = options.slabs] {
    return model::load_model(
        model_folder, {.backend = backend, .precision = "fp32", .sharding = {.slabs = slabs, .chunks = slabs.size()}});
  };
  const std::shared_ptr<model::ForecastModel> opened = load();
  const NetworkMaker make = [load, identity = opened->identity] {
    const std::unique_ptr<model::ForecastModel> loaded = load();
    if (loaded->identity != identity) fail(ErrorKind::data, "the model changed while it was in use");
    return std::make_unique<model::ForecastNetwork>(std::move(loaded->network));
  };
  return network_model(opened->layout, make, opened->identity, origin, options);
}

}  // namespace zonda::assimilation
