#include "assimilation/cycling/cycle.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "assimilation/atmosphere/corrected_model.hpp"
#include "assimilation/atmosphere/increment_taper.hpp"
#include "assimilation/cycling/analysis_method.hpp"
#include "assimilation/cycling/cycle_log.hpp"
#include "assimilation/cycling/cycle_model.hpp"
#include "assimilation/cycling/cycle_observations.hpp"
#include "assimilation/cycling/cycle_summary.hpp"
#include "assimilation/cycling/feedback_files.hpp"
#include "assimilation/cycling/forecast_impact.hpp"
#include "assimilation/cycling/launched_forecasts.hpp"
#include "assimilation/cycling/mean_fields.hpp"
#include "assimilation/cycling/member_exchange.hpp"
#include "assimilation/cycling/member_files.hpp"
#include "assimilation/cycling/window_states.hpp"
#include "assimilation/diagnostics/departure_statistics.hpp"
#include "assimilation/diagnostics/ensemble_scores.hpp"
#include "assimilation/diagnostics/pressure_fields.hpp"
#include "assimilation/diagnostics/spectrum_drift.hpp"
#include "assimilation/ensemble/additive_inflation.hpp"
#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "core/signals.hpp"
#include "parallel/together.hpp"

namespace zonda::assimilation {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// What decides an analysis' bits: not how long the cycle goes on, nor what stays on disk.
std::string identity_of(const CycleConfig& config, const AnalysisConfig& analysis, const AtmosphereModel& model) {
  CycleConfig one = config;
  one.analyses = {analysis};
  one.end = one.start;
  one.keep = 0;
  one.feedback = {};
  one.impact.reset();
  one.share_network = false;
  return sha256(std::string_view(config::dump(one).dump() + model.identity));
}

/// One way of analysing, cycle by cycle.
class Cycle {
 public:
  Cycle(const CycleConfig& config, const AnalysisConfig& analysis, const CycleModel& model,
        const parallel::Communicator& communicator, const fs::path& directory)
      : config_(config),
        analysis_(analysis),
        mean_error_(std::make_shared<Vector>(model.mean_error)),
        model_(mean_error_->empty() ? model.model : corrected_model(model.model, mean_error_)),
        communicator_(communicator),
        directory_(directory),
        times_(cycle_times(config)),
        identity_(identity_of(config, analysis, model_)),
        files_(directory / "states", model_, communicator),
        log_(directory / "cycles.jsonl"),
        feedback_(config.feedback, directory / "feedback", communicator),
        method_(make_analysis_method(
            analysis, model_, model.learned,
            [&] { return background_samples(config, analysis.covariance, model_, communicator); }, communicator)),
        stream_(config, analysis, model_),
        nature_(open_truth(config, model_)),
        fields_(model_.layout, channels()),
        ensemble_(members(), model_.layout.state_size(),
                  parallel::partition(members(), static_cast<std::size_t>(communicator.size()),
                                      static_cast<std::size_t>(communicator.rank()))) {
    if (analysis.inflation.additive > 0 && analysis.is_ensemble())
      additive_.emplace(model.errors, analysis.inflation.additive, analysis.inflation.seed);
    if (analysis.taper) taper_.emplace(model_.layout, analysis.taper->from, analysis.taper->to);
    if (config.impact && analysis.is_variational()) require_impact();
  }

  void run(bool resume) {
    if (!resume || !restore()) {
      files_.remove_all();
      feedback_.remove_all();
      if (!config_.initial.from.empty()) {
        parallel::together(communicator_,
                           [&] { read_members(config_.initial.from, model_.identity, times_[0], ensemble_); });
      } else {
        const std::vector<Vector> states = initial_members(config_, model_, ensemble_.total(), ensemble_.own());
        for (std::size_t k = 0; k < states.size(); ++k) copy(states[k], ensemble_.member(k));
      }
      begin();
    }
    finish_cycles();
  }

