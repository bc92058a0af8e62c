#include "model/training/staged_batch.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/philox.hpp"

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

Shape shape_of(std::size_t samples, std::size_t channels, const ForecastStep& step) {
  return {static_cast<std::int64_t>(samples), static_cast<std::int64_t>(channels),
          static_cast<std::int64_t>(step.rows().size()), static_cast<std::int64_t>(step.layout().grid.nlon())};
}

std::size_t given_channels(const ForecastLayout& layout, std::size_t count) {
  return (count + 2) * layout.output_channels() + (count + 1) * layout.forcings.size() + layout.static_channels.size();
}

struct Source {
  Tensor image;
  ForecastStep::Terms terms;
};
/// Maps from several images into one; neighbours that read the same image go together.
void map_sources(Context& ctx, std::span<const Source> sources, const Tensor& to, bool accumulate = false) {
  ForecastStep::Terms terms;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    terms.insert(terms.end(), sources[i].terms.begin(), sources[i].terms.end());
    if (i + 1 < sources.size() && sources[i + 1].image.data == sources[i].image.data) continue;
    if (!terms.empty() || !accumulate) ctx->map_channels(ctx, sources[i].image, terms, to, accumulate);
    accumulate = true;
    terms.clear();
  }
}

}  // namespace

StagedBatch::StagedBatch(const ForecastStep& step, Memory& memory, std::size_t samples, std::size_t count)
    : step_(step),
      count_(count),
      fields_(memory, shape_of(samples, given_channels(step.layout(), count), step)),
      steps_(samples, step.layout().steps.front()),
      turned_(samples),
      lead_steps_(samples) {
  if (step.layout().boundary)
    fail(ErrorKind::usage, "a regional model on {} learns from a global one (zonda distill), not from an archive alone",
         step.layout().grid.to_string());
  for (std::size_t k = 0; k < count; ++k)
    conditions_.emplace_back(
        memory, Shape{static_cast<std::int64_t>(samples), static_cast<std::int64_t>(ForecastLayout::condition_size)});
}

void StagedBatch::stage(const Batch& batch, std::span<const std::size_t> chosen, std::uint64_t number,
                        std::span<const Time> times, const Augmentation& augmentation,
                        std::span<const SampleStart> starts) {
  const ForecastLayout& layout = step_.layout();
  const std::size_t nlon = layout.grid.nlon(), points = step_.points(), state = layout.output_channels() * points;
  const std::size_t states = (count_ + 2) * state, forcings = (count_ + 1) * layout.forcings.size() * points;
  const std::size_t record = given_channels(layout, count_) * points;
  const Philox turns(augmentation.seed, "turn"), noise(augmentation.seed, "input noise");
  for (std::size_t place = 0; place < chosen.size(); ++place) {
    const std::size_t s = chosen[place];
    const std::uint64_t key = number + s;
    const std::span<float> fields = fields_.host().subspan(place * record, record);
    auto out = std::copy_n(batch.states.begin() + static_cast<std::ptrdiff_t>(s * states), states, fields.begin());
    out = std::copy_n(batch.forcings.begin() + static_cast<std::ptrdiff_t>(s * forcings), forcings, out);
    std::copy(step_.statics().begin(), step_.statics().end(), out);
    lead_steps_[place] = 0;
    if (!starts.empty() && starts[s].current) {
      std::copy_n(starts[s].previous, state, fields.begin());
      std::copy_n(starts[s].current, state, fields.begin() + static_cast<std::ptrdiff_t>(state));
      lead_steps_[place] = starts[s].lead_steps;
    }
    turned_[place] = augmentation.roll_longitude && layout.grid.periodic()
                         ? turns.integer(key, static_cast<std::uint64_t>(nlon))
                         : 0;
    turn(fields, nlon, turned_[place]);
    if (augmentation.input_noise > 0) {
      const std::size_t inputs = 2 * layout.output_channels();  // of x(t-d) and x(t)
      for (std::size_t c = 0; c < inputs; ++c) {
        const std::uint64_t first = (key * inputs + c) * layout.points() + step_.rows().begin * nlon;
        for (std::size_t i = 0; i < points; ++i)
          fields[c * points + i] += static_cast<float>(augmentation.input_noise * noise.normal(first + i));
      }
    }
    const Example& example = batch.examples[s];
    steps_[place] = example.step;
    for (std::size_t k = 0; k < count_; ++k)
      step_.condition(
          times[example.time_index] + static_cast<int>(k) * example.step, example.step,
          (static_cast<int>(k) + lead_steps_[place]) * example.step,
          conditions_[k].host().subspan(place * ForecastLayout::condition_size, ForecastLayout::condition_size),
          static_cast<double>(turned_[place]) * layout.grid.longitude_step());
  }
  fields_.send();
  for (Staging& condition : conditions_) condition.send();
}

