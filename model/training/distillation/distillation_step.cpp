#include "model/training/distillation/distillation_step.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"
#include "model/training/channel_weights.hpp"

namespace zonda::model {
namespace {

using Terms = ForecastStep::Terms;

/// to += terms of from, of one sample.
void add_terms(const Terms& terms, std::size_t points, std::span<const float> from, std::span<float> to) {
  for (const ChannelTerm& term : terms) {
    const float* x = from.data() + static_cast<std::size_t>(term.from) * points;
    float* y = to.data() + static_cast<std::size_t>(term.to) * points;
    for (std::size_t i = 0; i < points; ++i) y[i] += term.factor * x[i];
  }
}

std::span<float> of_sample(std::vector<float>& all, std::size_t s, std::size_t batch) {
  const std::size_t size = all.size() / batch;
  return std::span(all).subspan(s * size, size);
}

}  // namespace

DistillationStep::DistillationStep(ForecastNetwork& student, const ForecastStep& step, const DistillLosses& losses,
                                   std::vector<float> channel_weights, FeatureMaps* maps, std::size_t batch,
                                   std::size_t count)
    : student_(student),
      step_(step),
      losses_(losses),
      channel_weights_(std::move(channel_weights)),
      spectral_weights_(override_weights(std::vector<float>(step.layout().channels.size(), 1.0F),
                                         step.layout().channels, losses.spectral_weights,
                                         "distill.losses.spectral_weights")),
      maps_(losses.features > 0 ? maps : nullptr),
      batch_(batch),
      count_(count),
      interior_(step.layout().grid, step.ring()),
      spectrum_(interior_.rows(), interior_.columns()),
      scratch_(student.backend().memory()) {
  const ForecastLayout& layout = step.layout();
  const std::size_t state = batch * state_size();
  input_.resize(batch * layout.input_channels() * step.points());
  input_gradient_.resize(count > 1 ? input_.size() : 0);
  output_.resize(state);
  condition_.resize(batch * ForecastLayout::condition_size);
  states_.assign(count + 2, std::vector<float>(state));
  gradients_.assign(count + 2, std::vector<float>(count > 1 ? state : 0));
  bounded_.assign(count, std::vector<float>(state));
  own_.assign(count, std::vector<float>(state));
  if (maps_) {
    feature_gradients_.resize(maps_->parameters().list().size());
    wanted_features_.resize(feature_gradients_.size());
    TokenTap tap;
    tap.output = [this](std::size_t block, const Tensor& tokens) {
      if (!collecting_) return;
      std::vector<float>& gradient = feature_gradients_[block];
      gradient.resize(static_cast<std::size_t>(tokens.count()));
      const double terms = static_cast<double>(count_ * feature_gradients_.size());
      feature_error_ += maps_->error(student_.backend(), block, tokens, wanted_features_[block],
                                     losses_.features / terms, Tensor::of(gradient, tokens.shape)) /
                        terms;
    };
    tap.gradient = [this](std::size_t block, const Tensor& gradient) {
      if (!own_pass_) return;
      std::copy(feature_gradients_[block].begin(), feature_gradients_[block].end(), gradient.as<float>());
    };
    student_.set_tap(std::move(tap));
  }
  student_.plan(static_cast<int>(batch), Use::training);
  Context ctx(student_.backend(), scratch_, DType::f32);
  scratch_.begin_plan();
  step_.bounds().adjoint(ctx, image(output_, layout.channels.size()), image(own_[0], layout.channels.size()));
  scratch_.finish_plan();
  scratch_.allocate();
}

DistillationStep::~DistillationStep() {
  if (maps_) student_.set_tap({});
}

Tensor DistillationStep::image(std::vector<float>& values, std::size_t channels) const {
  const Grid& grid = step_.layout().grid;
  return Tensor::of(values, {static_cast<std::int64_t>(batch_), static_cast<std::int64_t>(channels),
                             static_cast<std::int64_t>(grid.nlat()), static_cast<std::int64_t>(grid.nlon())});
}

std::vector<float> DistillationStep::strip(std::span<const float> state) const {
  std::vector<float> cells(step_.strip_size());
  step_.gather_strip(state, cells);
  return cells;
}

void DistillationStep::forward(std::span<const DistillationSample> samples, std::size_t k, bool collect) {
  const ForecastLayout& layout = step_.layout();
  std::vector<float> now(layout.forcings.size() * layout.points()), then(now.size());
  for (std::size_t s = 0; s < batch_; ++s) {
    const DistillationSample& sample = samples[s];
    const Duration lead = static_cast<int>(k) * sample.step;
    normalised_forcing(layout, sample.time + lead, now);
    normalised_forcing(layout, sample.time + lead + sample.step, then);
    const auto& host = sample.host_is_teacher ? sample.teacher : sample.truth;
    const std::size_t first = sample.host_is_teacher ? 0 : 2;
    // At t the host's state is the truth.
    const std::vector<float> here = strip(k == 0 ? sample.truth[1] : host[first + k - 1]),
                             next = strip(host[first + k]);
    step_.assemble(of_sample(states_[k], s, batch_), of_sample(states_[k + 1], s, batch_), now, then,
                   of_sample(input_, s, batch_), here, next);
    step_.condition(sample.time + lead, sample.step, lead, of_sample(condition_, s, batch_));
  }
  std::vector<double> days;  // choose the adapters, where the student has any
  for (const DistillationSample& sample : samples)
    days.push_back(std::chrono::duration<double, std::ratio<86400>>(static_cast<int>(k) * sample.step).count());
  student_.set_leads(days);
  collecting_ = collect && maps_;
  if (collecting_)
    for (std::size_t block = 0; block < wanted_features_.size(); ++block) {
      wanted_features_[block].clear();
      for (const DistillationSample& sample : samples)
        wanted_features_[block].insert(wanted_features_[block].end(), sample.features[k][block].begin(),
                                       sample.features[k][block].end());
    }
  student_.forward(image(input_, layout.input_channels()),
                   Tensor::of(condition_, {static_cast<std::int64_t>(batch_),
                                           static_cast<std::int64_t>(ForecastLayout::condition_size)}),
                   image(output_, layout.channels.size()));
  collecting_ = false;
}

void DistillationStep::score(std::span<const DistillationSample> samples, std::size_t k, Loss& loss) {
  const ForecastLayout& layout = step_.layout();
  const std::size_t points = step_.points(), channels = layout.channels.size();
  const double share = 1.0 / static_cast<double>(batch_ * count_ * channels);
  std::fill(own_[k].begin(), own_[k].end(), 0.0F);
  for (std::size_t s = 0; s < batch_; ++s) {
    std::vector<double> units(channels, 1.0);  // of the loss, in normalised state
    for (const ChannelTerm& term : step_.increments(samples[s].step))
      units[static_cast<std::size_t>(term.to)] = static_cast<double>(term.factor);
    const auto x = of_sample(bounded_[k], s, batch_), gradient = of_sample(own_[k], s, batch_);
    for (std::size_t c = 0; c < channels; ++c) {
      const auto of = [&](std::span<const float> state) { return state.subspan(c * points, points); };
      const auto mine = of(x), wanted = of(samples[s].truth[k + 2]);
      const auto slope = gradient.subspan(c * points, points);
      const double weight = share * static_cast<double>(channel_weights_[c]);
      loss.truth += weight * squared_error(interior_, mine, wanted, units[c], weight * losses_.truth, slope);
      if (losses_.teacher > 0)
        loss.teacher += weight * squared_error(interior_, mine, of(samples[s].teacher[k]), units[c],
                                               weight * losses_.teacher, slope);
    }
  }
  if (losses_.spectral <= 0) return;
  std::vector<FieldPair> pairs(batch_);
  const double channel_share = 1.0 / static_cast<double>(count_ * channels);
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t s = 0; s < batch_; ++s)
      pairs[s] = {of_sample(bounded_[k], s, batch_).subspan(c * points, points),
                  std::span<const float>(samples[s].truth[k + 2]).subspan(c * points, points),
                  of_sample(own_[k], s, batch_).subspan(c * points, points)};
    const double weight = channel_share * static_cast<double>(spectral_weights_[c]);
    loss.spectral += weight * spectral_error(interior_, spectrum_, pairs, weight * losses_.spectral);
  }
}

