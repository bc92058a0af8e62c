#include "assimilation/atmosphere/corrected_model.hpp"

namespace zonda::assimilation {
namespace {

class CorrectedModel final : public ForecastModel {
 public:
  CorrectedModel(std::shared_ptr<const ForecastModel> model, std::shared_ptr<const Vector> mean_error)
      : model_(std::move(model)), mean_error_(std::move(mean_error)) {}
  std::size_t size() const override { return model_->size(); }
  void step(std::size_t n, View state) const override {
    model_->step(n, state);
    correct(state);
  }
  void step_members(std::size_t n, std::span<const View> states) const override {
    model_->step_members(n, states);
    for (const View state : states) correct(state);
  }
  void tangent(std::size_t n, ConstView state, View perturbation) const override {
    model_->tangent(n, state, perturbation);
  }
  void adjoint(std::size_t n, ConstView state, View sensitivity) const override {
    model_->adjoint(n, state, sensitivity);
  }
  bool differentiable() const override { return model_->differentiable(); }

 private:
  void correct(View state) const { axpy(-1, *mean_error_, state.last(mean_error_->size())); }
  std::shared_ptr<const ForecastModel> model_;
  std::shared_ptr<const Vector> mean_error_;
};

}  // namespace

AtmosphereModel corrected_model(const AtmosphereModel& model, std::shared_ptr<const Vector> mean_error) {
  require_size("the mean error of the model", mean_error->size(), model.layout.slot_size);
  AtmosphereModel corrected = model;
  corrected.model = std::make_shared<CorrectedModel>(model.model, std::move(mean_error));
  return corrected;
}

}  // namespace zonda::assimilation
