#include "model/training/train.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/checksum.hpp"
#include "core/config/table.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/philox.hpp"
#include "core/progress.hpp"
#include "core/provenance.hpp"
#include "core/signals.hpp"
#include "ingest/archive/archive_reader.hpp"
#include "model/forecast_state/forecast_model.hpp"
#include "model/forecast_state/layout_network.hpp"
#include "model/network/adapter.hpp"
#include "model/ops/optimiser.hpp"
#include "model/training/archive_layout.hpp"
#include "model/training/channel_weights.hpp"
#include "model/training/checkpoint.hpp"
#include "model/training/event_file.hpp"
#include "model/training/exchange_levels.hpp"
#include "model/training/metrics_log.hpp"
#include "model/training/outlier_guard.hpp"
#include "model/training/replay.hpp"
#include "model/training/schedule.hpp"
#include "model/training/training_mesh.hpp"
#include "model/training/training_phase.hpp"
#include "model/training/training_step.hpp"
#include "model/training/validation.hpp"
#include "parallel/faults/step_times.hpp"
#include "parallel/layout/mesh.hpp"
#include "parallel/together.hpp"
#include "parallel/trace/trace.hpp"

namespace zonda::model {
namespace {

using nlohmann::json;
using parallel::Communicator;
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// All keys but those that cannot change the result.
json result_keys(const TrainConfig& config, const ForecastLayout& layout) {
  json keys = json(config::dump(config));
  for (const char* neutral : {"checkpoint", "reader_threads", "read_ahead", "cache", "memory", "device", "mesh", "zero",
                              "trace", "replay_check", "ranks_per_node"})
    keys.erase(neutral);
  keys["network"].erase("recompute");
  if (!config.network.merged_response) keys["network"].erase("merged_response");
  keys["model"] = layout.to_json();
  return keys;
}

constexpr const char* replay_tensor = "replay";
constexpr double straggling = 1.5;  // times the median step

class Training {
 public:
  Training(const TrainConfig& config, const Communicator& communicator, const fs::path& archive_dir,
           const fs::path& directory)
      : config_(config),
        trace_(config.trace ? std::make_shared<parallel::Trace>() : nullptr),
        communicator_(trace_ ? parallel::traced(communicator, trace_) : communicator),
        mesh_(communicator_, parallel::parse_mesh(config.mesh, communicator.size())),
        ranks_(in_levels(training_ranks(mesh_), mesh_.shape(),
                         config.ranks_per_node > 0 ? config.ranks_per_node : parallel::ranks_per_node(communicator_))),
        directory_(directory),
        archive_(archive_dir),
        layout_(prepared(layout_of_training(config, archive_), config)),
        phases_(phases_of(config, layout_.steps)),
        periods_(periods_of(config, archive_.statistics())),
        network_(network_of_layout(config.network, layout_, make_backend(chosen_backend(config)),
                                   sharding_of(ranks_, training_chunks(config, layout_.grid)))),
        step_(layout_, network_.slab().image_rows()),
        parameters_(network_, ranks_, config.zero, config.reduction == "fast"),
        identity_{archive_.identity(), result_keys(config, layout_)},
        checkpoints_(directory, identity_, config.checkpoint, communicator_,
                     {{"mesh", to_string(mesh_.shape())}, {"zero", config.zero}}),
        cache_(archive_, layout_, static_cast<std::size_t>(config.cache), step_.rows()),
        options_{config.loss == "mae" ? LossKind::absolute : LossKind::squared,
                 config.members,
                 channel_weights(layout_.channels, config.channel_weights),
                 {config.input_noise, config.roll_longitude, config.seed}},
        guard_(config.outlier) {
    if (trace_) network_.observe_work(work_rows(*trace_));
    for (const TrainingPhase& phase : phases_)
      if (config.zero > 1 || ranks_.slabs.size() > 1 || ranks_.stages.size() > 1) check_shares(phase);
  }

