#include "model/training/training_step.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"
#include "core/philox.hpp"
#include "parallel/canonical.hpp"
#include "parallel/partition.hpp"

namespace zonda::model {
namespace {

void turn(std::span<float> fields, std::size_t nlon, std::size_t columns) {
  if (columns == 0) return;
  for (std::size_t row = 0; row < fields.size() / nlon; ++row) {
    const auto begin = fields.begin() + static_cast<std::ptrdiff_t>(row * nlon);
    const auto end = begin + static_cast<std::ptrdiff_t>(nlon);
    std::rotate(begin, end - static_cast<std::ptrdiff_t>(columns), end);
  }
}

Shape image(std::size_t m, std::size_t channels, const Grid& grid) {
  return {static_cast<std::int64_t>(m), static_cast<std::int64_t>(channels), static_cast<std::int64_t>(grid.nlat()),
          static_cast<std::int64_t>(grid.nlon())};
}

}  // namespace

TrainingStep::TrainingStep(ForecastNetwork& network, const ForecastStep& step,
                           const parallel::Communicator& communicator, StepOptions options, int batch, int micro_batch,
                           int count)
    : network_(network),
      step_(step),
      communicator_(communicator),
      options_(std::move(options)),
      micro_(static_cast<std::size_t>(micro_batch)),
      count_(static_cast<std::size_t>(count)),
      terms_(static_cast<std::size_t>(batch / micro_batch)),
      sum_(communicator, terms_, static_cast<std::size_t>(network.parameters().extent())) {
  const parallel::Range range = parallel::partition(terms_, static_cast<std::size_t>(communicator.size()),
                                                    static_cast<std::size_t>(communicator.rank()));
  first_sample_ = range.begin * micro_;
  samples_ = range.size() * micro_;
  const ForecastLayout& layout = step.layout();
  const std::size_t points = layout.points(), channels = layout.output_channels();
  const auto weights = layout.grid.row_weights();
  row_weights_.assign(weights.begin(), weights.end());
  truth_.resize(micro_ * (count_ + 2) * channels * points);
  forcings_.resize(micro_ * (count_ + 1) * layout.forcings.size() * points);
  inputs_.assign(count_, std::vector<float>(micro_ * layout.input_channels() * points));
  conditions_.assign(count_, std::vector<float>(micro_ * ForecastLayout::condition_size));
  output_.resize(micro_ * channels * points);
  target_.resize(micro_ * channels * points);
  output_gradient_.assign(count_, std::vector<float>(micro_ * channels * points));
  if (count_ > 1) {
    predicted_.assign(count_, std::vector<float>(micro_ * channels * points));
    state_gradient_.assign(count_ + 2, std::vector<float>(micro_ * channels * points));
    input_gradient_.resize(inputs_[0].size());
  }
  turned_.assign(micro_, 0);
  network_.plan(micro_batch, Use::training);
}

std::size_t TrainingStep::bytes() const {
  std::size_t floats = truth_.size() + forcings_.size() + output_.size() + target_.size() + input_gradient_.size();
  for (const auto* list : {&inputs_, &conditions_, &predicted_, &output_gradient_, &state_gradient_})
    for (const auto& buffer : *list) floats += buffer.size();
  return floats * sizeof(float) + sum_.bytes();
}

/// x(t + (lead - 1) d) of a sample: what was given, or what the rollout predicted.
std::span<float> TrainingStep::state(std::size_t lead, std::size_t sample) {
  const std::size_t size = step_.layout().output_channels() * step_.layout().points();
  if (lead < 2) return std::span(truth_).subspan((sample * (count_ + 2) + lead) * size, size);
  return std::span(predicted_[lead - 2]).subspan(sample * size, size);
}

void TrainingStep::prepare(const Batch& batch, std::size_t first, std::uint64_t position, std::span<const Time> times) {
  const ForecastLayout& layout = step_.layout();
  const std::size_t nlon = layout.grid.nlon();
  const std::size_t states = (count_ + 2) * layout.output_channels() * layout.points();
  const std::size_t forcings = (count_ + 1) * layout.forcings.size() * layout.points();
  std::copy_n(batch.states.begin() + static_cast<std::ptrdiff_t>(first * states), micro_ * states, truth_.begin());
  std::copy_n(batch.forcings.begin() + static_cast<std::ptrdiff_t>(first * forcings), micro_ * forcings,
              forcings_.begin());
  for (std::size_t s = 0; s < micro_; ++s) {
    const std::uint64_t number = position + first + s;
    if (options_.roll_longitude && layout.grid.periodic()) {
      turned_[s] = Philox(options_.seed, "turn").integer(number, nlon);
      turn(std::span(truth_).subspan(s * states, states), nlon, turned_[s]);
      turn(std::span(forcings_).subspan(s * forcings, forcings), nlon, turned_[s]);
    }
    if (options_.input_noise > 0) {
      const Philox philox(options_.seed, "input noise");
      const std::size_t given = 2 * states / (count_ + 2);  // x(t-d) and x(t)
      float* values = truth_.data() + s * states;
      for (std::size_t i = 0; i < given; ++i)
        values[i] += static_cast<float>(options_.input_noise * philox.normal(number * given + i));
    }
    const Example& example = batch.examples[first + s];
    for (std::size_t k = 0; k < count_; ++k)
      step_.condition(
          times[example.time_index] + static_cast<int>(k) * example.step, example.step,
          static_cast<int>(k) * example.step,
          std::span(conditions_[k]).subspan(s * ForecastLayout::condition_size, ForecastLayout::condition_size),
          static_cast<double>(turned_[s]) * layout.grid.longitude_step());
  }
}

double TrainingStep::rollout(const Batch& batch, std::size_t first) {
  const ForecastLayout& layout = step_.layout();
  const std::size_t points = layout.points();
  const std::size_t state_size = layout.output_channels() * points, forcing_size = layout.forcings.size() * points;
  const std::size_t input_size = layout.input_channels() * points;
  const Shape in = image(micro_, layout.input_channels(), layout.grid);
  const Shape out = image(micro_, layout.output_channels(), layout.grid);
  const Shape condition{static_cast<std::int64_t>(micro_), static_cast<std::int64_t>(ForecastLayout::condition_size)};
  const auto truth = [&](std::size_t sample, std::size_t lead) {
    return std::span<const float>(truth_).subspan((sample * (count_ + 2) + lead) * state_size, state_size);
  };
  const auto part = [](auto& buffer, std::size_t sample, std::size_t size) {
    return std::span(buffer).subspan(sample * size, size);
  };
  // The mean over the batch of the mean over lead steps.
  const double share = 1.0 / static_cast<double>(terms_ * count_);

  double loss = 0;
  for (std::size_t k = 0; k < count_; ++k) {
    for (std::size_t s = 0; s < micro_; ++s) {
      const auto forced = part(forcings_, s, (count_ + 1) * forcing_size);
      const auto u = part(inputs_[k], s, input_size);
      step_.assemble(state(k, s), state(k + 1, s), forced.subspan(k * forcing_size, forcing_size),
                     forced.subspan((k + 1) * forcing_size, forcing_size), u);
      turn(u.subspan(step_.first_static_channel() * points, layout.static_channels.size() * points), layout.grid.nlon(),
           turned_[s]);
    }
    network_.forward(Tensor::of(inputs_[k], in), Tensor::of(conditions_[k], condition), Tensor::of(output_, out));
    for (std::size_t s = 0; s < micro_; ++s)
      step_.target(state(k + 1, s), truth(s, k + 2), batch.examples[first + s].step, part(target_, s, state_size));
    loss += share * weighted_loss(options_.loss, Tensor::of(output_, out), Tensor::of(target_, out), row_weights_,
                                  options_.channel_weights, {}, Tensor::of(output_gradient_[k], out), share);
    if (count_ > 1)
      for (std::size_t s = 0; s < micro_; ++s)
        step_.advance(part(output_, s, state_size), state(k + 1, s), batch.examples[first + s].step,
                      part(predicted_[k], s, state_size));
  }

  if (count_ == 1) {
    network_.backward(Tensor::of(output_gradient_[0], out), Tensor());
    return loss;
  }
  for (auto& gradient : state_gradient_) std::fill(gradient.begin(), gradient.end(), 0.0F);
  for (std::size_t k = count_; k-- > 0;) {
    for (std::size_t s = 0; s < micro_; ++s) {
      const Duration d = batch.examples[first + s].step;
      const auto dy = part(output_gradient_[k], s, state_size);
      const auto dnext = part(state_gradient_[k + 2], s, state_size);
      step_.target_adjoint(dy, d, dnext);
      step_.advance_adjoint(dnext, d, dy, part(state_gradient_[k + 1], s, state_size));
    }
    if (k + 1 < count_)  // the activations of an earlier step are computed again
      network_.forward(Tensor::of(inputs_[k], in), Tensor::of(conditions_[k], condition), Tensor::of(output_, out));
    network_.backward(Tensor::of(output_gradient_[k], out), k > 0 ? Tensor::of(input_gradient_, in) : Tensor());
    for (std::size_t s = 0; k > 0 && s < micro_; ++s)
      step_.assemble_adjoint(part(input_gradient_, s, input_size), part(state_gradient_[k], s, state_size),
                             part(state_gradient_[k + 1], s, state_size));
  }
  return loss;
}

double TrainingStep::gradient(const Batch& mine, std::uint64_t position, std::span<const Time> times,
                              std::int64_t optimiser_step) {
  std::vector<double> losses;
  ParameterStore& store = network_.parameters();
  store.allocate_gradients();
  for (std::size_t first = 0; first < samples_; first += micro_) {
    prepare(mine, first, position, times);
    store.zero_gradients();
    losses.push_back(rollout(mine, first));
    sum_.add(store.gradients().span<const float>());
  }
  double loss = 0;
  parallel::canonical_all_reduce(communicator_, terms_, 1, std::span<const double>(losses), std::span(&loss, 1));
  sum_.finish(store.gradients().span<float>());

  int kind = 0;
  std::string message;
  if (!std::isfinite(loss)) {
    const auto bad = std::find_if(losses.begin(), losses.end(), [](double l) { return !std::isfinite(l); });
    if (bad != losses.end()) {
      const auto begin = static_cast<std::size_t>(bad - losses.begin()) * micro_;
      for (std::size_t s = begin; s < begin + micro_; ++s)
        message += fmt::format("{}{} + {}", message.empty() ? "" : ", ", to_string(times[mine.examples[s].time_index]),
                               to_string(mine.examples[s].step));
      kind = static_cast<int>(ErrorKind::numerical);
      message = fmt::format("training: the loss of step {} is not finite (batch times {})", optimiser_step, message);
    }
    communicator_.agree(kind, message);
    fail(ErrorKind::numerical, "training: the loss of step {} is not finite", optimiser_step);
  }
  return loss;
}

}  // namespace zonda::model
