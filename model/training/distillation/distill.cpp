#include "model/training/distillation/distill.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/config/table.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/philox.hpp"
#include "core/progress.hpp"
#include "core/signals.hpp"
#include "ingest/archive/archive_reader.hpp"
#include "ingest/reference_system/reference_system.hpp"
#include "model/forecast_state/forecast_model.hpp"
#include "model/forecast_state/layout_network.hpp"
#include "model/ops/optimiser.hpp"
#include "model/training/channel_weights.hpp"
#include "model/training/checkpoint.hpp"
#include "model/training/distillation/acceptance.hpp"
#include "model/training/distillation/int8_gate.hpp"
#include "model/training/distillation/merged_response.hpp"
#include "model/training/distillation/teacher_runs.hpp"
#include "model/training/metrics_log.hpp"
#include "model/training/sampler.hpp"
#include "model/training/schedule.hpp"
#include "parallel/communicator.hpp"

namespace zonda::model {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

struct Phase {
  std::string name;
  std::int64_t steps;
  std::size_t count;  ///< steps of the network in a sample
  Schedule schedule;
  int starts;
};

std::vector<Phase> phases_of(const DistillConfig& c) {
  std::vector<Phase> phases{
      {"single steps", c.steps, 1, {c.learning_rate, c.final_learning_rate, c.warm_up}, c.starts}};
  if (c.rollout)
    phases.push_back({"rollouts",
                      c.rollout->steps,
                      static_cast<std::size_t>(c.rollout->lead_steps),
                      {c.rollout->learning_rate, 0, c.rollout->warm_up},
                      c.rollout->starts});
  return phases;
}

struct Periods {
  Time first, last, judged_first, judged_last;
};

Periods periods_of(const DistillConfig& c, const ingest::Statistics& statistics) {
  Periods p{c.start.value_or(statistics.first), c.end.value_or(statistics.last), {}, {}};
  if (c.acceptance.start) {
    p.judged_first = *c.acceptance.start;
    p.judged_last = *c.acceptance.end;
  } else {
    const Duration longest = *std::max_element(c.steps_between.begin(), c.steps_between.end());
    p.judged_last = p.last;
    p.judged_first = p.last - std::max<Duration>((p.last - p.first) / 10, c.acceptance.lead + longest);
    p.last = p.judged_first;
  }
  if (p.last <= p.first)
    fail(ErrorKind::usage, "distill: the period from {} to {} is empty", to_string(p.first), to_string(p.last));
  return p;
}

/// All keys that change the weights.
json result_keys(const DistillConfig& config, const ForecastLayout& layout, const std::string& teacher) {
  json keys = json(config::dump(config));
  for (const char* neutral : {"checkpoint", "cache", "acceptance", "int8", "archive", "teacher"}) keys.erase(neutral);
  for (const char* plane : {"projection", "spacing", "width", "height", "centre_x", "centre_y"})
    keys["region"].erase(plane);  // the model's grid says it all
  keys["model"] = layout.to_json();
  keys["teacher_identity"] = teacher;
  if (config.levels.empty())
    for (const char* of_levels : {"levels", "level_weight"}) keys.erase(of_levels);
  if (config.channel_weights.empty()) keys.erase("channel_weights");
  if (config.losses.spectral_weights.empty()) keys["losses"].erase("spectral_weights");
  if (!config.student.adapters) keys["student"].erase("adapters");
  keys["student"].erase("from");
  if (config.student.from)
    keys["student_identity"] = sha256(read_file(fs::path(*config.student.from) / "manifest.json"));
  return keys;
}

template <class T>
std::vector<T> spread(const std::vector<T>& all, int count) {
  if (count <= 0 || static_cast<std::size_t>(count) >= all.size()) return all;
  std::vector<T> chosen;
  const auto n = static_cast<std::size_t>(count);
  for (std::size_t i = 0; i < n; ++i) chosen.push_back(all[i * all.size() / n]);
  return chosen;
}

/// Tokens with a cell of the interior.
std::vector<bool> interior_tokens(const ForecastStep& step, int patch) {
  const BoundaryRing& ring = step.ring();
  const std::size_t p = static_cast<std::size_t>(patch), columns = ring.columns() / p;
  std::vector<bool> inside(ring.rows() / p * columns);
  for (std::size_t cell = 0; cell < ring.points(); ++cell)
    if (ring.interior(cell)) inside[cell / ring.columns() / p * columns + cell % ring.columns() / p] = true;
  return inside;
}

constexpr const char* map_tensors[] = {"feature_map/value", "feature_map/first_moment", "feature_map/second_moment"};

class Distillation {
 public:
  Distillation(const DistillConfig& config, const fs::path& teacher, const fs::path& archive, const fs::path& directory)
      : config_(config),
        directory_(directory),
        archive_(archive),
        teacher_(load_model(teacher, {.precision = "fp32"})),
        crop_(teacher_->layout.grid, config.region, teacher_->network.shape().patch, config.ring),
        layout_(layout_of_student()),
        phases_(phases_of(config)),
        periods_(model::periods_of(config, archive_.statistics())),
        blocks_(matched_blocks(teacher_->network.shape().blocks, config.student.every)),
        runs_(*teacher_, archive_, crop_, blocks_, static_cast<std::size_t>(config.cache)),
        network_(network_of_layout(student_network(teacher_->network.config(), config.student, !config.levels.empty()),
                                   layout_)),
        levels_(token_levels(config.levels, network_)),
        step_(layout_),
        maps_(blocks_.size(), network_.shape().width, teacher_->network.shape().width,
              interior_tokens(step_, network_.shape().patch)),
        identity_{archive_.identity(), result_keys(config, layout_, teacher_->identity)},
        checkpoints_(directory, identity_, config.checkpoint, parallel::Communicator::self(), json::object()) {}

