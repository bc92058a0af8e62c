#include "model/dynamics/simulate.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "core/checksum.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "core/provenance.hpp"
#include "core/signals.hpp"
#include "model/dynamics/configured_atmosphere.hpp"
#include "model/dynamics/model_output.hpp"
#include "model/dynamics/output_files.hpp"
#include "model/dynamics/restart_file.hpp"
#include "parallel/partition.hpp"

namespace zonda::model {
namespace {

constexpr std::int64_t day_seconds = 86400;

/// When things happen, in steps and states.
class Schedule {
 public:
  explicit Schedule(const SimulateConfig& config) : start_(config.start), output_(config.output), files_(config.files) {
    steps_per_state_ = std::llround(double(config.output.count()) / time_step_seconds(config));
    spinup_steps_ = spinup_days(config) * day_seconds / config.output.count() * steps_per_state_;
    states_ = config.days * day_seconds / config.output.count() + 1;
    restart_steps_ = config.restart.count() / config.output.count() * steps_per_state_;
    begin_ = config.start - std::chrono::seconds(spinup_days(config) * day_seconds);
  }
  Time begin() const { return begin_; }
  std::int64_t states() const { return states_; }
  std::int64_t steps() const { return spinup_steps_ + (states_ - 1) * steps_per_state_; }
  bool ends_interval(std::int64_t step) const { return step % steps_per_state_ == 0; }
  bool is_state(std::int64_t step) const { return step >= spinup_steps_ && ends_interval(step); }
  std::int64_t state(std::int64_t step) const { return (step - spinup_steps_) / steps_per_state_; }
  bool is_restart(std::int64_t step) const { return step > 0 && step % restart_steps_ == 0; }
  Time time(std::int64_t state) const { return start_ + state * output_; }
  /// The last state belongs to the file of the one before: a run of whole months has no file of one state.
  std::string file(int member, std::int64_t state) const {
    const Time t = time(state == states_ - 1 && state > 0 ? state - 1 : state);
    const std::string iso = to_string(t);
    return fmt::format("simulation_m{:03d}_{}.nc", member,
                       files_ == "month" ? iso.substr(0, 7)
                       : files_ == "day" ? iso.substr(0, 10)
                                         : compact(start_));
  }

 private:
  Time start_, begin_;
  Duration output_;
  std::string files_;
  std::int64_t steps_per_state_, spinup_steps_, states_, restart_steps_;
};

/// What decides a member's bytes; the number of members, threads and the restart interval do not.
std::string identity(const SimulateConfig& config) {
  config::Json json = config::dump(config);
  for (const char* key : {"members", "threads", "restart"}) json.erase(key);
  return sha256(std::string_view(json.dump()));
}

/// One member from its beginning, or its last restart, to its end.
class MemberRun {
 public:
  MemberRun(const SimulateConfig& config, const Schedule& schedule, int member, std::filesystem::path directory)
      : config_(config),
        schedule_(schedule),
        member_(member),
        directory_(std::move(directory)),
        identity_(identity(config)),
        model_(core_parameters(config), configured_ground(config)),
        output_(model_, output_grid(config), output_channels(config)),
        files_(directory_, output_.grid(), output_.channels(), options()) {}

  void begin(bool resume) {
    std::error_code ignored;
    if (!resume) std::filesystem::remove(restart_path(), ignored);
    if (resume && std::filesystem::exists(restart_path()) && restore()) return;
    model_.start(configured_state(config_, member_), schedule_.begin());
  }

  /// `watch(days)` is told the simulated days since the beginning; it returns false to stop, and run() then saves and
  /// returns false.
  template <class Watch>
  bool run(const Watch& watch) {
    for (;;) {
      const std::int64_t step = model_.steps();
      if (schedule_.ends_interval(step)) write_state(step);
      if (step == schedule_.steps()) break;
      if (schedule_.is_restart(step) && saved_ != step) save();
      if (!watch(double(step) * model_.parameters().time_step / double(day_seconds))) {
        if (saved_ != step) save();
        return false;
      }
      try {
        model_.step();
      } catch (const Error& error) {
        fail(error.kind(), "member {}: {}", member_, error.what());
      }
    }
    if (files_.is_open()) close_file();
    return true;
  }

 private:
  ingest::CfOptions options() const {
    ingest::CfOptions options;
    options.title =
        fmt::format("Zonda simulated atmosphere T{}L{}, member {}", config_.truncation, config_.levels, member_);
    options.source = fmt::format("zonda {} spectral primitive equations; initial: {}, forcing: {}{}{}", code_version(),
                                 config_.initial, config_.forcing, config_.moisture ? ", moist" : "",
                                 config_.seasons ? ", seasons" : "");
    options.history = history_line("simulate");
    options.realization = member_;
    options.deflate = config_.deflate;
    options.keep_bits = config_.keep_bits;
    options.accumulation = config_.output;
    return options;
  }

  std::filesystem::path restart_path() const {
    return directory_ / "restart" / fmt::format("m{:03d}.restart", member_);
  }