  TrainSummary run(bool resume) {
    TrainSummary summary;
    summary.model = directory_ / "model";
    summary.parameters = network_.parameters().whole_count();
    if (finished(summary)) return summary;
    start(resume);
    choose_recompute();
    log::info("training {} parameters on {} ({} channels), {} to {}, {} rank(s), on {}, the trunk in {}",
              network_.parameters().whole_count(), layout_.grid.to_string(), layout_.channels.size(),
              to_string(periods_.first), to_string(periods_.last), communicator_.size(), network_.backend().name(),
              name_of(network_.trunk()));
    if (communicator_.size() > 1)
      log::info("mesh {}, zero {}, sums over {} chunks of latitude", to_string(mesh_.shape()), config_.zero,
                network_.slab().chunks());
    const Validation validation(archive_, step_, cache_, config_.validation, {config_.validation.lead},
                                periods_.validation_first, periods_.validation_last, options_);
    std::optional<Validation> curve;
    if (!config_.validation.curve.empty())
      curve.emplace(archive_, step_, cache_, config_.validation, config_.validation.curve, periods_.validation_first,
                    periods_.validation_last, options_);
    {
      Progress progress("train", total_steps(config_), "step", position_.step);
      for (; position_.phase < static_cast<int>(phases_.size()); ++position_.phase, position_.phase_step = 0) {
        const TrainingPhase& phase = phases_[static_cast<std::size_t>(position_.phase)];
        begin_phase(phase);
        run_phase(phase, validation, progress, summary);
        if (curve) draw_curve(*curve, phase);
      }
      progress.finish(fmt::format("loss {:.4f}", summary.loss));
    }
    finish(validation, summary);
    return summary;
  }

 private:
  static ForecastLayout prepared(ForecastLayout layout, const TrainConfig& config) {
    // Leads at which a step begins in training are known to the model.
    for (const TrainingPhase& phase : phases_of(config, layout.steps))
      layout.trained_lead = std::max(layout.trained_lead, phase.longest_lead_steps(config) * phase.step_lengths.back());
    return layout;
  }

  /// Ranks that wait for each other within a step must all have the same to do.
  void check_shares(const TrainingPhase& phase) const {
    const int terms = phase.batch / config_.micro_batch, data = ranks_.data.size();
    if (terms % data != 0)
      fail(ErrorKind::usage,
           "train: {} micro-batches of {} samples (phase {}) for {} data ranks: with zero 2 and 3, with slabs and with "
           "stages, every rank needs as many",
           terms, config_.micro_batch, phase.name, data);
  }

  /// Runs `work` on rank 0, or on every rank; an error there is everybody's.
  template <class Work>
  void on_root(Work&& work) {
    on_all([&] {
      if (communicator_.is_root()) work();
    });
  }
  template <class Work>
  void on_all(Work&& work) {
    parallel::together(communicator_, std::forward<Work>(work));
  }

  void choose_recompute() {
    const ingest::Statistics& statistics = archive_.statistics();
    const TrainPlan plan =
        plan_train(config_,
                   ArchiveShape{archive_.grid(), archive_.channels(), archive_.static_channels().size(),
                                archive_.times(), statistics.first, statistics.last},
                   communicator_.size());
    const double needed = 1e-9 * static_cast<double>(plan.memory_bytes()),
                 there = 1e-9 * static_cast<double>(plan.memory_limit);
    if (!plan.fits && config_.memory)
      fail(ErrorKind::usage, "train.memory: {:.3g} GB; training needs {:.3g} GB, with {} computed again", there, needed,
           plan.recompute.to_string());
    if (!plan.fits) log::warning("training needs {:.3g} GB, this machine has {:.3g} GB", needed, there);
    // Machines may differ; what travels between ranks must not.
    std::array<int, 2> again{plan.recompute.blocks, plan.recompute.mlps};
    communicator_.broadcast(std::as_writable_bytes(std::span(again)), 0).wait();
    network_.set_recompute({again[0], again[1]});
    log::info("{:.3g} GB planned, {} computed again in the backward pass", needed, plan.recompute.to_string());
  }

  bool finished(TrainSummary& summary) {
    if (!fs::exists(directory_ / "model")) return false;
    const json header = describe_model(directory_ / "model");
    const json& training = header.at("training");
    if (training.at("configuration") != identity_.hash())
      fail(ErrorKind::usage,
           "{}: was trained on archive {} with another configuration or archive than this one ({}); move the folder "
           "away, or "
           "train into another directory",
           summary.model.string(), training.at("archive").get<std::string>().substr(0, 16),
           identity_.archive.substr(0, 16));
    load_model(directory_ / "model");  // every checksum is compared
    summary.steps = training.at("steps").get<std::int64_t>();
    summary.nothing_to_do = true;
    log::info("{}: trained already ({} steps); nothing to do", summary.model.string(), summary.steps);
    return true;
  }