  DistillSummary run(bool resume) {
    DistillSummary summary;
    summary.model = directory_ / "model";
    summary.teacher_parameters = teacher_->network.parameter_count();
    summary.student_parameters = network_.parameter_count();
    if (!finished(summary)) {
      ingest::verify_projection(layout_.grid);
      start(resume);
      log::info("student of {} parameters ({:.1f} times fewer) on {}, ring {}, blocks {} of the teacher's {}",
                network_.parameter_count(),
                static_cast<double>(summary.teacher_parameters) / static_cast<double>(summary.student_parameters),
                layout_.grid.to_string(), config_.ring, network_.shape().blocks, teacher_->network.shape().blocks);
      std::int64_t total = 0;
      for (const Phase& phase : phases_) total += phase.steps;
      {
        Progress progress("distill", total, "step", position_.step);
        for (; position_.phase < static_cast<int>(phases_.size()); ++position_.phase, position_.phase_step = 0)
          run_phase(phases_[static_cast<std::size_t>(position_.phase)], progress);
        progress.finish(fmt::format("loss {:.4f}", loss_));
      }
      finish(summary.model);
    }
    summary.steps = describe_model(summary.model).at("training").at("steps").get<std::int64_t>();
    judge_student(summary);
    return summary;
  }

 private:
  ForecastLayout layout_of_student() const {
    ForecastLayout layout = crop_.student_layout(teacher_->layout, config_.steps_between);
    const Duration longest = layout.steps.back();
    layout.trained_lead = Duration{0};
    if (config_.rollout) layout.trained_lead = (config_.rollout->lead_steps - 1) * longest;
    return layout;
  }

  bool finished(DistillSummary& summary) {
    if (!fs::exists(summary.model)) return false;
    if (describe_model(summary.model).at("training").at("configuration") != identity_.hash())
      fail(ErrorKind::usage,
           "{}: was distilled from another teacher or archive, or with another configuration; move the folder away",
           summary.model.string());
    log::info("{}: distilled already; nothing to do", summary.model.string());
    summary.nothing_to_do = true;
    return true;
  }