 private:
  void finish_cycles() {
    Progress progress("cycle " + analysis_.label(), static_cast<std::int64_t>(times_.size()), "cycle",
                      static_cast<std::int64_t>(next_));
    for (; next_ < times_.size(); ++next_) {
      progress.update(static_cast<std::int64_t>(next_), note_);
      one_cycle(next_);
      stop_if_asked();
    }
    if (communicator_.is_root())
      write_file(
          directory_ / "summary.json",
          summarise_cycle(log_.records(), times_[0] + config_.spin_up, stations_, stream_.beyond(times_)).dump(1) +
              "\n");
    communicator_.barrier();
    progress.finish(note_);
  }

  void require_impact() const {
    if (!model_.model->differentiable())
      fail(ErrorKind::usage, "cycle.impact: the model of {} has no adjoint, expected a dry core or a network",
           analysis_.label());
    if (!nature_)
      fail(ErrorKind::usage,
           "cycle.impact: no truth is known that forecasts are judged by, expected cycle.truth or synthetic "
           "observations");
    if (config_.impact->lead % model_.step != Duration{0})
      fail(ErrorKind::usage, "cycle.impact.lead: {}, expected a multiple of the model's step of {}",
           to_string(config_.impact->lead), to_string(model_.step));
  }

  std::size_t members() const { return analysis_.is_ensemble() ? static_cast<std::size_t>(config_.members) : 1; }

  std::vector<Channel> channels() const {
    std::vector<Channel> wanted;
    for (const std::string& channel : config_.channels) wanted.push_back(parse_channel(channel));
    return wanted;
  }

  void begin() {
    if (communicator_.is_root()) log_.begin(0);
    const std::vector<double> tail = tail_of_members(all_fields());
    gate_ = make_gate(tail);
  }

  /// False where there is nothing to go on from.
  bool restore() {
    const std::optional<Time> last = files_.last();
    if (!last) return false;
    const Json record = files_.record(*last);
    if (record.at("identity") != identity_)
      fail(ErrorKind::usage, "{}: cycles of another configuration; remove it to start anew", directory_.string());
    next_ = record.at("cycle").get<std::size_t>() + 1;
    if (next_ > times_.size() || times_[next_ - 1] != *last) {
      log::info("cycle {}: {} cycles are there, of which {} were asked for; nothing is cut off", analysis_.label(),
                next_, times_.size());
    }
    files_.read(*last, ensemble_);
    if (method_ && !method_->learned().empty()) method_->restore(files_.read_learned(*last, method_->learned().size()));
    if (learns_mean_error()) *mean_error_ = files_.read_mean_error(*last, mean_error_->size());
    gate_ = make_gate(record.at("gate_reference").get<std::vector<double>>());
    stations_ = stations_of_record(record.at("stations"));
    stream_.restore_station_bias(record.at("station_bias"));
    note_ = record.at("note");
    if (communicator_.is_root()) log_.begin(record.at("log_bytes"));
    if (nature_) nature_->restore(*last, carries_truth() ? files_.read_truth(*last) : Vector{});
    return true;
  }

  bool learns_mean_error() const { return method_ && !mean_error_->empty() && config_.model_errors->share > 0; }
  /// Sequential bias estimation: what analyses take off again and again is the model's (Dee and da Silva 1998).
  void learn_mean_error(ConstView background) {
    const Vector analysis = ensemble_mean(communicator_, ensemble_);
    const Vector increment =
        difference(ConstView(analysis).last(mean_error_->size()), background.last(mean_error_->size()));
    const auto steps = static_cast<double>(config_.every / model_.step);
    axpy(-config_.model_errors->share / steps, increment, *mean_error_);
  }

  bool carries_truth() const { return nature_ && !config_.truth; }