  void start(bool resume) {
    std::int64_t from = -1;
    on_root([&] {
      fs::create_directories(directory_);
      clear_temporary(directory_);
      if (!resume && !list_checkpoints(directory_).empty())
        fail(ErrorKind::usage,
             "{}: holds checkpoints of an unfinished run; continue it with --resume, or use another directory",
             directory_.string());
      from = newest_checkpoint(directory_).value_or(-1);
      if (from >= 0) settle_checkpoints(directory_, from, config_.checkpoint);
    });
    communicator_.broadcast(std::as_writable_bytes(std::span(&from, 1)), 0).wait();
    ParameterStore& store = network_.parameters();
    if (from < 0) {
      parameters_.initialise(config_.seed);
      if (config_.start_from)
        on_all([&] {
          for (const ArenaRange range : parameters_.held())
            read_model_weights(*config_.start_from, store, range.first, range.count);
        });
    } else {
      network_.allocate();
    }
    parameters_.allocate(from >= 0);
    on_all([&] {
      if (from < 0) return;
      position_ = read_checkpoint(directory_, from, identity_, store, parameters_.held(), parameters_.own());
      guard_.from_json(position_.guard);
      // Stopped between the last checkpoint and the model file: the last validation is in the metrics already.
      complete_ = position_.phase >= static_cast<int>(phases_.size());
    });
    if (from >= 0) log::info("continuing from {}", (directory_ / fmt::format("step-{}", from)).string());
    on_root([&] {
      metrics_ = std::make_unique<MetricsLog>(directory_ / "metrics.jsonl", position_.metrics_bytes);
      events_ =
          std::make_unique<EventFile>(directory_ / "events" / "events.out.tfevents.0.zonda", position_.events_bytes);
      timing_ = std::make_unique<MetricsLog>(
          directory_ / "timing.jsonl",
          fs::exists(directory_ / "timing.jsonl") ? fs::file_size(directory_ / "timing.jsonl") : 0);
    });
  }

  void begin_phase(const TrainingPhase& phase) {
    ParameterStore& store = network_.parameters();
    const bool adapters = phase.kind == PhaseKind::adapters;
    store.freeze([](std::string_view) { return true; }, false);
    network_.set_adapters(adapters);
    if (!adapters) {
      if (config_.freeze == "lifted") network_.freeze_lifted();
      store.freeze(is_adapter);
      return;
    }
    network_.freeze_base();
    if (position_.phase_step > 0) return;
    parameters_.take_average();  // the base that stays is the averaged one
  }

  /// What the replay phase carries from step to step.
  struct Replay {
    ReplaySchedule schedule;
    ReplayBuffer buffer;
    std::size_t first_sample = 0;
  };
  std::shared_ptr<Replay> start_replay(const TrainingPhase& phase, const Sampler& sampler, const TrainingStep& step) {
    if (phase.kind != PhaseKind::replay) return nullptr;
    const ReplayConfig& c = *config_.replay;
    const std::vector<Example> examples =
        examples_within(archive_.times(), periods_.first, periods_.last, phase.step_lengths, 1);
    const SampleRange range{step.first_sample(), step.samples(), static_cast<std::uint64_t>(phase.batch)};
    auto replay = std::make_shared<Replay>(
        Replay{ReplaySchedule(sampler, examples, archive_.times(), config_.seed, phase.steps, range, c.entries,
                              c.lead_steps, c.share),
               ReplayBuffer(step.samples(), c.entries, layout_.output_channels() * step_.points())});
    replay->first_sample = step.first_sample();
    on_all([&] {
      if (position_.phase_step == 0) return;
      for (const auto& [first, place] : replay_pieces(*replay))
        read_checkpoint_numbers(directory_, position_.step, replay_tensor, first,
                                replay->buffer.values().subspan(place.begin, place.size()));
    });
    return replay;
  }

  /// What of the replay states of all ranks, [batch, entry, 2, channel, lat, lon], this one has: its first number among
  /// all, and where it is here.
  std::vector<std::pair<std::size_t, parallel::Range>> replay_pieces(const Replay& replay) const {
    const std::size_t nlon = layout_.grid.nlon(), nlat = layout_.grid.nlat(), here = step_.points();
    const std::size_t fields = replay.buffer.values().size() / here;
    const std::size_t first_field =
        replay.first_sample * (replay.buffer.sample_size() / here);  // samples have as many fields each
    std::vector<std::pair<std::size_t, parallel::Range>> pieces;
    if (here == layout_.points()) return {{first_field * here, {0, fields * here}}};
    for (std::size_t f = 0; f < fields; ++f)
      pieces.push_back({((first_field + f) * nlat + step_.rows().begin) * nlon, {f * here, (f + 1) * here}});
    return pieces;
  }