  void start(bool resume) {
    fs::create_directories(directory_);
    clear_temporary(directory_);
    if (!resume && !list_checkpoints(directory_).empty())
      fail(ErrorKind::usage,
           "{}: holds checkpoints of an unfinished run; continue it with --resume, or use another directory",
           directory_.string());
    ParameterStore& store = network_.parameters();
    start_from_teacher(network_, teacher_->network, config_.student, config_.seed);
    if (config_.student.from) read_model_weights(*config_.student.from, store);
    if (config_.student.adapters) network_.freeze_base();
    store.allocate_gradients();
    store.allocate_optimiser(true);
    const auto from = newest_checkpoint(directory_);
    if (from) {
      settle_checkpoints(directory_, *from, config_.checkpoint);
      const ArenaRange all{0, store.extent()};
      position_ = read_checkpoint(directory_, *from, identity_, store, std::span(&all, 1), std::span(&all, 1));
      for (std::size_t i = 0; i < 3; ++i) {
        const Tensor arena = map_arenas()[i];
        read_checkpoint_numbers(directory_, *from, map_tensors[i], 0,
                                {arena.as<float>(), static_cast<std::size_t>(arena.count())});
      }
      log::info("continuing from {}", (directory_ / fmt::format("step-{}", *from)).string());
    } else if (!levels_.empty()) {
      fit_response();
    }
    metrics_ = std::make_unique<MetricsLog>(directory_ / "metrics.jsonl", position_.metrics_bytes);
  }

  /// Of merged tokens, by what passes of all tokens do over the period learnt from; one that has been learnt stays.
  void fit_response() {
    if (has_merged_response(network_)) return;
    const std::vector<Example> examples = judged(periods_.first, periods_.last, config_.acceptance.samples);
    const double explained = fit_merged_response(network_, levels_, [&] {
      judge(network_, layout_, runs_, archive_.times(), examples, config_.acceptance.lead);
    });
    log::info("merged tokens answer to {:.0f} % of what they do beyond the tokens that stand for them",
              100 * explained);
  }

  std::array<Tensor, 3> map_arenas() {
    ParameterStore& maps = maps_.parameters();
    return {maps.values(), maps.first_moment(), maps.second_moment()};
  }

  void run_phase(const Phase& phase, Progress& progress) {
    if (position_.phase_step >= phase.steps) return;
    const auto batch = static_cast<std::size_t>(config_.batch);
    const Sampler sampler(spread(examples_within(archive_.times(), periods_.first, periods_.last, layout_.steps,
                                                 static_cast<int>(phase.count)),
                                 phase.starts),
                          config_.seed, "distill " + phase.name);
    log::info("phase {}: {} steps of batch {}, {} examples", phase.name, phase.steps, batch, sampler.size());
    runs_.forget();
    const std::vector<float> weights =
        channel_weights(layout_.channels, config_.channel_weights, "distill.channel_weights");
    LevelTraining levels(network_, step_, config_.losses, config_.level_weight, weights, levels_, config_.seed,
                         phase.name, batch, phase.count);
    DistillationStep gradient(network_, step_, config_.losses, weights, &maps_, batch, phase.count);
    while (position_.phase_step < phase.steps) {
      take_step(phase, sampler, gradient, levels);
      progress.update(position_.step, fmt::format("loss {:.4f}", loss_));
      const bool last = position_.phase_step >= phase.steps;
      look_around();
      if (position_.step % config_.checkpoint.every == 0 && !last) save();
    }
  }