  void one_cycle(std::size_t cycle) {
    const Time time = times_[cycle];
    Json record{{"cycle", cycle}, {"time", to_string(time)}};
    const ObservationWindow window = stream_.window(time);
    const Ensemble trajectories = to_analysis_time(window, cycle);
    const std::vector<Vector> truths =
        nature_ ? observed_truths(*nature_, stream_.truth_times(window), time) : std::vector<Vector>{};
    const ConstView truth = nature_ ? nature_->state() : ConstView{};
    std::vector<std::vector<float>> background = all_fields();
    std::vector<float> true_fields;
    if (nature_ && communicator_.is_root()) true_fields = fields_.of(truth);
    if (communicator_.is_root()) record["background"] = scores_of(background, true_fields, cycle);

    if (method_) {
      const Ensemble& observed_states = window.states > 0 ? trajectories : ensemble_;
      CheckedObservations observations = stream_.at(window, cycle, truths, observed_states, communicator_);
      record["observations"] = observations.summary();
      const Vector before = ensemble_mean(communicator_, observed_states);
      const bool learns = learns_mean_error() && time >= times_[0] + config_.spin_up;
      const Vector background_mean = learns ? ensemble_mean(communicator_, ensemble_) : Vector{};
      const AnalysisNotes notes = analyse(observations, observed_states, window, cycle);
      if (const ConstView factors = method_->learned(); !factors.empty())
        record["inflation"] = {
            {"mean", std::accumulate(factors.begin(), factors.end(), 0.0) / static_cast<double>(factors.size())},
            {"largest", *std::max_element(factors.begin(), factors.end())}};
      if (notes.gain) add_impact(*notes.gain, observations, time, record);
      if (!notes.costs.empty()) record["cost"] = {{"values", notes.costs}, {"iterations", notes.iterations}};
      const Vector observed = stream_.observe_analysis(
          observations, window,
          analysed_states(model_, window, before, ensemble_mean(communicator_, ensemble_), notes.window_start));
      record["departures"] = to_record(
          departure_statistics(observations.table, observations.selected.entries, observed, observations.spread));
      if (time >= times_[0] + config_.spin_up) {
        add_stations(stations_, observations.table, observations.selected.entries, observed);
        stream_.learn_station_bias(observations.table);
      }
      if (feedback_.wanted()) feedback_.write(time, observations.table);
      if (learns) learn_mean_error(background_mean);
    }
    const std::vector<std::vector<float>> analysis = method_ ? all_fields() : background;
    const std::vector<double> tail = tail_of_members(analysis);
    launch(time, record);
    if (communicator_.is_root()) {
      record["analysis"] = scores_of(analysis, true_fields, cycle);
      record["tail"] = gate_->ratios(tail);
      note_ = note(record);
      write_fields(time, background, analysis, true_fields);
      log_.append(record);
    }
    communicator_.barrier();
    check_gate(tail, time);
    files_.write(time, ensemble_,
                 {carries_truth() ? truth : ConstView{}, method_ ? method_->learned() : ConstView{},
                  learns_mean_error() ? ConstView(*mean_error_) : ConstView{}},
                 {{"time", to_string(time)},
                  {"cycle", cycle},
                  {"identity", identity_},
                  {"model", model_.identity},
                  {"log_bytes", log_.bytes()},
                  {"gate_reference", gate_->reference()},
                  {"note", note_},
                  {"stations", to_record(stations_)},
                  {"station_bias", stream_.station_bias()}},
                 static_cast<std::size_t>(config_.keep));
  }

  template <class Section>
  bool is_due(const std::optional<Section>& section, Time time) const {
    return section && nature_ && time >= times_[0] + config_.spin_up &&
           (time - times_[0]) % section->every == Duration{0};
  }

  void add_impact(const AnalysisGain& gain, const CheckedObservations& observations, Time time, Json& record) const {
    const Time valid = time + config_.impact->lead;
    if (const std::optional<Vector> truth = nature_->at(valid))
      record["impact"] = to_record(forecast_impact(model_, gain, observations, valid, *truth));
  }