  void run_phase(const TrainingPhase& phase, const Validation& validation, Progress& progress, TrainSummary& summary) {
    if (position_.phase_step >= phase.steps) return;
    TrainingStep training_step(network_, step_, ranks_.data, options_, phase.batch, config_.micro_batch,
                               phase.unrolling, phase.kind == PhaseKind::replay, &parameters_);
    const Sampler sampler(phase_examples(config_, archive_.times(), periods_, phase), config_.seed, phase.name);
    log::info("phase {}: {} steps of batch {}, {} examples", phase.name, phase.steps, phase.batch, sampler.size());
    replay_ = start_replay(phase, sampler, training_step);
    const auto batch = static_cast<std::uint64_t>(phase.batch);
    const auto examples = [&, replay = replay_](std::int64_t step) {
      if (replay) return replay->schedule.examples(step);
      std::vector<Example> mine;
      for (std::size_t s = 0; s < training_step.samples(); ++s)
        mine.push_back(sampler.at(static_cast<std::uint64_t>(step) * batch + training_step.first_sample() + s));
      return mine;
    };
    BatchLoader loader(archive_, layout_, cache_, examples, phase.unrolling.count, position_.phase_step, phase.steps,
                       config_.reader_threads, config_.read_ahead);
    const Clock::time_point begin = Clock::now();
    const std::int64_t first = position_.phase_step;
    const std::uint64_t read_before = cache_.bytes_read();
    const double waited_first = parallel::seconds_waited();
    while (position_.phase_step < phase.steps) {
      const double share = progress_of(phase);
      if (share >= 1) break;
      const Clock::time_point step_begin = Clock::now();
      const double waited_before = parallel::seconds_waited();
      take_step(phase, share, loader, training_step, summary);
      if (phase.seconds) {
        // Every rank must follow the same clock.
        position_.seconds += seconds_since(step_begin);
        communicator_.broadcast(std::as_writable_bytes(std::span(&position_.seconds, 1)), 0).wait();
      }
      const double rate = static_cast<double>(position_.phase_step - first) / seconds_since(begin);
      progress.update(position_.step,
                      fmt::format("loss {:.4f}  rate {:.2e}  {:.2f} step/s", summary.loss, learning_rate_, rate));
      const bool last = position_.phase_step >= phase.steps || progress_of(phase) >= 1;
      if (config_.validation.every > 0 && position_.step % config_.validation.every == 0 && !last) validate(validation);
      if (position_.phase_step % 10 == 0 || last)
        record_times({{"step", position_.step},
                      {"seconds", seconds_since(begin)},
                      {"steps_per_second", rate},
                      {"waited_for_data", loader.seconds_waited()},
                      {"bytes_read", cache_.bytes_read() - read_before}},
                     seconds_since(step_begin), parallel::seconds_waited() - waited_before);
      look_around();
      if (position_.step % config_.checkpoint.every == 0 && !last) save();
    }
    const double seconds = seconds_since(begin);
    log::info("phase {}: {} steps in {:.1f} s ({:.2f} step/s); read {:.1f} MB ({:.1f} MB/s), waited {:.2f} s for data",
              phase.name, position_.phase_step - first, seconds,
              static_cast<double>(position_.phase_step - first) / seconds,
              static_cast<double>(cache_.bytes_read() - read_before) * 1e-6,
              static_cast<double>(cache_.bytes_read() - read_before) * 1e-6 / seconds, loader.seconds_waited());
    if (communicator_.size() > 1)
      log::info("phase {}: {:.2f} s of {:.2f} s waited for other ranks", phase.name,
                parallel::seconds_waited() - waited_first, seconds);
    replay_.reset();
  }

  double progress_of(const TrainingPhase& phase) const {
    const double by_steps = static_cast<double>(position_.phase_step) / static_cast<double>(phase.steps);
    return phase.seconds ? std::max(by_steps, position_.seconds / *phase.seconds) : by_steps;
  }