void DistillationStep::advance(std::span<const DistillationSample> samples, std::size_t k) {
  for (std::size_t s = 0; s < batch_; ++s) {
    const DistillationSample& sample = samples[s];
    const auto x = of_sample(bounded_[k], s, batch_), next = of_sample(states_[k + 2], s, batch_);
    step_.advance(of_sample(output_, s, batch_), of_sample(states_[k + 1], s, batch_), sample.step, x);
    step_.bounds().apply(x, step_.points());
    std::copy(x.begin(), x.end(), next.begin());
    step_.relax(strip(sample.host_is_teacher ? sample.teacher[k] : sample.truth[k + 2]), next);
  }
}

void DistillationStep::back(std::span<const DistillationSample> samples, std::size_t k) {
  const ForecastLayout& layout = step_.layout();
  const std::size_t points = step_.points(), channels = layout.channels.size();
  std::vector<float>& d = own_[k];  // of x(t+d) before relaxation
  if (k + 1 < count_) {
    std::vector<float>& relaxed = gradients_[k + 2];
    const auto weights = step_.ring().weight_field();
    for (std::size_t s = 0; s < batch_; ++s)
      for (const std::size_t c : step_.prognostic()) {
        const auto field = of_sample(relaxed, s, batch_).subspan(c * points, points);
        for (std::size_t i = 0; i < points; ++i) field[i] *= 1.0F - weights[i];
      }
    for (std::size_t i = 0; i < d.size(); ++i) d[i] += relaxed[i];
  }
  scratch_.rewind(0);
  Context ctx(student_.backend(), scratch_, DType::f32);
  step_.bounds().adjoint(ctx, image(bounded_[k], channels), image(d, channels));
  if (k + 1 < count_) forward(samples, k, true);  // the activations of an earlier step are computed again
  std::fill(output_.begin(), output_.end(), 0.0F);
  for (std::size_t s = 0; s < batch_; ++s)
    add_terms(ForecastStep::adjoint(step_.increments(samples[s].step)), points, of_sample(d, s, batch_),
              of_sample(output_, s, batch_));
  student_.backward(image(output_, channels), k > 0 ? image(input_gradient_, layout.input_channels()) : Tensor());
  if (k == 0) return;
  for (std::size_t s = 0; s < batch_; ++s) {
    const auto du = of_sample(input_gradient_, s, batch_), current = of_sample(gradients_[k + 1], s, batch_);
    add_terms(ForecastStep::adjoint(step_.carried()), points, of_sample(d, s, batch_), current);
    add_terms(ForecastStep::adjoint(step_.input_terms(InputPart::current)), points, du, current);
    add_terms(ForecastStep::adjoint(step_.input_terms(InputPart::previous)), points, du,
              of_sample(gradients_[k], s, batch_));
  }
}