  /// On every rank: the steps of a model may be theirs together.
  void launch(Time time, Json& record) const {
    if (!is_due(config_.forecasts, time)) return;
    record["forecasts"] = score_launched_forecast(*config_.forecasts, model_, fields_, *nature_, time,
                                                  ensemble_mean(communicator_, ensemble_));
  }

  /// Members go from the last analysis to this one. Where the window has several states those are what is returned,
  /// also of times after the analysis.
  Ensemble to_analysis_time(const ObservationWindow& window, std::size_t cycle) {
    Ensemble trajectories(ensemble_.total(), window.states > 0 ? window.slots.count * model_.layout.slot_size : 0,
                          ensemble_.own());
    window_start_.clear();
    window_begin_ = cycle > 0 ? times_[cycle - 1] : window.time;
    if (window.states == 0) {
      if (cycle > 0 && method_ && method_->wants_window()) window_start_ = ensemble_mean(communicator_, ensemble_);
      forecast_members(window_begin_, window.time);
      return trajectories;
    }
    forecast_members(window_begin_, window.begin);
    window_begin_ = window.begin;
    window_start_ = ensemble_mean(communicator_, ensemble_);
    const std::size_t width = model_.layout.slot_size;
    Vector at_analysis;
    for (std::size_t n = 0; n < window.states; ++n) {
      const Time time = window.begin + static_cast<std::int64_t>(n) * model_.step;
      if (n > 0) forecast_members(time - model_.step, time);
      if (time == window.time) at_analysis.assign(ensemble_.values().begin(), ensemble_.values().end());
      for (std::size_t k = 0; k < ensemble_.own().size(); ++k) {
        const ConstView state = ensemble_.member(k);
        copy(n == 0 ? state : state.last(width),
             trajectories.member(k).subspan(n == 0 ? 0 : (n + model_.layout.slots - 1) * width,
                                            n == 0 ? state.size() : width));
      }
    }
    copy(at_analysis, ensemble_.values());
    return trajectories;
  }

  AnalysisNotes analyse(const CheckedObservations& observations, const Ensemble& observed,
                        const ObservationWindow& window, std::size_t cycle) {
    const std::vector<double> before(ensemble_.values().begin(), ensemble_.values().end());
    const AnalysisNotes notes = method_->analyse(
        ensemble_, {observations.selected.observations, cycle, window.time, observed, observations.by_step,
                    window_start_, window_begin_, is_due(config_.impact, window.time)});
    if (!taper_) return notes;
    for (std::size_t k = 0; k < ensemble_.own().size(); ++k) {
      const ConstView background = ConstView(before).subspan(k * ensemble_.state_size(), ensemble_.state_size());
      Vector increment = difference(ensemble_.member(k), background);
      taper_->apply(increment);
      copy(background, ensemble_.member(k));
      axpy(1, increment, ensemble_.member(k));
    }
    return notes;
  }

  void forecast_members(Time from, Time to) {
    int kind = 0;
    std::string message;
    try {
      Vector same;
      std::vector<View> members;
      if (model_.shared) {
        same = ensemble_mean(communicator_, ensemble_);
        members.push_back(same);
      } else {
        for (std::size_t k = 0; k < ensemble_.own().size(); ++k) members.push_back(ensemble_.member(k));
      }
      for (Time at = from; at < to; at += model_.step) {
        step_to(model_, at, std::min<Time>(at + model_.step, to), members);
        if (additive_) additive_->perturb(ensemble_, static_cast<std::uint64_t>((at - times_[0]) / model_.step));
      }
      if (model_.shared && ensemble_.own().size() > 0) copy(same, ensemble_.member(0));
    } catch (const Error& error) {
      kind = error.exit_code();
      message = fmt::format("cycle {} at {}: {}", analysis_.label(), to_string(to), error.what());
    } catch (const std::exception& error) {
      kind = static_cast<int>(ErrorKind::failure);
      message = error.what();
    }
    communicator_.agree(kind, message);
  }

