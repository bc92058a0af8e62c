#include "model/training/train.hpp"

#include <algorithm>
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
#include "model/training/metrics_log.hpp"
#include "model/training/outlier_guard.hpp"
#include "model/training/replay.hpp"
#include "model/training/schedule.hpp"
#include "model/training/training_phase.hpp"
#include "model/training/training_step.hpp"
#include "model/training/validation.hpp"
#include "parallel/partition.hpp"

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
  for (const char* neutral : {"checkpoint", "reader_threads", "read_ahead", "cache", "memory", "device"})
    keys.erase(neutral);
  keys["network"].erase("recompute");
  keys["model"] = layout.to_json();
  return keys;
}

constexpr const char* replay_tensor = "replay";

class Training {
 public:
  Training(const TrainConfig& config, const Communicator& communicator, const fs::path& archive_dir,
           const fs::path& directory)
      : config_(config),
        communicator_(communicator),
        directory_(directory),
        archive_(archive_dir),
        layout_(layout_of_training(config, archive_)),
        step_(prepared(layout_, config)),
        phases_(phases_of(config, layout_.steps)),
        periods_(periods_of(config, archive_.statistics())),
        network_(network_of_layout(config.network, layout_, make_backend(chosen_backend(config)))),
        identity_{archive_.identity(), result_keys(config, layout_)},
        cache_(archive_, layout_, static_cast<std::size_t>(config.cache)),
        options_{config.loss == "mae" ? LossKind::absolute : LossKind::squared,
                 config.members,
                 channel_weights(layout_.channels, config.channel_weights),
                 {config.input_noise, config.roll_longitude, config.seed}},
        guard_(config.outlier) {}

