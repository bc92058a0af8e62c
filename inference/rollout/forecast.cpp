#include "inference/rollout/forecast.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/config/table.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "core/provenance.hpp"
#include "core/signals.hpp"
#include "inference/rollout/initial_states.hpp"
#include "inference/rollout/physical_bounds.hpp"
#include "inference/rollout/slab_fields.hpp"
#include "inference/rollout/trajectory.hpp"
#include "ingest/cf/slab_writer.hpp"
#include "ingest/sources/path_pattern.hpp"
#include "ingest/sources/source.hpp"
#include "model/spectral/spectral_taper.hpp"
#include "parallel/communicator.hpp"
#include "parallel/imagined.hpp"
#include "parallel/layout/mesh.hpp"
#include "parallel/partition.hpp"
#include "parallel/together.hpp"

namespace zonda::inference {
namespace {

using model::ForecastLayout;
using nlohmann::json;
namespace fs = std::filesystem;

std::vector<fs::path> expand(const std::vector<std::string>& patterns) {
  std::vector<fs::path> paths;
  for (const std::string& pattern : patterns) {
    const std::vector<fs::path> found = ingest::match_pattern(pattern);
    paths.insert(paths.end(), found.begin(), found.end());
  }
  return paths;
}

std::map<std::string, std::string> assignments(const std::vector<std::string>& texts, const std::string& key) {
  std::map<std::string, std::string> result;
  for (const std::string& text : texts) {
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      fail(ErrorKind::usage, "forecast.source.{}: '{}', expected NAME=VALUE", key, text);
    result[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return result;
}

std::unique_ptr<InitialStates> open_states(const ForecastConfig& config, const fs::path& archive_dir,
                                           const ForecastLayout& layout) {
  if (!config.source) return states_of_archive(archive_dir, layout);
  return states_of_files(expand(config.source->path),
                         {.variables = assignments(config.source->variables, "variables"),
                          .units = assignments(config.source->units, "units")},
                         layout);
}

std::vector<std::size_t> chosen_channels(const ForecastConfig& config, const ForecastLayout& layout) {
  std::vector<std::size_t> chosen;
  std::vector<std::string> known;
  for (const Channel& channel : layout.channels) known.push_back(channel.name());
  for (const std::string& name : config.channels.empty() ? known : config.channels) {
    const auto found = std::find(known.begin(), known.end(), name);
    if (found == known.end()) fail(ErrorKind::usage, "forecast.channels: {}", unknown_word("channel", name, known));
    chosen.push_back(static_cast<std::size_t>(found - known.begin()));
  }
  return chosen;
}

/// One forecast of each initial time, or its members.
std::vector<TrajectoryStart> starts_of(const std::vector<Time>& times, int members) {
  std::vector<TrajectoryStart> starts;
  for (const Time time : times)
    for (int member = 1; member <= members; ++member) starts.push_back({time, members > 1 ? member : 0});
  return starts;
}

std::string precision_of(const ForecastConfig& config) {
  return config.precision == "model" ? "" : config.precision;
}

void require_members(const ForecastConfig& config, const model::ForecastModel& model) {
  if (config.members > 1 && model.network.noise_size() == 0)
    fail(ErrorKind::usage,
         "forecast.members: {}, but the model has no noise that tells members apart (train.network.noise, "
         "train.loss: crps)",
         config.members);
}

std::optional<model::SpectralTaper> taper_of(const ForecastConfig& config, const Grid& grid) {
  if (!config.spectral_taper) return std::nullopt;
  try {
    return model::SpectralTaper(grid, config.spectral_taper->from, config.spectral_taper->to);
  } catch (const Error& error) {
    fail(ErrorKind::usage, "forecast.spectral_taper: {}", error.what());
  }
}

/// What decides the files' bytes.
json identity_of(const ForecastConfig& config, const model::ForecastModel& model, const InitialStates& states) {
  json keys = json(config::dump(config));
  for (const char* which : {"times", "start", "end", "every", "mesh"}) keys.erase(which);  // not what is in the files
  return {{"model", model.identity}, {"states", states.describe()}, {"configuration", keys}};
}

/// The files of this run and what they hold.
class ForecastFiles {
 public:
  ForecastFiles(const ForecastConfig& config, const ForecastLayout& layout, const fs::path& directory,
                std::string source)
      : config_(config),
        layout_(layout),
        directory_(directory),
        source_(std::move(source)),
        chosen_(chosen_channels(config, layout)) {
    for (const std::size_t c : chosen_) channels_.push_back(layout.channels[c]);
  }
  fs::path path(const TrajectoryStart& start) const {
    const std::string member = start.member > 0 ? fmt::format("-{:03}", start.member) : "";
    return directory_ / (compact(start.initial) + member + ".nc");
  }
  /// Collective over the ranks of the slabs.
  std::unique_ptr<ingest::SlabWriter> open(const TrajectoryStart& start, const SlabFields& slabs) const {
    ingest::CfOptions options;
    options.title = "Forecast from " + to_string(start.initial);
    if (start.member > 0) {
      options.title += fmt::format(", member {} of {}", start.member, config_.members);
      options.realization = start.member;
    }
    options.source = source_;
    options.history = history_line("forecast");
    options.reference_time = start.initial;
    options.deflate = config_.deflate;
    options.keep_bits = config_.keep_bits;
    return std::make_unique<ingest::SlabWriter>(
        path(start), layout_.grid, channels_, options, slabs.ranks(), slabs.rows(),
        config_.collective_writing ? ingest::SlabWriting::collective : ingest::SlabWriting::by_first_rank);
  }
  /// The chosen channels of the rows of `grid`, from `fields` normalised `[channel, row, lon]` of all channels.
  State state(const Grid& grid, Time initial, Duration lead, std::span<const float> fields) const {
    State all(grid, layout_.channels, initial + lead);
    std::copy(fields.begin(), fields.end(), all.values.begin());
    layout_.normalisation.restore(all.values);
    if (config_.bounds) apply_physical_bounds(all);
    if (config_.range_check)
      require_physical_range(all, fmt::format("forecast from {}, lead {}", to_string(initial), to_string(lead)));
    State result(grid, channels_, initial + lead);
    for (std::size_t c = 0; c < chosen_.size(); ++c)
      std::copy(all.field(chosen_[c]).begin(), all.field(chosen_[c]).end(), result.field(c).begin());
    return result;
  }

 private:
  const ForecastConfig& config_;
  const ForecastLayout& layout_;
  const fs::path directory_;
  const std::string source_;
  const std::vector<std::size_t> chosen_;
  std::vector<Channel> channels_;
};

json read_journal(const fs::path& directory) {
  const fs::path journal = directory / "forecast.json";
  return fs::exists(journal) ? json::parse(read_file(journal), nullptr, false) : json();
}

bool made_by(const json& journal, const json& identity) {
  return journal.is_object() && journal.value("identity", json()) == identity;
}

/// Removes files of another model or configuration, and what a killed run left (unless `others` may be writing it);
/// then says what the folder will hold.
void prepare_folder(const fs::path& directory, const json& identity, const std::vector<Time>& times, bool others) {
  fs::create_directories(directory);
  const json before = read_journal(directory);
  const bool same = made_by(before, identity);
  std::vector<fs::path> stale;
  for (const auto& entry : fs::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if ((name.ends_with(".nc.tmp") && !(same && others)) || (name.ends_with(".nc") && !same))
      stale.push_back(entry.path());
  }
  if (!same && !stale.empty() && before.is_object())
    log::info("{}: made by another model or configuration; replaced", directory.string());
  for (const fs::path& path : stale) fs::remove(path);
  std::vector<std::string> list;
  for (const Time time : times) list.push_back(to_string(time));
  write_file(directory / "forecast.json", json{{"identity", identity}, {"initial_times", list}}.dump(1) + '\n');
}

/// The first share prepares the folder; the others wait for it.
void await_folder(const fs::path& directory, const json& identity) {
  using namespace std::chrono_literals;
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  while (!made_by(read_journal(directory), identity)) {
    if (std::chrono::steady_clock::now() > deadline)
      fail(ErrorKind::temporary, "{}: not prepared for this model and configuration yet; the first share does that",
           directory.string());
    std::this_thread::sleep_for(200ms);
  }
}

/// Forecasts that pass the network together, from their states to their files. The ranks of `slabs` share each.
class ForecastGroup {
 public:
  ForecastGroup(const ForecastConfig& config, model::ForecastModel& model, const model::ForecastStep& step,
                const InitialStates& states, const StepPlan& plan, const model::SpectralTaper* taper,
                const SlabFields& slabs, const ForecastFiles& files, std::vector<TrajectoryStart> starts)
      : config_(config),
        step_(step),
        states_(states),
        slabs_(slabs),
        files_(files),
        starts_(std::move(starts)),
        grid_(rows_of(step)),
        size_(step.layout().output_channels() * step.points()),
        fields_(starts_.size() * size_),
        trajectories_(model, step, plan, starts_,
                      {config.bounds, taper, config.seed, slabs.alone() ? nullptr : &slabs}) {}

  void run() {
    for (const TrajectoryStart& start : starts_) writers_.push_back(files_.open(start, slabs_));
    for (const Duration lead : trajectories_.leads_needed()) {
      parallel::together(slabs_.ranks(), [&] { read(lead); });
      trajectories_.give(lead, fields_);
      if (lead == Duration{0} && config_.write_initial) write(lead);
    }
    while (trajectories_.lead() < config_.lead) {
      trajectories_.advance();
      if (trajectories_.lead() % config_.output_step != Duration{0}) continue;
      trajectories_.forecast(fields_);
      write(trajectories_.lead());
    }
    for (const auto& writer : writers_) writer->close();
  }

 private:
  static Grid rows_of(const model::ForecastStep& step) {
    const Grid& whole = step.layout().grid;
    const parallel::Range rows = step.rows();
    if (rows.size() == whole.nlat()) return whole;
    return whole.sub_grid({.first_row = rows.begin, .rows = rows.size(), .first_column = 0, .columns = whole.nlon()});
  }
  std::span<float> sample(std::size_t s) { return std::span(fields_).subspan(s * size_, size_); }

  void read(Duration lead) {
    for (std::size_t s = 0; s < starts_.size(); ++s)
      if (s > 0 && starts_[s].initial == starts_[s - 1].initial)
        std::copy(sample(s - 1).begin(), sample(s - 1).end(), sample(s).begin());
      else
        states_.read(starts_[s].initial + lead, step_.rows(), sample(s));
  }

  void write(Duration lead) {
    for (std::size_t s = 0; s < starts_.size(); ++s) {
      std::optional<State> mine;
      parallel::together(slabs_.ranks(), [&] { mine = files_.state(grid_, starts_[s].initial, lead, sample(s)); });
      writers_[s]->write(*mine);
    }
  }

  const ForecastConfig& config_;
  const model::ForecastStep& step_;
  const InitialStates& states_;
  const SlabFields& slabs_;
  const ForecastFiles& files_;
  const std::vector<TrajectoryStart> starts_;
  const Grid grid_;  // of this rank's rows
  const std::size_t size_;
  std::vector<float> fields_;
  Trajectories trajectories_;
  std::vector<std::unique_ptr<ingest::SlabWriter>> writers_;
};

parallel::MeshShape mesh_of(const ForecastConfig& config, int ranks) {
  try {
    return parallel::parse_mesh(config.mesh, ranks);
  } catch (const Error& error) {
    fail(ErrorKind::usage, "forecast.mesh: {}", error.what());
  }
}

}  // namespace

ForecastSummary run_forecast(const ForecastConfig& config, const parallel::Communicator& communicator,
                             const fs::path& archive_dir, const fs::path& model_path, const fs::path& forecast_dir,
                             Share share) {
  const parallel::Mesh mesh(communicator, mesh_of(config, communicator.size()));
  const parallel::Communicator &slab_ranks = mesh.along(parallel::Axis::spatial),
                               &data_ranks = mesh.along(parallel::Axis::data);
  const std::unique_ptr<model::ForecastModel> model =
      model::load_model(model_path, {model::make_backend(model::backend_of_device(config.device)),
                                     precision_of(config),
                                     {.slabs = slab_ranks, .chunks = slab_ranks.size()}});
  model->network.set_adapters(config.adapters);
  const model::Slab& slab = model->network.slab();
  const model::ForecastStep step(model->layout, slab.image_rows());
  std::vector<parallel::Range> rows;
  for (int rank = 0; rank < slab_ranks.size(); ++rank) rows.push_back(slab.image_rows(rank));
  const SlabFields slabs(slab_ranks, rows, model->layout.grid.nlon());
  const std::unique_ptr<InitialStates> states = open_states(config, archive_dir, model->layout);
  const StepPlan plan = plan_steps(config.strategy, model->layout.steps, config.lead, config.output_step);
  require_members(config, *model);
  const std::optional<model::SpectralTaper> taper = taper_of(config, model->layout.grid);
  const std::vector<Time> all = initial_times(config, states->times(), plan.steps.back());
  const parallel::Range shared = parallel::partition(all.size(), share.of, share.i);
  const std::vector<Time> times(all.begin() + static_cast<std::ptrdiff_t>(shared.begin),
                                all.begin() + static_cast<std::ptrdiff_t>(shared.end));
  for (const Time time : times)
    for (const Duration before : plan.steps)
      for (const Time needed : {time, time - before})
        if (!states->holds(needed))
          fail(ErrorKind::data, "forecast from {}: no state at {} in {}", to_string(time), to_string(needed),
               states->describe());
  const ForecastFiles files(config, model->layout, forecast_dir,
                            fmt::format("Zonda {}, model {} ({} parameters)", code_version(),
                                        model->identity.substr(0, 16), model->network.parameter_count()));

  int kind = 0;
  std::string message;
  if (communicator.is_root()) try {
      const json identity = identity_of(config, *model, *states);
      if (share.i == 0)
        prepare_folder(forecast_dir, identity, all, !share.whole());
      else
        await_folder(forecast_dir, identity);
    } catch (const Error& error) {
      kind = error.exit_code();
      message = error.what();
    } catch (const fs::filesystem_error& error) {
      kind = static_cast<int>(ErrorKind::failure);
      message = error.what();
    }
  communicator.agree(kind, message);

  ForecastSummary summary;
  std::vector<TrajectoryStart> wanted;
  for (const TrajectoryStart& start : starts_of(times, config.members)) {
    summary.files.push_back(files.path(start));
    if (fs::exists(summary.files.back()))
      ++summary.kept;
    else
      wanted.push_back(start);
  }
  communicator.barrier();  // all have looked before the first writes
  summary.written = wanted.size();
  const parallel::Range range = parallel::partition(wanted.size(), static_cast<std::size_t>(data_ranks.size()),
                                                    static_cast<std::size_t>(data_ranks.rank()));
  std::int64_t stopped = 0;
  try {
    Progress progress("forecast", static_cast<std::int64_t>(range.size()), "forecast");
    for (std::size_t first = range.begin; first < range.end && stopped == 0;
         first += static_cast<std::size_t>(config.batch)) {
      const std::size_t last = std::min(range.end, first + static_cast<std::size_t>(config.batch));
      const std::vector<TrajectoryStart> group(wanted.begin() + static_cast<std::ptrdiff_t>(first),
                                               wanted.begin() + static_cast<std::ptrdiff_t>(last));
      ForecastGroup(config, *model, step, *states, plan, taper ? &*taper : nullptr, slabs, files, group).run();
      progress.update(static_cast<std::int64_t>(last - range.begin), compact(group.back().initial));
      stopped = stop_requested().value_or(0);
      slab_ranks.all_reduce(std::span(&stopped, 1), parallel::Reduction::max).wait();
    }
    progress.finish();
  } catch (const Error& error) {
    kind = error.exit_code();
    message = error.what();
  }
  communicator.agree(kind, message);
  std::int64_t signal = stopped;
  communicator.all_reduce(std::span(&signal, 1), parallel::Reduction::max).wait();
  if (signal != 0)
    throw Interrupted(static_cast<int>(signal),
                      fmt::format("forecast stopped by signal {}; finished files are kept", signal));
  return summary;
}

ForecastPlan plan_forecast(const ForecastConfig& config, const fs::path& archive_dir, const fs::path& model_path,
                           int ranks) {
  const parallel::MeshShape mesh = mesh_of(config, ranks);
  const int slabs = mesh[parallel::Axis::spatial];
  const std::unique_ptr<model::ForecastModel> model = model::load_model(
      model_path, {nullptr, precision_of(config), {.slabs = parallel::imagined(slabs / 2, slabs), .chunks = slabs}});
  const std::unique_ptr<InitialStates> states = open_states(config, archive_dir, model->layout);
  const StepPlan steps = plan_steps(config.strategy, model->layout.steps, config.lead, config.output_step);
  ForecastPlan plan;
  plan.initial_times = initial_times(config, states->times(), steps.steps.back()).size();
  plan.leads = static_cast<std::size_t>(config.lead / config.output_step) + (config.write_initial ? 1 : 0);
  const bool mean = steps.strategy == Strategy::homogeneous_mean;
  std::size_t passes = 0, held = 1;
  for (const Duration d : steps.steps)
    if (mean || d == steps.steps.front()) passes += static_cast<std::size_t>(config.lead / d);
  held += mean ? 3 * steps.steps.size() : static_cast<std::size_t>(2 * steps.steps.back() / steps.steps.front()) + 1;
  plan.members = static_cast<std::size_t>(config.members);
  const std::size_t forecasts = plan.initial_times * plan.members;
  plan.network_steps = passes * forecasts;
  plan.flops = static_cast<double>(plan.network_steps) * model->network.flops_per_sample();
  const std::size_t points = model->network.slab().image_rows().size() * model->layout.grid.nlon();
  const std::size_t a_rank =
      parallel::partition(forecasts, static_cast<std::size_t>(mesh[parallel::Axis::data]), 0).size();
  const std::size_t batch = std::min(a_rank, static_cast<std::size_t>(config.batch));
  const std::size_t state = model->layout.output_channels() * points * sizeof(float);
  plan.network_bytes = model->network.memory(static_cast<int>(batch), model::Use::inference, false).total();
  plan.state_bytes = batch * (held + 1) * state + batch * model->layout.input_channels() * points * sizeof(float);
  plan.process_bytes = peak_resident_bytes();
  plan.output_bytes =
      forecasts * plan.leads * chosen_channels(config, model->layout).size() * model->layout.points() * sizeof(float);
  return plan;
}

}  // namespace zonda::inference