  std::vector<std::vector<float>> all_fields() const {
    std::vector<std::vector<float>> own(ensemble_.own().size());
#pragma omp parallel for schedule(dynamic)
    for (std::size_t k = 0; k < own.size(); ++k) own[k] = fields_.of(ensemble_.member(k));
    return gather_fields(communicator_, ensemble_.total(), std::move(own),
                         fields_.channels().size() * fields_.grid().size());
  }

  /// Of the root; empty elsewhere.
  std::vector<double> tail_of_members(const std::vector<std::vector<float>>& members) const {
    std::vector<double> tail(fields_.channels().size());
    const auto resolved = static_cast<std::size_t>((fields_.grid().nlon() - 1) / 3);
    const std::size_t to = config_.gate.to > 0 ? static_cast<std::size_t>(config_.gate.to) : resolved,
                      from = config_.gate.from > 0 ? static_cast<std::size_t>(config_.gate.from) : 2 * to / 3;
    for (const std::vector<float>& member : members) {
      const std::vector<double> one = tail_power(fields_.grid(), tail.size(), member, from, to);
      for (std::size_t c = 0; c < tail.size(); ++c) tail[c] += one[c] / static_cast<double>(members.size());
    }
    return tail;
  }

  std::optional<SpectrumGate> make_gate(std::vector<double> reference) const {
    return SpectrumGate(fields_.channels(), std::move(reference), config_.gate.factor);
  }

  void check_gate(const std::vector<double>& tail, Time time) {
    int kind = 0;
    std::string message;
    if (communicator_.is_root() && config_.gate.factor > 0 && analysis_.stop_at_gate) {
      try {
        gate_->check(tail, fmt::format("cycle {} at {}", analysis_.label(), to_string(time)));
      } catch (const Error& error) {
        kind = error.exit_code();
        message = error.what();
      }
    }
    communicator_.agree(kind, message);
  }

  Json scores_of(const std::vector<std::vector<float>>& members, const std::vector<float>& truth,
                 std::size_t cycle) const {
    const std::size_t count = fields_.channels().size();
    Json json = Json::object();
    if (!truth.empty()) {
      const std::vector<EnsembleScore> scores = score_ensemble(fields_.grid(), count, members, truth, cycle);
      for (std::size_t c = 0; c < count; ++c) json[fields_.channels()[c].name()] = scores[c];
      return json;
    }
    const std::vector<double> spread = ensemble_spread(fields_.grid(), count, members);
    for (std::size_t c = 0; c < count; ++c) json[fields_.channels()[c].name()] = {{"spread", spread[c]}};
    return json;
  }

  std::string note(const Json& record) const {
    const std::string channel = fields_.channels()[0].name();
    const Json& scores = record["analysis"][channel];
    return scores.contains("error") ? fmt::format("{} error {:.3g}, spread {:.3g}", channel,
                                                  scores["error"].get<double>(), scores["spread"].get<double>())
                                    : fmt::format("{} spread {:.3g}", channel, scores["spread"].get<double>());
  }

  void write_fields(Time time, const std::vector<std::vector<float>>& background,
                    const std::vector<std::vector<float>>& analysis, const std::vector<float>& truth) const {
    const auto write = [&](const char* what, const std::vector<std::vector<float>>& members) {
      write_mean_fields(
          directory_ / fmt::format("{}_{}.nc", what, compact(time)), fields_, time, members,
          fmt::format("Zonda {} of the cycle {}: mean of {} members", what, analysis_.label(), members.size()),
          analysis_.method);
    };
    write("analysis", analysis);
    if (time != times_.back()) return;
    // Maps of increments and errors need these as well.
    write("background", background);
    if (!truth.empty()) write("truth", {truth});
  }

