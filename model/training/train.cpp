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
#include "core/progress.hpp"
#include "core/provenance.hpp"
#include "core/signals.hpp"
#include "ingest/archive/archive_reader.hpp"
#include "model/forecast_state/forecast_model.hpp"
#include "model/forecast_state/layout_network.hpp"
#include "model/ops/optimiser.hpp"
#include "model/training/archive_layout.hpp"
#include "model/training/channel_weights.hpp"
#include "model/training/checkpoint.hpp"
#include "model/training/metrics_log.hpp"
#include "model/training/outlier_guard.hpp"
#include "model/training/schedule.hpp"
#include "model/training/training_phase.hpp"
#include "model/training/training_step.hpp"
#include "model/training/validation.hpp"

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
  for (const char* neutral : {"checkpoint", "reader_threads", "read_ahead", "cache"}) keys.erase(neutral);
  keys["model"] = layout.to_json();
  return keys;
}

class Training {
 public:
  Training(const TrainConfig& config, const Communicator& communicator, const fs::path& archive_dir,
           const fs::path& directory)
      : config_(config),
        communicator_(communicator),
        directory_(directory),
        archive_(archive_dir),
        layout_(layout_of_archive(archive_, config.steps_between, config.forcings,
                                  config.target == "state" ? Target::state : Target::tendency)),
        step_(prepared(layout_, config)),
        phases_(phases_of(config, layout_.steps)),
        periods_(periods_of(config, archive_.statistics())),
        network_(network_of_layout(config.network, layout_)),
        identity_{archive_.identity(), result_keys(config, layout_)},
        cache_(archive_, layout_, static_cast<std::size_t>(config.cache)),
        options_{config.loss == "mae" ? LossKind::absolute : LossKind::squared,
                 channel_weights(layout_.channels, config.channel_weights), config.input_noise, config.roll_longitude,
                 config.seed},
        guard_(config.outlier) {}

  TrainSummary run(bool resume) {
    TrainSummary summary;
    summary.model = directory_ / "model";
    summary.parameters = network_.parameter_count();
    if (finished(summary)) return summary;
    start(resume);
    log::info("training {} parameters on {} ({} channels), {} to {}, {} rank(s)", network_.parameter_count(),
              layout_.grid.to_string(), layout_.channels.size(), to_string(periods_.first), to_string(periods_.last),
              communicator_.size());
    const Validation validation(archive_, step_, cache_, config_.validation, periods_.validation_first,
                                periods_.validation_last, options_);
    {
      Progress progress("train", total_steps(config_), "step", position_.step);
      for (; position_.phase < static_cast<int>(phases_.size()); ++position_.phase, position_.phase_step = 0)
        run_phase(phases_[static_cast<std::size_t>(position_.phase)], validation, progress, summary);
      progress.finish(fmt::format("loss {:.4f}", summary.loss));
    }
    finish(validation, summary);
    return summary;
  }

 private:
  static const ForecastLayout& prepared(ForecastLayout& layout, const TrainConfig& config) {
    // A rollout starts its last step at (lead_steps - 1) d: leads up to there are known to the model.
    if (config.rollout) {
      Duration longest = layout.steps.back();
      if (!config.rollout->step_lengths.empty())
        longest = *std::max_element(config.rollout->step_lengths.begin(), config.rollout->step_lengths.end());
      layout.trained_lead = (config.rollout->lead_steps - 1) * longest;
    }
    return layout;
  }

