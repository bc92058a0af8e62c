#include "assimilation/atmosphere/network_step.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"

namespace zonda::assimilation {

using model::DType;
using model::ForecastLayout;
using model::ForecastStep;
using model::InputPart;

NetworkDescription::NetworkDescription(ForecastLayout given, Duration step_length, bool keep_bounds)
    : layout(std::move(given)), step(layout), d(step_length), bounds(keep_bounds) {
  for (std::size_t c = 0; c < layout.channels.size(); ++c)
    if (!layout.channels[c].info().accumulated) prognostic.push_back(c);
}

NetworkStep::NetworkStep(std::shared_ptr<const NetworkDescription> description,
                         std::unique_ptr<model::ForecastNetwork> network)
    : description_(std::move(description)), network_(std::move(network)) {
  const ForecastLayout& layout = description_->layout;
  require_size("the network's input channels", static_cast<std::size_t>(network_->input_channels()),
               layout.input_channels());
  require_size("the network's output channels", static_cast<std::size_t>(network_->output_channels()),
               layout.output_channels());
}

void NetworkStep::prepare(int batch, model::Use use) {
  network_->plan(batch, use);
  if (batch == batch_) return;
  batch_ = batch;
  const ForecastLayout& layout = description_->layout;
  const auto samples = static_cast<std::size_t>(batch);
  const auto make = [&](Vector& host, model::Buffer& buffer, std::size_t planes, std::size_t points, std::size_t here) {
    host.assign(samples * planes * points, 0);
    buffer = model::Buffer(samples * planes * here * model::size_of(network_->dtype()), network_->backend().memory());
  };
  make(inputs_, input_, layout.input_channels(), layout.points(), points_here());
  make(outputs_, output_, layout.output_channels(), layout.points(), points_here());
  make(conditions_, condition_, ForecastLayout::condition_size, 1, 1);
  image_.assign(layout.channels.size() * layout.points(), 0);
  next_.assign(image_.size(), 0);
}

model::Tensor NetworkStep::tensor(const model::Buffer& buffer, std::size_t channels) const {
  return model::Tensor(
      buffer.data(),
      {batch_, static_cast<std::int64_t>(channels), static_cast<std::int64_t>(network_->slab().image_rows().size()),
       static_cast<std::int64_t>(description_->layout.grid.nlon())},
      network_->dtype(), buffer.device());
}

std::size_t NetworkStep::points_here() const {
  return network_->slab().image_rows().size() * description_->layout.grid.nlon();
}

void NetworkStep::send(ConstView numbers, const model::Buffer& to) {
  if (network_->dtype() == DType::f64) return to.memory().copy_in(to.data(), numbers.data(), to.bytes());
  single_.assign(numbers.begin(), numbers.end());
  to.memory().copy_in(to.data(), single_.data(), to.bytes());
}

void NetworkStep::receive(const model::Buffer& from, View numbers) {
  if (network_->dtype() == DType::f64) return from.memory().copy_out(numbers.data(), from.data(), from.bytes());
  single_.resize(numbers.size());
  from.memory().copy_out(single_.data(), from.data(), from.bytes());
  std::copy(single_.begin(), single_.end(), numbers.begin());
}

void NetworkStep::send_images(ConstView images, const model::Buffer& to) {
  if (network_->slab().alone()) return send(images, to);
  const std::size_t nlon = description_->layout.grid.nlon(), points = description_->layout.points(),
                    first = network_->slab().image_rows().begin * nlon, here = points_here();
  rows_.resize(images.size() / points * here);
  for (std::size_t plane = 0; plane < images.size() / points; ++plane)
    copy(images.subspan(plane * points + first, here), View(rows_).subspan(plane * here, here));
  send(rows_, to);
}

void NetworkStep::receive_images(const model::Buffer& from, View images) {
  const model::Slab& slab = network_->slab();
  if (slab.alone()) return receive(from, images);
  const std::size_t nlon = description_->layout.grid.nlon(), points = description_->layout.points(),
                    planes = images.size() / points;
  std::vector<std::size_t> begin{0};
  for (int rank = 0; rank < slab.ranks().size(); ++rank)
    begin.push_back(begin.back() + planes * slab.image_rows(rank).size() * nlon);
  rows_.resize(begin.back());
  const auto mine = static_cast<std::size_t>(slab.ranks().rank());
  const View own = View(rows_).subspan(begin[mine], begin[mine + 1] - begin[mine]);
  receive(from, own);
  std::vector<std::size_t> bytes;
  for (const std::size_t offset : begin) bytes.push_back(offset * sizeof(double));
  slab.ranks().all_gather(std::as_bytes(std::span(own)), std::as_writable_bytes(std::span(rows_)), bytes).wait();
  for (int rank = 0; rank < slab.ranks().size(); ++rank) {
    const std::size_t first = slab.image_rows(rank).begin * nlon, numbers = slab.image_rows(rank).size() * nlon;
    for (std::size_t plane = 0; plane < planes; ++plane)
      copy(ConstView(rows_).subspan(begin[static_cast<std::size_t>(rank)] + plane * numbers, numbers),
           images.subspan(plane * points + first, numbers));
  }
}

void NetworkStep::map(const Terms& terms, ConstView from, View to) const {
  const std::size_t points = description_->layout.points();
  for (const model::ChannelTerm& term : terms)
    axpy(term.factor, from.subspan(static_cast<std::size_t>(term.from) * points, points),
         to.subspan(static_cast<std::size_t>(term.to) * points, points));
}

void NetworkStep::normalise(ConstView slot, bool mean, Vector& image) const {
  const std::size_t points = description_->layout.points();
  const model::Normalisation& normalisation = description_->layout.normalisation;
  for (std::size_t p = 0; p < description_->prognostic.size(); ++p) {
    const std::size_t c = description_->prognostic[p];
    const double shift = mean ? normalisation.mean[c] : 0, per = 1 / normalisation.stddev[c];
    for (std::size_t i = 0; i < points; ++i) image[c * points + i] = (slot[p * points + i] - shift) * per;
  }
}

void NetworkStep::assemble(Time time, ConstView state, std::size_t sample) {
  const NetworkDescription& about = *description_;
  const std::size_t slot = about.slot_size(), points = about.layout.points();
  const std::size_t numbers = about.layout.input_channels() * points;
  const View u = View(inputs_).subspan(sample * numbers, numbers);
  std::fill(u.begin(), u.end(), 0);
  normalise(state.first(slot), true, image_);
  map(about.step.input_terms(InputPart::previous), image_, u);
  normalise(state.subspan(slot), true, image_);
  map(about.step.input_terms(InputPart::current), image_, u);
  map(about.step.input_terms(InputPart::statics), Vector(about.step.statics().begin(), about.step.statics().end()), u);
  std::vector<float> forcing(about.layout.forcings.size() * points);
  for (const InputPart part : {InputPart::forcing_now, InputPart::forcing_next}) {
    model::normalised_forcing(about.layout, part == InputPart::forcing_now ? time : time + about.d, forcing);
    map(about.step.input_terms(part), Vector(forcing.begin(), forcing.end()), u);
  }
  std::array<float, ForecastLayout::condition_size> condition{};
  about.step.condition(time, about.d, Duration{0}, condition);
  std::copy(condition.begin(), condition.end(),
            conditions_.begin() + static_cast<std::ptrdiff_t>(sample * condition.size()));
}

void NetworkStep::forward() {
  send_images(inputs_, input_);
  send(conditions_, condition_);
  const model::Tensor condition(condition_.data(), {batch_, static_cast<std::int64_t>(ForecastLayout::condition_size)},
                                network_->dtype(), condition_.device());
  network_->set_leads({});
  network_->forward(tensor(input_, description_->layout.input_channels()), condition,
                    tensor(output_, description_->layout.output_channels()));
  receive_images(output_, outputs_);
}

void NetworkStep::run(Time time, std::span<const View> states) {
  if (states.empty()) return;
  prepare(static_cast<int>(states.size()), model::Use::inference);
  for (std::size_t s = 0; s < states.size(); ++s) assemble(time, states[s], s);
  forward();
  const NetworkDescription& about = *description_;
  const std::size_t slot = about.slot_size(), points = about.layout.points(), numbers = next_.size();
  const model::Normalisation& normalisation = about.layout.normalisation;
  for (std::size_t s = 0; s < states.size(); ++s) {
    const View present = states[s].subspan(slot);
    normalise(present, true, image_);
    std::fill(next_.begin(), next_.end(), 0);
    map(about.step.carried(), image_, next_);
    map(about.step.increments(about.d), ConstView(outputs_).subspan(s * numbers, numbers), next_);
    copy(present, states[s].first(slot));
    for (std::size_t p = 0; p < about.prognostic.size(); ++p) {
      const std::size_t c = about.prognostic[p];
      const model::Bounds bounds =
          about.bounds ? model::physical_bounds(about.layout.channels[c].info()) : model::Bounds{};
      for (std::size_t i = 0; i < points; ++i) {
        const double value = next_[c * points + i] * normalisation.stddev[c] + normalisation.mean[c];
        if (!std::isfinite(value))
          fail(ErrorKind::numerical, "the network's {} {} after {} is not a number", about.layout.channels[c].name(),
               to_string(about.d), to_string(time));
        present[p * points + i] = std::clamp(value, bounds.lower, bounds.upper);
      }
    }
  }
}

void NetworkStep::linearise(Time time, ConstView state) {
  prepare(1, model::Use::tangent);
  if (input_change_.bytes() == 0) {
    input_change_ = model::Buffer(input_.bytes(), input_.memory());
    output_change_ = model::Buffer(output_.bytes(), output_.memory());
  }
  assemble(time, state, 0);
  forward();
  const NetworkDescription& about = *description_;
  const std::size_t points = about.layout.points();
  held_.assign(about.slot_size(), 0);
  if (!about.bounds) return;
  const model::Normalisation& normalisation = about.layout.normalisation;
  normalise(state.subspan(about.slot_size()), true, image_);
  std::fill(next_.begin(), next_.end(), 0);
  map(about.step.carried(), image_, next_);
  map(about.step.increments(about.d), outputs_, next_);
  for (std::size_t p = 0; p < about.prognostic.size(); ++p) {
    const std::size_t c = about.prognostic[p];
    const model::Bounds bounds = model::physical_bounds(about.layout.channels[c].info());
    for (std::size_t i = 0; i < points; ++i) {
      const double value = next_[c * points + i] * normalisation.stddev[c] + normalisation.mean[c];
      held_[p * points + i] = value < bounds.lower || value > bounds.upper;
    }
  }
}

void NetworkStep::tangent(View perturbation) {
  const NetworkDescription& about = *description_;
  const std::size_t slot = about.slot_size(), points = about.layout.points();
  const View present = perturbation.subspan(slot);
  std::fill(inputs_.begin(), inputs_.end(), 0);
  normalise(perturbation.first(slot), false, image_);
  map(about.step.input_terms(InputPart::previous), image_, inputs_);
  normalise(present, false, image_);
  map(about.step.input_terms(InputPart::current), image_, inputs_);
  send_images(inputs_, input_change_);
  network_->tangent(tensor(input_change_, about.layout.input_channels()),
                    tensor(output_change_, about.layout.output_channels()));
  receive_images(output_change_, outputs_);
  std::fill(next_.begin(), next_.end(), 0);
  map(about.step.carried(), image_, next_);
  map(about.step.increments(about.d), outputs_, next_);
  copy(present, perturbation.first(slot));
  for (std::size_t p = 0; p < about.prognostic.size(); ++p)
    for (std::size_t i = 0; i < points; ++i)
      present[p * points + i] = held_[p * points + i] ? 0
                                                      : next_[about.prognostic[p] * points + i] *
                                                            about.layout.normalisation.stddev[about.prognostic[p]];
}

void NetworkStep::adjoint(View sensitivity) {
  const NetworkDescription& about = *description_;
  const std::size_t slot = about.slot_size(), points = about.layout.points();
  const model::Normalisation& normalisation = about.layout.normalisation;
  std::fill(next_.begin(), next_.end(), 0);
  for (std::size_t p = 0; p < about.prognostic.size(); ++p)
    for (std::size_t i = 0; i < points; ++i)
      if (!held_[p * points + i])
        next_[about.prognostic[p] * points + i] =
            sensitivity[slot + p * points + i] * normalisation.stddev[about.prognostic[p]];
  std::fill(outputs_.begin(), outputs_.end(), 0);
  map(ForecastStep::adjoint(about.step.increments(about.d)), next_, outputs_);
  send_images(outputs_, output_change_);
  network_->backward(tensor(output_change_, about.layout.output_channels()),
                     tensor(input_change_, about.layout.input_channels()), false);
  receive_images(input_change_, inputs_);
  // What the state at t was: the earlier slot of the end, carried into the later one, and read by the network.
  const auto to_state = [&](InputPart part, bool carried, ConstView kept, View slot_sensitivity) {
    std::fill(image_.begin(), image_.end(), 0);
    map(ForecastStep::adjoint(about.step.input_terms(part)), inputs_, image_);
    if (carried) map(ForecastStep::adjoint(about.step.carried()), next_, image_);
    for (std::size_t p = 0; p < about.prognostic.size(); ++p)
      for (std::size_t i = 0; i < points; ++i)
        slot_sensitivity[p * points + i] =
            (kept.empty() ? 0 : kept[p * points + i]) +
            image_[about.prognostic[p] * points + i] / normalisation.stddev[about.prognostic[p]];
  };
  to_state(InputPart::current, true, sensitivity.first(slot), sensitivity.subspan(slot));
  to_state(InputPart::previous, false, {}, sensitivity.first(slot));
}

}  // namespace zonda::assimilation