DistillationStep::Loss DistillationStep::gradient(std::span<const DistillationSample> samples, bool add) {
  if (samples.size() != batch_) fail(ErrorKind::failure, "distill: {} samples, planned {}", samples.size(), batch_);
  for (std::size_t s = 0; s < batch_; ++s)
    for (std::size_t i = 0; i < 2; ++i)
      std::copy(samples[s].truth[i].begin(), samples[s].truth[i].end(), of_sample(states_[i], s, batch_).begin());
  student_.parameters().allocate_gradients();
  if (!add) student_.parameters().zero_gradients();
  own_pass_ = true;
  if (maps_) maps_->parameters().zero_gradients();
  feature_error_ = 0;
  Loss loss;
  for (std::size_t k = 0; k < count_; ++k) {
    forward(samples, k, k + 1 == count_);
    advance(samples, k);
    score(samples, k, loss);
  }
  for (auto& gradient : gradients_) std::fill(gradient.begin(), gradient.end(), 0.0F);
  for (std::size_t k = count_; k-- > 0;) back(samples, k);
  own_pass_ = false;
  loss.features = feature_error_;
  loss.total = losses_.truth * loss.truth + losses_.teacher * loss.teacher + losses_.features * loss.features +
               losses_.spectral * loss.spectral;
  if (std::isfinite(loss.total)) return loss;
  std::string times;
  for (const DistillationSample& sample : samples)
    times += fmt::format("{}{} + {}", times.empty() ? "" : ", ", to_string(sample.time), to_string(sample.step));
  fail(ErrorKind::numerical, "distill: the loss is not finite (batch times {})", times);
}

}  // namespace zonda::model