std::vector<double> StagedBatch::lead_days(std::size_t k) const {
  std::vector<double> days;
  for (std::size_t s = 0; s < samples(); ++s)
    days.push_back(static_cast<double>((static_cast<int>(k) + lead_steps_[s]) * steps_[s].count()) / 86400);
  return days;
}

Shape StagedBatch::image_shape(std::size_t channels) const {
  return shape_of(samples(), channels, step_);
}

StateView StagedBatch::given(std::size_t k) const {
  return {fields_.tensor(), static_cast<std::int32_t>(k * step_.layout().output_channels())};
}

std::int32_t StagedBatch::forcing(std::size_t k) const {
  const ForecastLayout& layout = step_.layout();
  return static_cast<std::int32_t>((count_ + 2) * layout.output_channels() + k * layout.forcings.size());
}

std::int32_t StagedBatch::statics() const {
  return forcing(count_ + 1);
}

void StagedBatch::assemble(Context& ctx, std::size_t k, const StateView& previous, const StateView& current,
                           const Tensor& u) const {
  ForecastStep::Terms known = step_.input_terms(InputPart::statics, statics());
  for (const auto& [part, at] : {std::pair{InputPart::forcing_now, k}, {InputPart::forcing_next, k + 1}})
    for (const ChannelTerm& term : step_.input_terms(part, forcing(at))) known.push_back(term);
  const Source sources[] = {{fields_.tensor(), std::move(known)},
                            {previous.image, step_.input_terms(InputPart::previous, previous.first)},
                            {current.image, step_.input_terms(InputPart::current, current.first)}};
  map_sources(ctx, sources, u);
}

void StagedBatch::target(Context& ctx, std::size_t k, const StateView& current, const Tensor& y) const {
  for (std::size_t s = 0; s < samples(); ++s) {
    const auto i = static_cast<std::int64_t>(s);
    const Source sources[] = {{fields_.tensor().slice(i, 1), step_.tendencies(steps_[s], given(k + 2).first)},
                              {current.image.slice(i, 1), step_.departures(steps_[s], current.first)}};
    map_sources(ctx, sources, y.slice(i, 1));
  }
}

void StagedBatch::advance(Context& ctx, const Tensor& y, const StateView& current, const Tensor& next) const {
  for (std::size_t s = 0; s < samples(); ++s) {
    const auto i = static_cast<std::int64_t>(s);
    step_.advance(ctx, y.slice(i, 1), {current.image.slice(i, 1), current.first}, steps_[s], next.slice(i, 1));
  }
  step_.bounds().apply(ctx, next);
}

void StagedBatch::bounds_adjoint(Context& ctx, const Tensor& next, const Tensor& dnext) const {
  step_.bounds().adjoint(ctx, next, dnext);
}

void StagedBatch::target_adjoint(Context& ctx, const Tensor& dy, const Tensor& dnext) const {
  for (std::size_t s = 0; s < samples(); ++s) {
    const auto i = static_cast<std::int64_t>(s);
    ctx->map_channels(ctx, dy.slice(i, 1), ForecastStep::adjoint(step_.tendencies(steps_[s])), dnext.slice(i, 1), true);
  }
}

void StagedBatch::advance_adjoint(Context& ctx, const Tensor& dnext, const Tensor& dy, const Tensor& dcurrent) const {
  const Source carried[] = {{dnext, ForecastStep::adjoint(step_.carried())}};
  map_sources(ctx, carried, dcurrent, true);
  for (std::size_t s = 0; s < samples(); ++s) {
    const auto i = static_cast<std::int64_t>(s);
    ctx->map_channels(ctx, dnext.slice(i, 1), ForecastStep::adjoint(step_.increments(steps_[s])), dy.slice(i, 1),
                      false);
  }
}

void StagedBatch::assemble_adjoint(Context& ctx, const Tensor& du, const Tensor& dprevious,
                                   const Tensor& dcurrent) const {
  ctx->map_channels(ctx, du, ForecastStep::adjoint(step_.input_terms(InputPart::previous)), dprevious, true);
  ctx->map_channels(ctx, du, ForecastStep::adjoint(step_.input_terms(InputPart::current)), dcurrent, true);
}

}  // namespace zonda::model