  void stop_if_asked() {
    std::int64_t signal = stop_requested().value_or(0);
    communicator_.all_reduce(std::span(&signal, 1), parallel::Reduction::max).wait();
    if (signal != 0)
      throw Interrupted(
          static_cast<int>(signal),
          fmt::format("cycle stopped on signal {} after {}; it goes on from there", signal, to_string(times_[next_])));
  }

  const CycleConfig& config_;
  const AnalysisConfig& analysis_;
  std::shared_ptr<Vector> mean_error_;  ///< of a step; empty: none is taken off
  AtmosphereModel model_;
  parallel::Communicator communicator_;
  fs::path directory_;
  std::vector<Time> times_;
  std::string identity_;
  MemberFiles files_;
  CycleLog log_;
  FeedbackFiles feedback_;
  std::unique_ptr<AnalysisMethod> method_;
  ObservationStream stream_;
  std::unique_ptr<Truth> nature_;
  PressureFields fields_;
  Ensemble ensemble_;
  std::optional<IncrementTaper> taper_;
  std::optional<AdditiveInflation> additive_;
  std::optional<SpectrumGate> gate_;
  StationStatistics stations_;
  Vector window_start_;
  Time window_begin_{};
  std::string note_;
  std::size_t next_ = 0;
};

void make_directory(const parallel::Communicator& communicator, const fs::path& directory) {
  if (communicator.is_root()) fs::create_directories(directory);
  communicator.barrier();
}

void write_index(const CycleConfig& config, const CycleModel& model, const parallel::Communicator& communicator,
                 const fs::path& directory) {
  if (communicator.is_root()) {
    Json index{{"start", to_string(config.start)},
               {"end", to_string(config.end)},
               {"every_hours", std::chrono::duration<double, std::ratio<3600>>(config.every).count()},
               {"spin_up_hours", std::chrono::duration<double, std::ratio<3600>>(config.spin_up).count()},
               {"members", config.members},
               {"model", config.core ? "embedded atmosphere" : *config.network},
               {"identity", model.model.identity},
               {"grid", model.model.layout.grid.to_string()},
               {"channels", config.channels},
               {"analyses", Json::array()}};
    for (const AnalysisConfig& analysis : config.analyses)
      index["analyses"].push_back({{"name", analysis.label()}, {"method", analysis.method}});
    write_file(directory / "assimilation.json", index.dump(1) + "\n");
  }
  communicator.barrier();
}

CycleConfig without_step_taper(CycleConfig config) {
  config.step_taper.reset();
  return config;
}

}  // namespace

void run_cycle(const CycleConfig& config, const parallel::Communicator& communicator, const fs::path& directory,
               bool resume) {
  const CycleModel model = open_cycle_model(config, communicator);
  for (const AnalysisConfig& analysis : config.analyses) {
    make_directory(communicator, directory / analysis.label());
    const auto run = [&](const CycleConfig& its, const CycleModel& its_model) {
      Cycle(config, analysis, shared_as_wanted(its, analysis, its_model, communicator), communicator,
            directory / analysis.label())
          .run(resume);
    };
    if (analysis.step_taper || !config.step_taper) {
      run(config, model);
    } else {
      const CycleConfig plain = without_step_taper(config);
      run(plain, open_cycle_model(plain, communicator));
    }
  }
  write_index(config, model, communicator, directory);
}

void run_single_analysis(const CycleConfig& config, const parallel::Communicator& communicator,
                         const fs::path& background, const fs::path& directory) {
  CycleConfig single = config;
  single.end = single.start;
  single.analyses.resize(1);
  single.spin_up = Duration{0};
  if (!single.analyses[0].step_taper) single.step_taper.reset();
  if (!background.empty()) single.initial.from = background.string();
  const CycleModel model =
      shared_as_wanted(single, single.analyses[0], open_cycle_model(single, communicator), communicator);
  make_directory(communicator, directory / single.analyses[0].label());
  Cycle(single, single.analyses[0], model, communicator, directory / single.analyses[0].label()).run(false);
  write_index(single, model, communicator, directory);
}

}  // namespace zonda::assimilation