  void take_step(const Phase& phase, const Sampler& sampler, DistillationStep& step, LevelTraining& levels) {
    const auto batch = static_cast<std::uint64_t>(config_.batch);
    std::vector<std::shared_ptr<const TeacherRuns::Run>> runs;  // as long as the samples view them
    std::vector<TeacherRuns::Field> fields;
    std::vector<DistillationSample> samples;
    const Philox hosts(config_.seed, "whose boundary, " + phase.name);
    for (std::uint64_t s = 0; s < batch; ++s) {
      const std::uint64_t number = static_cast<std::uint64_t>(position_.phase_step) * batch + s;
      const Example example = sampler.at(number);
      const Time time = archive_.times()[example.time_index];
      DistillationSample sample{.time = time, .step = example.step, .truth = {}, .teacher = {}, .features = {}};
      sample.host_is_teacher =
          config_.boundary == "teacher" || (config_.boundary == "mixed" && hosts.integer(number, 2) == 1);
      for (int k = -1; k <= static_cast<int>(phase.count); ++k)
        fields.push_back(runs_.truth(*archive_.find_time(time + k * example.step))),
            sample.truth.push_back(*fields.back());
      runs.push_back(runs_.run(example, phase.count, config_.losses.features > 0));
      for (std::size_t k = 0; k < phase.count; ++k) {
        const TeacherRuns::Pass& pass = (*runs.back())[k];
        sample.teacher.push_back(pass.state);
        sample.features.emplace_back(pass.features.begin(), pass.features.end());
      }
      samples.push_back(std::move(sample));
    }
    const DistillationStep::Loss loss = step.gradient(samples);
    loss_ = loss.total;
    update(phase, loss, levels.add_gradient(static_cast<std::uint64_t>(position_.phase_step), samples));
  }

  void update(const Phase& phase, const DistillationStep::Loss& loss,
              const std::optional<LevelTraining::Drawn>& level) {
    ParameterStore &store = network_.parameters(), &maps = maps_.parameters();
    const double norm = gradient_norm(store);
    if (!std::isfinite(norm))
      fail(ErrorKind::numerical, "distill: the gradient of step {} is not finite", position_.step + 1);
    AdamW adam{.learning_rate = phase.schedule.rate(
                   position_.phase_step, static_cast<double>(position_.phase_step) / static_cast<double>(phase.steps)),
               .weight_decay = config_.weight_decay,
               .gradient_scale = config_.clip > 0 && norm > config_.clip ? config_.clip / norm : 1.0};
    ++position_.updates;
    adamw_step(store, adam, position_.updates);
    store.values_changed();
    average_update(store, average_decay(config_.ema_decay, position_.updates));
    adam.gradient_scale = 1;
    if (config_.losses.features > 0) adamw_step(maps, adam, position_.updates);
    ++position_.step;
    ++position_.phase_step;
    json line = {{"step", position_.step},    {"phase", phase.name},      {"loss", loss.total},
                 {"truth", loss.truth},       {"teacher", loss.teacher},  {"features", loss.features},
                 {"spectral", loss.spectral}, {"lr", adam.learning_rate}, {"grad_norm", norm}};
    if (level) {
      line["level"] = level->level;
      line["level_truth"] = level->loss.truth;
    }
    metrics_->write(line);
  }

  void save() {
    ParameterStore& store = network_.parameters();
    const ArenaRange all{0, store.extent()};
    CheckpointParts of_student = checkpoint_parts(store, std::span(&all, 1));
    std::vector<CheckpointPart>& parts = of_student.list;
    std::vector<TensorShape> more;
    const std::size_t before = checkpoint_shapes(store).size();
    for (std::size_t i = 0; i < 3; ++i) {
      const Tensor arena = map_arenas()[i];
      more.push_back({map_tensors[i], {static_cast<std::size_t>(arena.count())}});
      parts.push_back({before + i, 0, arena});
    }
    position_.metrics_bytes = metrics_->sync();
    checkpoints_.begin(position_, checkpoint_shapes(store, more), parts, store.memory());
  }

  /// Between steps: a signal, a checkpoint that is written by now.
  void look_around() {
    if (checkpoints_.pending() && !checkpoints_.working()) checkpoints_.proceed(false);
    const auto stop = stop_requested();
    if (!stop) return;
    checkpoints_.complete(false);
    save();
    checkpoints_.complete(true);
    throw Interrupted(*stop, fmt::format("distilling stopped by signal {} after step {}; continue with --resume", *stop,
                                         position_.step));
  }

