#include "assimilation/atmosphere/tapered_model.hpp"

#include "assimilation/atmosphere/increment_taper.hpp"
#include "core/error.hpp"

namespace zonda::assimilation {
namespace {

AtmosphereLayout one_slot(AtmosphereLayout layout) {
  layout.slots = 1;
  return layout;
}

class TaperedModel final : public ForecastModel {
 public:
  TaperedModel(const AtmosphereModel& model, int from, int to)
      : model_(model.model), slot_(model.layout.slot_size), taper_(one_slot(model.layout), from, to) {}
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
    taper(perturbation);
  }
  void adjoint(std::size_t n, ConstView state, View sensitivity) const override {
    const View earlier = sensitivity.first(slot_), present = sensitivity.last(slot_);
    axpy(1, present, earlier);
    taper_.apply_adjoint(present);
    axpy(-1, present, earlier);
    model_->adjoint(n, state, sensitivity);
  }
  bool differentiable() const override { return model_->differentiable(); }

 private:
  /// The slots are the step's begin and end.
  void taper(View state) const {
    const View begin = state.first(slot_), end = state.last(slot_);
    axpy(-1, begin, end);
    taper_.apply(end);
    axpy(1, begin, end);
  }
  std::shared_ptr<const ForecastModel> model_;
  std::size_t slot_;
  IncrementTaper taper_;
};

}  // namespace

AtmosphereModel tapered_model(const AtmosphereModel& model, int from, int to) {
  if (model.layout.slots != 2)
    fail(ErrorKind::usage, "a spectral taper of a model's steps needs states of two times; these are of {}",
         model.layout.slots);
  AtmosphereModel tapered = model;
  tapered.model = std::make_shared<TaperedModel>(model, from, to);
  return tapered;
}

}  // namespace zonda::assimilation
