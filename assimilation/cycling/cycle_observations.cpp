#include "assimilation/cycling/cycle_observations.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "assimilation/cycling/member_exchange.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "ingest/observations/observation_summary.hpp"

namespace zonda::assimilation {
namespace {

/// Complaints of reading that the log repeats.
constexpr std::size_t most_words = 5;

/// H of every member [member][selected] to mean and spread.
struct ObservedBackground {
  Vector mean, spread;
};

ObservedBackground observe(const Observations& observations, const Ensemble& ensemble,
                           const parallel::Communicator& communicator) {
  const std::size_t p = observations.size(), n = ensemble.total();
  Vector own(ensemble.own().size() * p);
  for (std::size_t k = 0; k < ensemble.own().size(); ++k)
    observations.instrument->apply(ensemble.member(k), View(own).subspan(k * p, p));
  const Vector all = gather_members(communicator, n, own, p);
  ObservedBackground result{Vector(p), Vector(p)};
  for (std::size_t k = 0; k < n; ++k) axpy(1 / static_cast<double>(n), ConstView(all).subspan(k * p, p), result.mean);
  if (n < 2) return result;
  for (std::size_t i = 0; i < p; ++i) {
    double sum = 0;
    for (std::size_t k = 0; k < n; ++k) sum += (all[k * p + i] - result.mean[i]) * (all[k * p + i] - result.mean[i]);
    result.spread[i] = std::sqrt(sum / static_cast<double>(n - 1));
  }
  return result;
}

}  // namespace

ObservationStream::ObservationStream(const CycleConfig& config, const AnalysisConfig& analysis,
                                     const AtmosphereModel& model)
    : config_(config),
      layout_(model.layout),
      step_(model.step),
      window_(config.window.value_or(config.every)),
      perfect_(analysis.perfect_observations),
      at_own_times_(analysis.at_own_times) {
  if (config.slot && *config.slot != step_)
    fail(ErrorKind::usage, "cycle.slot: {}, expected the model's step of {}", to_string(*config.slot),
         to_string(step_));
  if (const auto& bias = config.observations.station_bias) station_bias_.emplace(bias->rate, bias->least_cycles);
  if (config.observations.synthetic) {
    synthetic_ = std::make_unique<SyntheticObservations>(*config.observations.synthetic, layout_, window_);
  } else {
    files_ = read_sources(config.observations.files);
    for (std::size_t i = 0; i < std::min(files_.account.complaints.size(), most_words); ++i)
      log::warning("{}", files_.account.complaints[i].text);
  }
}

ObservationWindow ObservationStream::window(Time time) const {
  const Duration lag = static_cast<std::int64_t>(layout_.slots - 1) * step_;
  ObservationWindow window{time, time - window_ / 2, time + window_ / 2, 0, {time - lag, step_, layout_.slots}};
  if (!config_.slot) return window;
  window.begin = std::max(window.begin, config_.start);
  if (!at_own_times_) return window;
  window.states = static_cast<std::size_t>((window.end - window.begin) / step_) + 1;
  window.slots = {window.begin - lag, step_, window.states + layout_.slots - 1};
  return window;
}

std::vector<Time> ObservationStream::truth_times(const ObservationWindow& window) const {
  if (!synthetic_) return {};
  if (!config_.slot) return {window.time};
  std::vector<Time> times;
  for (Time time = window.begin; time < window.end; time += *config_.slot) times.push_back(time);
  return times;
}

AtmosphereLayout ObservationStream::observed_layout(const ObservationWindow& window) const {
  AtmosphereLayout layout = layout_;
  layout.slots = window.slots.count;
  return layout;
}

/// An entry on the edge belongs to the later window.
bool ObservationStream::is_in_window(std::size_t i, const ObservationWindow& window) const {
  const Time at = files_.table.time[i];
  return at >= window.begin && at < window.end;
}

nlohmann::ordered_json ObservationStream::beyond(const std::vector<Time>& times) const {
  std::uint64_t values = 0, read = 0, used = 0;
  for (std::size_t i = 0; i < files_.table.size(); ++i)
    values +=
        std::none_of(times.begin(), times.end(), [&](Time time) { return is_in_window(i, window(time)); }) ? 1 : 0;
  std::map<std::string, std::uint64_t> rejected;
  for (const auto& [key, count] : files_.account.reports) {
    read += count.read;
    used += count.used;
    for (const auto& [flag, number] : count.rejected) rejected[std::string(name(flag))] += number;
  }
  return {{"reports", {{"read", read}, {"used", used}, {"rejected", rejected}}}, {"values", values}};
}

ingest::ReadObservations ObservationStream::read(const ObservationWindow& window, std::size_t cycle,
                                                 const std::vector<Vector>& truths) const {
  if (synthetic_ && !config_.slot) return synthetic_->observe(truths.at(0), window.time, cycle, perfect_);
  ingest::ReadObservations part;
  if (synthetic_) {
    const auto of = static_cast<std::size_t>(window_ / step_);
    const std::size_t missed = of - truths.size();
    for (std::size_t s = 0; s < truths.size(); ++s) {
      const ingest::ReadObservations slot = synthetic_->observe(
          truths[s], window.begin + static_cast<std::int64_t>(s) * step_, cycle, perfect_, {missed + s, of, step_});
      part.table.append(slot.table);
      part.account.append(slot.account);
    }
    return part;
  }
  // Files are read once; a cycle is shown what lies in its window.
  std::vector<std::size_t> inside;
  for (std::size_t i = 0; i < files_.table.size(); ++i)
    if (is_in_window(i, window)) inside.push_back(i);
  part.table = files_.table.select(inside);
  if (cycle == 0) part.account = files_.account;
  return part;
}

CheckedObservations ObservationStream::at(const ObservationWindow& window, std::size_t cycle,
                                          const std::vector<Vector>& truths, const Ensemble& background,
                                          const parallel::Communicator& communicator) const {
  ingest::ReadObservations found = read(window, cycle, truths);
  CheckedObservations checked{std::move(found.table), std::move(found.account), {}, {}, {}, {}};
  const QualityControlConfig& quality = config_.observations.quality_control;
  check_observations(checked.table, quality, window.begin, window.end);
  reject_uncovered(checked.table, layout_, window.slots);
  if (station_bias_) station_bias_->correct(checked.table);

  SelectedObservations candidates = select_observations(checked.table, layout_, window.slots);
  const ObservedBackground observed = observe(candidates.observations, background, communicator);
  // The ensemble's own spread says how far from the background an observation may be, where there is one.
  Vector background_error = background.total() > 1 ? background_errors(checked.table, quality.background_errors,
                                                                       quality.background_error_fraction)
                                                   : Vector{};
  Vector spread_of(checked.table.size());
  for (std::size_t n = 0; n < candidates.entries.size(); ++n) {
    const std::size_t i = candidates.entries[n];
    checked.table.background[i] = observed.mean[n];
    spread_of[i] = observed.spread[n];
    if (!background_error.empty()) background_error[i] = std::max(background_error[i], observed.spread[n]);
  }
  check_departures(checked.table, quality, background_error);
  checked.selected = checked.table.used().size() == candidates.entries.size()
                         ? std::move(candidates)
                         : select_observations(checked.table, layout_, window.slots);
  for (const std::size_t i : checked.selected.entries) checked.spread.push_back(spread_of[i]);
  if (window.states == 0) return checked;
  std::vector<SelectedObservations> nearest =
      select_by_slot(checked.table, layout_, {window.begin, step_, window.states});
  for (std::size_t n = 0; n < nearest.size(); ++n)
    if (!nearest[n].entries.empty()) {
      checked.by_step.push_back({n, std::move(nearest[n].observations)});
      checked.entries_by_step.push_back(std::move(nearest[n].entries));
    }
  return checked;
}

Vector ObservationStream::observe_analysis(CheckedObservations& checked, const ObservationWindow& window,
                                           ConstView state) const {
  ingest::ObservationTable& table = checked.table;
  std::vector<std::size_t> met;
  std::vector<AtmosphericObservation> list;
  for (std::size_t i = 0; i < table.size(); ++i)
    if (std::isfinite(table.background[i])) {
      met.push_back(i);
      list.push_back(observation_of(table, i, window.slots));
    }
  Vector values(met.size()), of_selected;
  AtmosphereOperator(observed_layout(window), list).apply(state, values);
  for (std::size_t n = 0; n < met.size(); ++n) table.analysis[met[n]] = values[n];
  for (const std::size_t i : checked.selected.entries) of_selected.push_back(table.analysis[i]);
  return of_selected;
}

void ObservationStream::learn_station_bias(const ingest::ObservationTable& table) {
  if (station_bias_) station_bias_->update(table);
}

nlohmann::ordered_json ObservationStream::station_bias() const {
  return station_bias_ ? station_bias_->to_record() : nlohmann::ordered_json();
}

void ObservationStream::restore_station_bias(const nlohmann::ordered_json& record) {
  if (station_bias_) station_bias_ = StationBias::of_record(record);
}

nlohmann::ordered_json CheckedObservations::summary() const {
  std::map<std::string, std::size_t> rejected;
  std::size_t used = 0, lost = 0;
  for (const ingest::QualityFlag flag : table.flag) {
    if (flag == ingest::QualityFlag::accepted) {
      ++used;
    } else {
      ++rejected[std::string(name(flag))];
      ++lost;
    }
  }
  if (used != selected.entries.size() || used + lost != table.size() || !account.balanced())
    fail(ErrorKind::failure, "of {} observed values {} are used and {} rejected, {} were analysed", table.size(), used,
         lost, selected.entries.size());
  nlohmann::ordered_json by_kind = nlohmann::ordered_json::array();
  for (const auto& [key, count] : ingest::count_values(table)) {
    nlohmann::ordered_json reasons = nlohmann::ordered_json::object();
    for (const auto& [flag, number] : count.rejected) reasons[std::string(name(flag))] = number;
    by_kind.push_back({{"kind", name(key.first)},
                       {"variable", variable_table()[key.second].short_name},
                       {"read", count.read},
                       {"used", count.used},
                       {"rejected", std::move(reasons)}});
  }
  return {{"read", table.size()}, {"used", used}, {"rejected", rejected}, {"values", std::move(by_kind)}};
}

}  // namespace zonda::assimilation