  void finish(const fs::path& path) {
    checkpoints_.complete(false);
    save();
    checkpoints_.complete(true);
    write_model(path, layout_, network_,
                {.training_steps = position_.step,
                 .training_start = periods_.first,
                 .training_end = periods_.last,
                 .archive_identity = archive_.identity(),
                 .configuration_hash = identity_.hash(),
                 .licence = config_.licence,
                 .levels = levels_},
                true);
  }

  std::vector<Example> judged(Time first, Time last, int samples) const {
    return judged_examples(archive_.times(), first, last, layout_.steps.front(), config_.acceptance.lead, samples);
  }

  void judge_student(DistillSummary& summary) {
    runs_.forget();
    const auto student = load_model(summary.model, {.precision = "fp32"});
    const std::vector<Example> examples =
        judged(periods_.judged_first, periods_.judged_last, config_.acceptance.samples);
    const auto scores = [&] {
      return judge(student->network, student->layout, runs_, archive_.times(), examples, config_.acceptance.lead);
    };
    const Acceptance acceptance = scores();
    std::vector<LevelVerdict> of_levels;
    for (const TokenMerging& level : levels_) {
      student->network.set_merging(level);
      of_levels.push_back(level_verdict(level, scores(), acceptance));
    }
    summary.acceptance = to_json(acceptance, config_.acceptance);
    summary.acceptance["parameters"] = {{"teacher", summary.teacher_parameters},
                                        {"student", summary.student_parameters}};
    summary.acceptance["model"] = student->identity;
    summary.acceptance["teacher"] = teacher_->identity;
    summary.acceptance["grid"] = layout_.grid.to_string();
    summary.acceptance["ring"] = config_.ring;
    summary.acceptance["levels"] = to_json(of_levels, config_.acceptance.level_percent);
    write_file(directory_ / "acceptance.json", summary.acceptance.dump(1) + '\n');
    summary.table = to_text(acceptance, config_.acceptance) + to_text(of_levels, config_.acceptance.level_percent);
    if (!config_.int8) return;
    const Int8Verdict verdict = choose_int8(summary.model, runs_, archive_.times(),
                                            judged(periods_.first, periods_.last, config_.int8->samples),
                                            config_.acceptance.lead, *config_.int8);
    summary.int8 = to_json(verdict);
    summary.int8["model"] = student->identity;
    write_file(int8_file(summary.model), summary.int8.dump(1) + '\n');
    summary.table += to_text(verdict);
  }

  const DistillConfig& config_;
  const fs::path directory_;
  const ingest::ArchiveReader archive_;
  const std::unique_ptr<ForecastModel> teacher_;
  const RegionalCrop crop_;
  const ForecastLayout layout_;
  const std::vector<Phase> phases_;
  const Periods periods_;
  const std::vector<std::size_t> blocks_;
  TeacherRuns runs_;
  ForecastNetwork network_;
  const std::vector<TokenMerging> levels_;
  const ForecastStep step_;
  FeatureMaps maps_;
  const TrainingIdentity identity_;
  CheckpointWriter checkpoints_;
  TrainingPosition position_;
  double loss_ = 0;
  std::unique_ptr<MetricsLog> metrics_;
};

}  // namespace

DistillSummary run_distill(const DistillConfig& config, const parallel::Communicator& communicator,
                           const fs::path& teacher, const fs::path& archive, const fs::path& directory, bool resume) {
  DistillSummary summary;
  summary.model = directory / "model";
  int kind = 0;
  std::string message;
  if (communicator.is_root()) try {
      summary = Distillation(config, teacher, archive, directory).run(resume);
    } catch (const Error& error) {
      kind = error.exit_code();
      message = error.what();
    }
  communicator.agree(kind, message);
  return summary;
}

}  // namespace zonda::model
