#include "assimilation/observations/atmosphere_operator.hpp"

#include <algorithm>
#include <cmath>

#include "assimilation/observations/horizontal_stencil.hpp"
#include "core/error.hpp"

namespace zonda::assimilation {
namespace {

bool within_slots(const AtmosphereLayout& layout, double slot) {
  return slot >= 0 && slot <= static_cast<double>(layout.slots - 1);
}

}  // namespace

AtmosphereOperator::AtmosphereOperator(AtmosphereLayout layout, std::span<const AtmosphericObservation> observations)
    : layout_(std::make_shared<const AtmosphereLayout>(std::move(layout))) {
  layout_->check();
  observed_.reserve(observations.size());
  for (std::size_t i = 0; i < observations.size(); ++i) {
    const std::string& variable = observations[i].variable;
    const ObservedPoint& point = observations[i].point;
    Reader& read = readers_[variable];
    if (!read.column) {
      read.column = make_column_operator(variable, *layout_);
      for (const LaidField* field : read.column->fields()) {
        const Variable* info = find_variable(field->variable);
        read.is_vector.push_back(info != nullptr && !info->vector_partner.empty());
        read.column_size += field->offset.size();
      }
    }
    const auto place = horizontal_stencil(layout_->grid, point.latitude, point.longitude);
    const auto refuse = [&](const char* why) {
      fail(ErrorKind::data, "observation {} ({} at {:g} N, {:g} E, {:g} hPa): {}", i, variable, point.latitude,
           point.longitude, point.pressure / 100, why);
    };
    if (!place) refuse("outside the grid");
    if (!within_slots(*layout_, point.slot)) refuse("outside the state's times");
    if (!read.column->covers(point)) refuse("outside the state's levels, or without the height that it needs");
    Observed observed{&read, point, {}};
    const double before = std::min(std::floor(point.slot), std::max(0.0, static_cast<double>(layout_->slots) - 2));
    const double later = point.slot - before;
    for (const double s : {before, before + 1}) {
      const double in_time = s == before ? 1 - later : later;
      if (in_time == 0) continue;
      for (std::size_t c = 0; c < 4; ++c) {
        const double weight = in_time * place->weight[c];
        if (weight == 0) continue;
        const std::size_t at = static_cast<std::size_t>(s) * layout_->slot_size + place->index[c];
        observed.stencil.scalar.emplace_back(at, weight);
        observed.stencil.vector.emplace_back(at, place->beyond_pole[c] ? -weight : weight);
      }
    }
    for (std::size_t c = 0; c < 4 && !layout_->orography.empty(); ++c)
      observed.point.model_height += place->weight[c] * layout_->orography[place->index[c]];
    observed_.push_back(std::move(observed));
  }
}

/// use(position in the column, index in the state, weight)
template <class Use>
void AtmosphereOperator::walk(const Observed& observed, Use use) {
  std::size_t at = 0, field_number = 0;
  for (const LaidField* field : observed.read->column->fields()) {
    const auto& stencil = observed.read->is_vector[field_number++] ? observed.stencil.vector : observed.stencil.scalar;
    for (const std::size_t offset : field->offset) {
      for (const auto& [index, weight] : stencil) use(at, offset + index, weight);
      ++at;
    }
  }
}

double AtmosphereOperator::linearise(const Observed& observed, ConstView state, Vector& values,
                                     Vector& gradient) const {
  values.assign(observed.read->column_size, 0);
  gradient.assign(observed.read->column_size, 0);
  walk(observed, [&](std::size_t at, std::size_t index, double weight) { values[at] += weight * state[index]; });
  Column column(observed.read->column->fields(), values, gradient);
  return observed.read->column->read(column, observed.point);
}

void AtmosphereOperator::apply(ConstView state, View values) const {
  require_size("the observed state", state.size(), state_size());
  require_size("observed values", values.size(), size());
#pragma omp parallel if (observed_.size() > 500)
  {
    Vector column, gradient;
#pragma omp for schedule(static)
    for (std::size_t i = 0; i < observed_.size(); ++i) values[i] = linearise(observed_[i], state, column, gradient);
  }
}

void AtmosphereOperator::tangent(ConstView state, ConstView perturbation, View values) const {
  require_size("the perturbation", perturbation.size(), state_size());
#pragma omp parallel if (observed_.size() > 500)
  {
    Vector column, gradient;
#pragma omp for schedule(static)
    for (std::size_t i = 0; i < observed_.size(); ++i) {
      linearise(observed_[i], state, column, gradient);
      double sum = 0;
      walk(observed_[i], [&](std::size_t at, std::size_t index, double weight) {
        if (gradient[at] != 0) sum += gradient[at] * weight * perturbation[index];
      });
      values[i] = sum;
    }
  }
}

void AtmosphereOperator::adjoint(ConstView state, ConstView values, View sensitivity) const {
  require_size("the sensitivity", sensitivity.size(), state_size());
  std::fill(sensitivity.begin(), sensitivity.end(), 0);
  Vector column, gradient;
  for (std::size_t i = 0; i < observed_.size(); ++i) {
    linearise(observed_[i], state, column, gradient);
    walk(observed_[i], [&](std::size_t at, std::size_t index, double weight) {
      if (gradient[at] != 0) sensitivity[index] += gradient[at] * weight * values[i];
    });
  }
}

std::vector<bool> covered(const AtmosphereLayout& layout, std::span<const AtmosphericObservation> observations) {
  std::map<std::string, std::unique_ptr<ColumnOperator>> operators;
  std::vector<bool> result;
  for (const auto& [variable, point] : observations) {
    const auto [at, made] = operators.try_emplace(variable);
    if (made && can_observe(variable, layout)) at->second = make_column_operator(variable, layout);
    result.push_back(at->second && within_slots(layout, point.slot) &&
                     horizontal_stencil(layout.grid, point.latitude, point.longitude) && at->second->covers(point));
  }
  return result;
}

}  // namespace zonda::assimilation