  void take_step(const TrainingPhase& phase, double share, BatchLoader& loader, TrainingStep& training_step,
                 TrainSummary& summary) {
    const Batch* batch = nullptr;
    int kind = 0;
    std::string message;
    try {
      batch = &loader.next();
    } catch (const Error& error) {
      kind = error.exit_code();
      message = error.what();
    }
    communicator_.agree(kind, message);
    const std::int64_t number = position_.step + 1;
    const std::uint64_t sample =
        static_cast<std::uint64_t>(position_.phase_step) * static_cast<std::uint64_t>(phase.batch) +
        training_step.first_sample();
    StepVariant variant;
    std::vector<SampleStart> starts;
    if (phase.kind == PhaseKind::adapters)
      variant.lead_steps = static_cast<int>(Philox(config_.seed, "lead of an adapter step")
                                                .integer(static_cast<std::uint64_t>(position_.phase_step),
                                                         static_cast<std::uint64_t>(phase.unrolling.count)));
    if (replay_) {
      const std::span<const ReplayDraw> draws = replay_->schedule.at(position_.phase_step);
      starts = replay_->buffer.starts(draws);
      variant.starts = starts;
      variant.predicted = [this, draws, batch](std::size_t s, std::span<const float> state) {
        replay_->buffer.keep(s, draws[s], *batch, state);
      };
    }
    std::vector<std::uint32_t> first_hashes;
    if (config_.replay_check > 0 && number % config_.replay_check == 0) {
      StepVariant alone = variant;
      alone.predicted = nullptr;  // kept once
      training_step.gradient(*batch, sample, archive_.times(), number, alone);
      first_hashes = parameters_.gradient_hashes();
    }
    summary.loss = training_step.gradient(*batch, sample, archive_.times(), number, variant);
    if (!first_hashes.empty()) compare_hashes(number, first_hashes);
    const double norm = parameters_.gradient_norm();
    if (!std::isfinite(norm)) fail(ErrorKind::numerical, "training: the gradient of step {} is not finite", number);
    learning_rate_ = phase.schedule.rate(position_.phase_step, share);
    json line = {
        {"step", number}, {"phase", phase.name}, {"loss", summary.loss}, {"lr", learning_rate_}, {"grad_norm", norm}};
    if (const std::string reason = guard_.judge(summary.loss, norm); !reason.empty()) {
      log::warning("step {} left out: {}", number, reason);
      line["skipped"] = true;
    } else {
      const double scale = config_.clip > 0 && norm > config_.clip ? config_.clip / norm : 1.0;
      ++position_.updates;
      parameters_.update({.learning_rate = learning_rate_,
                          .beta1 = config_.beta1,
                          .beta2 = config_.beta2,
                          .epsilon = config_.epsilon,
                          .weight_decay = config_.weight_decay,
                          .gradient_scale = scale},
                         position_.updates, average_decay(config_.ema_decay, position_.updates));
    }
    ++position_.step;
    ++position_.phase_step;
    record(line);
  }

  void record(const json& line) {
    if (!metrics_) return;
    metrics_->write(line);
    events_->write(line);
  }

  /// With the averaged weights.
  ValidationScores scores_of(const Validation& validation) {
    const int together = config_.micro_batch * config_.members;
    network_.plan(together, Use::training);
    parameters_.swap_average();
    ValidationScores scores = validation.run(network_, ranks_.data, together);
    parameters_.swap_average();
    return scores;
  }

  void draw_curve(const Validation& curve, const TrainingPhase& phase) {
    const ValidationScores scores = scores_of(curve);
    for (std::size_t i = 0; i < scores.leads.size(); ++i)
      log::info("after phase {}: RMSE of {} at {} {:.4g} ({:.2f} of persistence)", phase.name, scores.channels[0],
                to_string(scores.leads[i]), scores.rmse[i][0],
                scores.persistence[i][0] > 0 ? scores.rmse[i][0] / scores.persistence[i][0] : 0.0);
    record({{"step", position_.step}, {"phase", phase.name}, {"curve", curve_to_json(scores)}});
  }

  ValidationScores validate(const Validation& validation) {
    const ValidationScores scores = scores_of(validation);
    std::string text;
    for (std::size_t c = 0; c < scores.channels.size(); ++c)
      text += fmt::format("  {} {:.4g} ({:.2f} of persistence)", scores.channels[c], scores.rmse[0][c],
                          scores.persistence[0][c] > 0 ? scores.rmse[0][c] / scores.persistence[0][c] : 0.0);
    log::info("step {}: validation loss {:.4f}; RMSE at {}:{}", position_.step, scores.loss,
              to_string(config_.validation.lead), text);
    record({{"step", position_.step},
            {"validation", to_json(scores)},
            {"lead_hours", static_cast<double>(config_.validation.lead.count()) / 3600}});
    return scores;
  }