  /// Runs `work` on rank 0 only; an Error there is everybody's.
  template <class Work>
  void on_root(Work&& work) {
    int kind = 0;
    std::string message;
    if (communicator_.is_root()) try {
        work();
      } catch (const Error& error) {
        kind = error.exit_code();
        message = error.what();
      }
    communicator_.agree(kind, message);
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
    store.allocate_gradients();
    store.allocate_optimiser(true);
    int kind = 0;
    std::string message;
    try {
      if (from >= 0) {
        position_ = read_checkpoint(directory_, from, identity_, store);
        guard_.from_json(position_.guard);
        // Stopped between the last checkpoint and the model file: the last validation is in the metrics already.
        complete_ = position_.phase >= static_cast<int>(phases_.size());
      }
    } catch (const Error& error) {
      kind = error.exit_code();
      message = error.what();
    }
    communicator_.agree(kind, message);
    if (from >= 0) log::info("continuing from {}", (directory_ / fmt::format("step-{}", from)).string());
    on_root([&] {
      metrics_ = std::make_unique<MetricsLog>(directory_ / "metrics.jsonl", position_.metrics_bytes);
      timing_ = std::make_unique<MetricsLog>(
          directory_ / "timing.jsonl",
          fs::exists(directory_ / "timing.jsonl") ? fs::file_size(directory_ / "timing.jsonl") : 0);
    });
  }

  void run_phase(const TrainingPhase& phase, const Validation& validation, Progress& progress, TrainSummary& summary) {
    if (position_.phase_step >= phase.steps) return;
    TrainingStep training_step(network_, step_, communicator_, options_, phase.batch, config_.micro_batch, phase.count);
    const Sampler sampler(phase_examples(config_, archive_.times(), periods_, phase), config_.seed, phase.name);
    log::info("phase {}: {} steps of batch {}, {} examples", phase.name, phase.steps, phase.batch, sampler.size());
    const auto batch = static_cast<std::uint64_t>(phase.batch);
    const auto examples = [&](std::int64_t step) {
      std::vector<Example> mine;
      for (std::size_t s = 0; s < training_step.samples(); ++s)
        mine.push_back(sampler.at(static_cast<std::uint64_t>(step) * batch + training_step.first_sample() + s));
      return mine;
    };
    BatchLoader loader(archive_, layout_, cache_, examples, phase.count, position_.phase_step, phase.steps,
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
    summary.loss = training_step.gradient(*batch, sample, archive_.times(), number);
    const double norm = gradient_norm(store);
    if (!std::isfinite(norm)) fail(ErrorKind::numerical, "training: the gradient of step {} is not finite", number);
    learning_rate_ = phase.schedule.rate(position_.phase_step, share);
    json line = {{"step", number}, {"loss", summary.loss}, {"lr", learning_rate_}, {"grad_norm", norm}};
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
                 position_.updates);
      average_update(store, average_decay(config_.ema_decay, position_.updates));
    }
    ++position_.step;
    ++position_.phase_step;
    if (metrics_) metrics_->write(line);
  }

  ValidationScores validate(const Validation& validation) {
    ParameterStore& store = network_.parameters();
    store.swap_average();
    const ValidationScores scores = validation.run(network_, communicator_, config_.micro_batch);
    store.swap_average();
    std::string text;
    for (std::size_t c = 0; c < scores.channels.size(); ++c)
      text += fmt::format("  {} {:.4g} ({:.2f} of persistence)", scores.channels[c], scores.rmse[c],
                          scores.persistence[c] > 0 ? scores.rmse[c] / scores.persistence[c] : 0.0);
    log::info("step {}: validation loss {:.4f}; RMSE at {}:{}", position_.step, scores.loss,
              to_string(config_.validation.lead), text);
    if (metrics_)
      metrics_->write({{"step", position_.step},
                       {"validation", to_json(scores)},
                       {"lead_hours", static_cast<double>(config_.validation.lead.count()) / 3600}});
    return scores;
  }

  void save() {
    on_root([&] {
      position_.guard = guard_.to_json();
      position_.metrics_bytes = metrics_->sync();
      write_checkpoint(directory_, identity_, position_, network_.parameters());
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
      network_.plan(config_.micro_batch, Use::training);
      summary.validation_loss = validate(validation).loss;
      save();
    }
    on_root([&] {
      metrics_->sync();
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
};

}  // namespace

TrainSummary run_train(const TrainConfig& config, const Communicator& communicator, const fs::path& archive_dir,
                       const fs::path& checkpoint_dir, bool resume) {
  return Training(config, communicator, archive_dir, checkpoint_dir).run(resume);
}

}  // namespace zonda::model