  /// False where files that the restart counts as written are gone: the member then starts anew.
  bool restore() {
    const Restart restart = read_restart(restart_path());
    if (restart.identity != identity_ || restart.member != member_)
      fail(ErrorKind::usage, "{} is of another configuration; remove {} to start anew", restart_path().string(),
           directory_.string());
    for (std::int64_t s = 0; s < restart.states_written - restart.states_in_file; ++s) {
      const std::filesystem::path path = directory_ / schedule_.file(member_, s);
      if (std::filesystem::exists(path)) continue;
      log::warning("{} is gone; member {} starts anew", path.string(), member_);
      return false;
    }
    model_.restore(restart.memory, restart.steps, schedule_.begin());
    written_ = restart.states_written;
    saved_ = restart.steps;
    if (restart.states_in_file == 0) return true;
    std::vector<Time> times;
    for (std::int64_t s = written_ - restart.states_in_file; s < written_; ++s) times.push_back(schedule_.time(s));
    files_.open(schedule_.file(member_, written_ - 1), times, restart.spool_checksum);
    return true;
  }

  void save() {
    files_.sync();
    write_restart(restart_path(), {identity_, member_, model_.steps(), written_, files_.states(),
                                   files_.spool_checksum(), model_.memory()});
    saved_ = model_.steps();
  }

  // A restart that no longer needs the spool stands between closing a file and removing its spool.
  void close_file() {
    files_.close();
    save();
    files_.remove_spool();
  }

  void write_state(std::int64_t step) {
    if (!schedule_.is_state(step)) {
      model_.take_rain();
      return;
    }
    const std::int64_t state = schedule_.state(step);
    if (state < written_) return;  // done before the restart
    const std::string name = schedule_.file(member_, state);
    if (files_.is_open() && files_.name() != name) close_file();
    if (!files_.is_open()) files_.open(name, {}, 0);
    files_.write(output_.make(model_, model_.take_rain()));
    ++written_;
  }

  const SimulateConfig& config_;
  const Schedule& schedule_;
  int member_;
  std::filesystem::path directory_;
  std::string identity_;
  PrimitiveEquations model_;
  ModelOutput output_;
  OutputFiles files_;
  std::int64_t written_ = 0, saved_ = -1;
};

}  // namespace

void run_simulate(const SimulateConfig& config, const parallel::Communicator& communicator,
                  const std::filesystem::path& directory, bool resume) {
  const Schedule schedule(config);
  const parallel::Range mine = parallel::partition(std::size_t(config.members), std::size_t(communicator.size()),
                                                   std::size_t(communicator.rank()));
  const double days_each = config.days + spinup_days(config);
  int error_kind = 0;
  std::string message;
  std::int64_t stopped = 0;
  try {
    std::filesystem::create_directories(directory / "restart");
    Progress progress("simulate", std::llround(days_each * double(mine.size())), "day");
    for (std::size_t m = mine.begin; m < mine.end && !stopped; ++m) {
      MemberRun member(config, schedule, int(m), directory);
      member.begin(resume);
      const double before = double(m - mine.begin) * days_each;
      const auto watch = [&](double days) {
        progress.update(std::llround(before + days), mine.size() > 1 ? fmt::format("member {}", m) : std::string());
        stopped = stop_requested().value_or(0);
        return stopped == 0;
      };
      member.run(watch);
    }
    if (!stopped) progress.finish();
  } catch (const Error& error) {
    error_kind = error.exit_code();
    message = error.what();
  } catch (const std::exception& error) {
    error_kind = int(ErrorKind::failure);
    message = error.what();
  }
  communicator.agree(error_kind, message);
  communicator.all_reduce(std::span(&stopped, 1), parallel::Reduction::max).wait();
  if (stopped)
    throw Interrupted(int(stopped), fmt::format("simulate stopped on signal {}; restarts are saved in {}", stopped,
                                                (directory / "restart").string()));
}

std::vector<std::filesystem::path> simulated_files(const SimulateConfig& config,
                                                   const std::filesystem::path& directory) {
  const Schedule schedule(config);
  std::vector<std::filesystem::path> paths;
  for (int member = 0; member < config.members; ++member)
    for (std::int64_t state = 0; state < schedule.states(); ++state) {
      std::filesystem::path path = directory / schedule.file(member, state);
      if (paths.empty() || paths.back() != path) paths.push_back(std::move(path));
    }
  return paths;
}

SimulationPlan plan_simulate(const SimulateConfig& config, int ranks) {
  const Schedule schedule(config);
  const PrimitiveEquations model(core_parameters(config), configured_ground(config));
  const ModelOutput output(model, output_grid(config), output_channels(config));
  SimulationPlan plan;
  plan.steps_per_member = schedule.steps();
  plan.states_per_member = schedule.states();
  plan.time_step = time_step_seconds(config);
  plan.rows = std::size_t(model.transform().nlat());
  plan.columns = std::size_t(model.transform().nlon());
  plan.members_per_rank = (config.members + ranks - 1) / ranks;
  const std::size_t state = output.channels().size() * output.grid().size() * sizeof(float);
  plan.output_bytes = std::size_t(config.members) * std::size_t(schedule.states()) * state;
  std::map<std::string, std::size_t> per_file;
  for (std::int64_t s = 0; s < schedule.states(); ++s)
    plan.spool_bytes = std::max(plan.spool_bytes, state * ++per_file[schedule.file(0, s)]);
  // The program with its libraries and a NetCDF file open, and 4 % for what lives shortly: both measured from T30 to
  // T106. The model; what is larger of making a state (with a copy of one time level) and saving a restart (numbers and
  // file contents).
  constexpr double program = 25e6, short_lived = 1.04;
  const std::size_t restart = model.memory_size() * sizeof(double);
  const std::size_t data = model.bytes() + std::max(output.bytes() + state + restart / 2, 2 * restart);
  plan.memory_bytes = std::size_t(program + short_lived * double(data));
  return plan;
}

}  // namespace zonda::model