  /// Begins a checkpoint; it is there some steps later.
  void save() {
    const std::unique_ptr<parallel::Trace::Scope> row = checkpoint_row("copy");
    compare_replicas();
    std::vector<TensorShape> more;
    CheckpointParts of_parameters = checkpoint_parts(network_.parameters(), parameters_.written(), ranks_.heads);
    std::vector<CheckpointPart>& parts = of_parameters.list;
    if (replay_) {
      const TrainingPhase& phase = phases_[static_cast<std::size_t>(position_.phase)];
      const auto fields = replay_->buffer.sample_size() / step_.points();
      const std::size_t tensor = checkpoint_shapes(network_.parameters()).size();
      more.push_back(
          {replay_tensor, {static_cast<std::size_t>(phase.batch), fields, layout_.grid.nlat(), layout_.grid.nlon()}});
      if (ranks_.heads.is_root() && ranks_.stages.is_root())
        for (const auto& [first, place] : replay_pieces(*replay_))
          parts.push_back({tensor, first,
                           Tensor::of(replay_->buffer.values().subspan(place.begin, place.size()),
                                      {static_cast<std::int64_t>(place.size())})});
    }
    on_root([&] {
      position_.guard = guard_.to_json();
      position_.metrics_bytes = metrics_->length();
      position_.events_bytes = events_->length();
    });
    std::vector<fs::path> logs;
    if (metrics_) logs = {metrics_->path(), events_->path()};
    checkpoints_.begin(position_, checkpoint_shapes(network_.parameters(), more), parts, network_.parameters().memory(),
                       std::move(logs));
  }

  void complete_save(bool required) {
    while (checkpoints_.pending()) continue_save(required);
  }

  /// Waits for what is under way, and begins what comes next.
  void continue_save(bool required) {
    if (!checkpoints_.pending()) return;
    const std::unique_ptr<parallel::Trace::Scope> row = checkpoint_row("go on");
    checkpoints_.proceed(required);
    if (timing_ && !checkpoints_.pending())
      timing_->write({{"checkpoint", checkpoints_.step()},
                      {"stalled", checkpoints_.seconds_stalled()},
                      {"written_in", checkpoints_.seconds_written()},
                      {"bytes", checkpoints_.bytes()}});
  }

  /// Between steps: a signal, a checkpoint that is written by now.
  void look_around() {
    std::array<std::int64_t, 2> flags{stop_requested().value_or(0), checkpoints_.working() ? 1 : 0};
    communicator_.all_reduce(std::span(flags), parallel::Reduction::max).wait();
    if (flags[1] == 0) continue_save(false);
    if (flags[0] == 0) return;
    complete_save(false);
    save();
    complete_save(true);
    throw Interrupted(
        static_cast<int>(flags[0]),
        fmt::format("training stopped by signal {} after step {}; continue with --resume", flags[0], position_.step));
  }

  /// What ranks hold in common must be the same bits; where it is not, some memory has erred.
  void compare_replicas() {
    if (!parameters_.heads_agree())
      fail(ErrorKind::temporary,
           "step {}: ranks that share heads hold other weights where all hold the same: memory was corrupted; continue "
           "from the last checkpoint with --resume",
           position_.step);
    std::vector<int> wrong = parameters_.ranks_that_differ();
    if (wrong.empty()) return;
    for (int& number : wrong) number = rank_of_number(mesh_, number);
    fail(ErrorKind::temporary,
         "step {}: rank(s) {} hold other weights than the others: memory was corrupted; continue from the last "
         "checkpoint with --resume, without that machine",
         position_.step, fmt::join(wrong, ", "));
  }

  void compare_hashes(std::int64_t number, const std::vector<std::uint32_t>& before) {
    const std::vector<std::uint32_t> now = parameters_.gradient_hashes();
    for (std::size_t rank = 0; rank < now.size(); ++rank)
      if (now[rank] != before[rank])
        fail(ErrorKind::temporary,
             "step {} computed twice: the gradient's share of rank {} differs ({:08x}, then {:08x}): a processor or "
             "memory errs; continue from the last checkpoint with --resume, without that machine",
             number, rank_of_number(mesh_, static_cast<int>(rank)), before[rank], now[rank]);
  }

