#include "assimilation/atmosphere/tapered_model.hpp"

#include "assimilation/atmosphere/increment_taper.hpp"

namespace zonda::assimilation {
namespace {

AtmosphereLayout one_slot(AtmosphereLayout layout) {
  layout.slots = 1;
  return layout;
}

class TaperedModel final : public ForecastModel {
 public:
  TaperedModel(const AtmosphereModel& model, Vector mean, int from, int to)
      : model_(model.model), mean_(std::move(mean)), taper_(one_slot(model.layout), from, to) {
    require_size("the mean state of the taper", mean_.size(), model.layout.slot_size);
  }
  std::size_t size() const override { return model_->size(); }
  void step(std::size_t n, View state) const override {
    model_->step(n, state);
    taper(state);
  }
  void step_members(std::size_t n, std::span<const View> states) const override {
    model_->step_members(n, states);
    for (const View state : states) taper(state);
  }
  void tangent(std::size_t n, ConstView state, View perturbation) const override {
    model_->tangent(n, state, perturbation);
    taper_.apply(perturbation.last(mean_.size()));
  }
  void adjoint(std::size_t n, ConstView state, View sensitivity) const override {
    taper_.apply_adjoint(sensitivity.last(mean_.size()));
    model_->adjoint(n, state, sensitivity);
  }
  bool differentiable() const override { return model_->differentiable(); }

 private:
  void taper(View state) const {
    const View present = state.last(mean_.size());
    axpy(-1, mean_, present);
    taper_.apply(present);
    axpy(1, mean_, present);
  }
  std::shared_ptr<const ForecastModel> model_;
  Vector mean_;
  IncrementTaper taper_;
};

}  // namespace

AtmosphereModel tapered_model(const AtmosphereModel& model, Vector mean, int from, int to) {
  AtmosphereModel tapered = model;
  tapered.model = std::make_shared<TaperedModel>(model, std::move(mean), from, to);
  return tapered;
}

}  // namespace zonda::assimilation