  TrainSummary run(bool resume) {
    TrainSummary summary;
    summary.model = directory_ / "model";
    summary.parameters = network_.parameter_count();
    if (finished(summary)) return summary;
    start(resume);
    choose_recompute();
    log::info("training {} parameters on {} ({} channels), {} to {}, {} rank(s), on {}, the trunk in {}",
              network_.parameter_count(), layout_.grid.to_string(), layout_.channels.size(), to_string(periods_.first),
              to_string(periods_.last), communicator_.size(), network_.backend().name(), name_of(network_.trunk()));
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
  static const ForecastLayout& prepared(ForecastLayout& layout, const TrainConfig& config) {
    // Leads at which a step begins in training are known to the model.
    for (const TrainingPhase& phase : phases_of(config, layout.steps))
      layout.trained_lead = std::max(layout.trained_lead, phase.longest_lead_steps(config) * phase.step_lengths.back());
    return layout;
  }

  /// Runs `work` on rank 0, or on every rank; an Error there is everybody's.
  template <class Work>
  void on_root(Work&& work) {
    agreed(communicator_.is_root(), std::forward<Work>(work));
  }
  template <class Work>
  void on_all(Work&& work) {
    agreed(true, std::forward<Work>(work));
  }
  template <class Work>
  void agreed(bool here, Work&& work) {
    int kind = 0;
    std::string message;
    if (here) try {
        work();
      } catch (const Error& error) {
        kind = error.exit_code();
        message = error.what();
      }
    communicator_.agree(kind, message);
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
    network_.set_recompute(plan.recompute);
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
    });
    communicator_.broadcast(std::as_writable_bytes(std::span(&from, 1)), 0).wait();
    ParameterStore& store = network_.parameters();
    network_.initialise(config_.seed);
    if (config_.start_from && from < 0) on_all([&] { read_model_weights(*config_.start_from, store); });
    store.allocate_gradients();
    store.allocate_optimiser(true);
    on_all([&] {
      if (from < 0) return;
      position_ = read_checkpoint(directory_, from, identity_, store);
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
    // The base that stays is the averaged one.
    store.memory().copy(store.values().data, store.average().data, store.average().bytes());
    store.values_changed();
  }

  /// What the replay phase carries from step to step.
  struct Replay {
    ReplaySchedule schedule;
    ReplayBuffer buffer;
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
               ReplayBuffer(step.samples(), c.entries, layout_.output_channels() * layout_.points())});
    on_all([&] {
      if (position_.phase_step > 0)
        read_checkpoint_rows(directory_, position_.step, replay_tensor, step.first_sample(), step.samples(),
                             replay->buffer.values());
    });
    return replay;
  }

  void run_phase(const TrainingPhase& phase, const Validation& validation, Progress& progress, TrainSummary& summary) {
    if (position_.phase_step >= phase.steps) return;
    TrainingStep training_step(network_, step_, communicator_, options_, phase.batch, config_.micro_batch,
                               phase.unrolling, phase.kind == PhaseKind::replay);
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
    while (position_.phase_step < phase.steps) {
      const double share = progress_of(phase);
      if (share >= 1) break;
      const Clock::time_point step_begin = Clock::now();
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
      if (timing_ && (position_.phase_step % 10 == 0 || last))
        timing_->write({{"step", position_.step},
                        {"seconds", seconds_since(begin)},
                        {"steps_per_second", rate},
                        {"waited_for_data", loader.seconds_waited()},
                        {"bytes_read", cache_.bytes_read() - read_before}});
      stop_if_asked();
      if (position_.step % config_.checkpoint.every == 0 && !last) save();
    }
    const double seconds = seconds_since(begin);
    log::info("phase {}: {} steps in {:.1f} s ({:.2f} step/s); read {:.1f} MB ({:.1f} MB/s), waited {:.2f} s for data",
              phase.name, position_.phase_step - first, seconds,
              static_cast<double>(position_.phase_step - first) / seconds,
              static_cast<double>(cache_.bytes_read() - read_before) * 1e-6,
              static_cast<double>(cache_.bytes_read() - read_before) * 1e-6 / seconds, loader.seconds_waited());
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
    ParameterStore& store = network_.parameters();
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
    summary.loss = training_step.gradient(*batch, sample, archive_.times(), number, variant);
    Backend* backend = &network_.backend();
    const double norm = gradient_norm(store, backend);
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
      adamw_step(store,
                 {.learning_rate = learning_rate_,
                  .beta1 = config_.beta1,
                  .beta2 = config_.beta2,
                  .epsilon = config_.epsilon,
                  .weight_decay = config_.weight_decay,
                  .gradient_scale = scale},
                 position_.updates, 0, -1, backend);
      average_update(store, average_decay(config_.ema_decay, position_.updates), backend);
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
    ParameterStore& store = network_.parameters();
    const int together = config_.micro_batch * config_.members;
    network_.plan(together, Use::training);
    store.swap_average();
    ValidationScores scores = validation.run(network_, communicator_, together);
    store.swap_average();
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

  /// The replay buffers of all ranks on rank 0, [batch, numbers of a sample].
  std::vector<float> gather_replay(const TrainingPhase& phase) {
    const std::size_t width = replay_->buffer.sample_size(), micro = static_cast<std::size_t>(config_.micro_batch);
    const auto ranks = static_cast<std::size_t>(communicator_.size());
    const std::size_t terms = static_cast<std::size_t>(phase.batch) / micro;
    const std::span<const float> mine = std::as_const(replay_->buffer).values();
    constexpr int tag = 71;
    if (!communicator_.is_root()) {
      communicator_.send(std::as_bytes(mine), 0, tag).wait();
      return {};
    }
    std::vector<float> all(mine.begin(), mine.end());
    all.resize(static_cast<std::size_t>(phase.batch) * width);
    for (std::size_t rank = 1; rank < ranks; ++rank) {
      const parallel::Range range = parallel::partition(terms, ranks, rank);
      const auto part = std::span(all).subspan(range.begin * micro * width, range.size() * micro * width);
      communicator_.receive(std::as_writable_bytes(part), static_cast<int>(rank), tag).wait();
    }
    return all;
  }

  void save() {
    std::vector<float> replayed;
    std::vector<NamedTensor> more;
    if (replay_) {
      const TrainingPhase& phase = phases_[static_cast<std::size_t>(position_.phase)];
      replayed = gather_replay(phase);
      more.push_back({replay_tensor, {static_cast<std::size_t>(phase.batch), replay_->buffer.sample_size()}, replayed});
    }
    on_root([&] {
      position_.guard = guard_.to_json();
      position_.metrics_bytes = metrics_->sync();
      position_.events_bytes = events_->sync();
      write_checkpoint(directory_, identity_, position_, network_.parameters(), more);
      prune_checkpoints(directory_, config_.checkpoint);
    });
  }

  void stop_if_asked() {
    std::int64_t signal = stop_requested().value_or(0);
    communicator_.all_reduce(std::span(&signal, 1), parallel::Reduction::max).wait();
    if (signal == 0) return;
    save();
    throw Interrupted(
        static_cast<int>(signal),
        fmt::format("training stopped by signal {} after step {}; continue with --resume", signal, position_.step));
  }

  void finish(const Validation& validation, TrainSummary& summary) {
    summary.steps = position_.step;
    if (!complete_) {
      summary.validation_loss = validate(validation).loss;
      save();
    }
    on_root([&] {
      metrics_->sync();
      events_->sync();
      write_model(summary.model, layout_, network_,
                  {.training_steps = position_.step,
                   .training_start = periods_.first,
                   .training_end = periods_.last,
                   .archive_identity = archive_.identity(),
                   .configuration_hash = identity_.hash(),
                   .licence = config_.licence},
                  true);
    });
  }

  const TrainConfig& config_;
  const Communicator& communicator_;
  const fs::path directory_;
  const ingest::ArchiveReader archive_;
  ForecastLayout layout_;
  const ForecastStep step_;
  const std::vector<TrainingPhase> phases_;
  const TrainingPeriods periods_;
  ForecastNetwork network_;
  const TrainingIdentity identity_;
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