  /// A line of timing.jsonl with the time each rank worked in the last step, without waiting for others; a rank that
  /// holds them up is named.
  void record_times(json line, double seconds, double waited) {
    if (communicator_.size() > 1) {
      const parallel::StepTimes times = parallel::gather_step_times(communicator_, seconds - waited);
      line["work_in_step"] = times.seconds;
      line["waited_in_step"] = waited;
      if (communicator_.is_root() && !times.stragglers(straggling).empty())
        log::warning("step {}: {}", position_.step, times.text());
    }
    if (timing_) timing_->write(line);
  }

  /// In the trace: work on a layer.
  static WorkObserver work_rows(parallel::Trace& trace) {
    return [&trace, began = 0.0](const std::string& layer, const char* what, bool begins) mutable {
      if (begins)
        began = trace.now();
      else
        trace.add({fmt::format("{}: {}", layer, what), "compute", began, trace.now(), 0});
    };
  }

  /// In the trace: while a checkpoint holds the steps up.
  std::unique_ptr<parallel::Trace::Scope> checkpoint_row(const char* part) const {
    if (!trace_) return nullptr;
    return std::make_unique<parallel::Trace::Scope>(*trace_, fmt::format("checkpoint: {}", part), "checkpoint");
  }

  void write_trace() {
    if (!trace_) return;
    on_root([&] { fs::create_directories(directory_ / "trace"); });
    on_all([&] {
      trace_->write(directory_ / "trace" / fmt::format("rank-{}.json", communicator_.rank()), communicator_.rank());
    });
  }

  void finish(const Validation& validation, TrainSummary& summary) {
    summary.steps = position_.step;
    complete_save(false);
    if (!complete_) {
      summary.validation_loss = validate(validation).loss;
      save();
      complete_save(true);
    }
    on_root([&] {
      metrics_->sync();
      events_->sync();
    });
    write_trace();
    write_averaged_model(summary.model);
  }

  /// Rank 0 writes it, and gets the weights bucket by bucket.
  void write_averaged_model(const fs::path& path) {
    std::unique_ptr<ModelWriter> writer;
    int kind = 0;
    std::string message;
    const auto on_writer = [&](auto&& work) {
      if (communicator_.is_root() && kind == 0) try {
          work();
        } catch (const Error& error) {
          kind = error.exit_code();
          message = error.what();
        }
    };
    on_writer([&] {
      writer = std::make_unique<ModelWriter>(path, layout_, network_,
                                             ModelOrigin{.training_steps = position_.step,
                                                         .training_start = periods_.first,
                                                         .training_end = periods_.last,
                                                         .archive_identity = archive_.identity(),
                                                         .configuration_hash = identity_.hash(),
                                                         .licence = config_.licence});
    });
    std::vector<std::vector<float>> weights;
    for (std::size_t b = 0; b < network_.buckets().size(); ++b) {
      parameters_.gather_to_root(network_.parameters().average(), b, weights);
      on_writer([&] { writer->write(network_.buckets()[b].first, weights); });
    }
    on_writer([&] { writer->commit(); });
    communicator_.agree(kind, message);
  }

  const TrainConfig& config_;
  const std::shared_ptr<parallel::Trace> trace_;
  const Communicator communicator_;
  const parallel::Mesh mesh_;
  const TrainingRanks ranks_;
  const fs::path directory_;
  const ingest::ArchiveReader archive_;
  const ForecastLayout layout_;
  const std::vector<TrainingPhase> phases_;
  const TrainingPeriods periods_;
  ForecastNetwork network_;
  const ForecastStep step_;
  ShardedParameters parameters_;
  const TrainingIdentity identity_;
  CheckpointWriter checkpoints_;
  FieldCache cache_;
  const StepOptions options_;
  OutlierGuard guard_;
  TrainingPosition position_;
  double learning_rate_ = 0;
  bool complete_ = false;
  std::unique_ptr<MetricsLog> metrics_, timing_;  // rank 0
  std::unique_ptr<EventFile> events_;             // rank 0
  std::shared_ptr<Replay> replay_;                // in the replay phase
};

}  // namespace

TrainSummary run_train(const TrainConfig& config, const Communicator& communicator, const fs::path& archive_dir,
                       const fs::path& checkpoint_dir, bool resume) {
  return Training(config, communicator, archive_dir, checkpoint_dir).run(resume);
}

}  // namespace zonda::model
