#include "app/plan.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "app/verb.hpp"
#include "assimilation/cycling/cycle_plan.hpp"
#include "core/error.hpp"
#include "inference/rollout/forecast.hpp"
#include "ingest/pipeline/ingest.hpp"
#include "ingest/sources/path_pattern.hpp"
#include "model/dynamics/simulate.hpp"
#include "model/training/distillation/distill.hpp"
#include "model/training/train.hpp"

namespace zonda::app {
namespace {

using Json = nlohmann::ordered_json;

std::string mebibytes(std::size_t bytes) {
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / 1048576.0);
}

bool sources_are_there(const ingest::IngestConfig& config) {
  try {
    for (const ingest::SourceConfig& source : config.sources) {
      for (const std::string& pattern : source.path) ingest::match_pattern(pattern);
    }
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// The archive as the run file alone describes it: where the grid and the period are given, or the simulation gives
/// them.
std::optional<model::ArchiveShape> coming_archive(const Sections& sections) {
  if (!sections.ingest) return std::nullopt;
  const ingest::IngestConfig& config = *sections.ingest;
  std::optional<Grid> grid;
  std::optional<Time> start = config.start, end = config.end;
  std::optional<Duration> step = config.step;
  if (sections.simulate) {
    const model::SimulateConfig& simulation = *sections.simulate;
    grid = model::output_grid(simulation);
    if (!start) start = simulation.start;
    if (!end) end = simulation.start + std::chrono::days(simulation.days);
    if (!step) step = simulation.output;
  }
  if (!config.grid.empty()) grid = Grid::parse(config.grid);
  if (!grid || !start || !end || !step) return std::nullopt;
  if (!config.area.empty()) {
    grid = grid->sub_grid(grid->window(config.area[0], config.area[2], config.area[1], config.area[3]));
  }
  model::ArchiveShape shape{*grid, ingest::configured_channels(config),      config.statics.size(),
                            {},    config.statistics.start.value_or(*start), config.statistics.end.value_or(*end)};
  for (Time time = *start; time <= *end; time += *step) shape.times.push_back(time);
  return shape;
}

struct Planner {
  const RunFile& run_file;
  const RunDirectory& directory;
  int ranks;
  Json record = Json::object();
  std::string text = {};

  /// A stage that reads what is not there yet is planned when it is.
  template <class Body>
  void stage(const std::string& name, Body body) {
    try {
      body();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;
      record[name] = {{"unknown_until", error.what()}};
      text += fmt::format("{}: not known yet: {}\n", name, error.what());
    }
  }

  /// Plans the stage if it has a plan.
  void plan(const std::string& name) {
    const std::map<std::string, void (Planner::*)()> plans{
        {"simulate", &Planner::simulate}, {"ingest", &Planner::ingest}, {"train", &Planner::train},
        {"distill", &Planner::distill},   {"cycle", &Planner::cycle},   {"forecast", &Planner::forecast}};
    if (const auto found = plans.find(name); found != plans.end()) stage(name, [&] { (this->*found->second)(); });
  }

  void network() {
    const NetworkPlanText plan = plan_network(*run_file.sections.plan);
    record["plan"] = plan.record;
    text += plan.text;
  }
  void step(const StepPlanWords& words) {
    const NetworkPlanText plan = plan_step(*run_file.sections.plan, words);
    record["step"] = plan.record;
    text += plan.text;
  }
  void simulate() {
    const auto plan = model::plan_simulate(*run_file.sections.simulate, ranks);
    record["simulate"] = {{"steps_per_member", plan.steps_per_member},
                          {"time_step_seconds", plan.time_step},
                          {"memory_bytes_per_rank", plan.memory_bytes},
                          {"output_bytes", plan.output_bytes}};
    text += fmt::format("simulate: {} steps of {} s a member on {}x{}; {} a rank; {} of output before compression\n",
                        plan.steps_per_member, plan.time_step, plan.rows, plan.columns, mebibytes(plan.memory_bytes),
                        mebibytes(plan.output_bytes));
  }
  void ingest() {
    const auto& config = *run_file.sections.ingest;
    const std::optional<model::ArchiveShape> shape = coming_archive(run_file.sections);
    if (shape && !sources_are_there(config)) return coming_ingest(*shape);
    const auto plan = ingest::plan_ingest(config);
    record["ingest"] = {{"times", plan.times()},
                        {"channels", plan.layout.channels.size()},
                        {"grid", plan.layout.grid.to_string()},
                        {"units", plan.units.size()},
                        {"bytes_read", plan.bytes_read},
                        {"bytes_on_disk", plan.bytes_on_disk},
                        {"memory_bytes_per_rank", plan.memory_per_rank}};
    text += "ingest:\n" + plan.to_string();
  }
  /// The sources are still to come: what the run file alone tells.
  void coming_ingest(const model::ArchiveShape& shape) {
    const std::size_t state = shape.channels.size() * shape.grid.size() * sizeof(float);
    record["ingest"] = {{"times", shape.times.size()},
                        {"channels", shape.channels.size()},
                        {"grid", shape.grid.to_string()},
                        {"bytes_as_floats", state * shape.times.size()}};
    text +=
        fmt::format("ingest: {} times of {} channels on {}: {} as floats, a time {}; the sources are not there yet\n",
                    shape.times.size(), shape.channels.size(), shape.grid.to_string(),
                    mebibytes(state * shape.times.size()), mebibytes(state));
  }
  void train() {
    const std::optional<model::ArchiveShape> shape = coming_archive(run_file.sections);
    const bool there = std::filesystem::exists(directory.archive() / "archive.json");
    const auto plan = shape && !there ? model::plan_train(*run_file.sections.train, *shape, ranks)
                                      : model::plan_train(*run_file.sections.train, directory.archive(), ranks);
    record["train"] = {{"parameters", plan.parameters},
                       {"examples", plan.examples},
                       {"steps", plan.steps},
                       {"flops_per_step", plan.flops_per_step},
                       {"memory_bytes_per_rank", plan.memory_bytes()},
                       {"network_bytes", plan.network_bytes},
                       {"buffer_bytes", plan.buffer_bytes},
                       {"batch_bytes", plan.batch_bytes},
                       {"cache_bytes", plan.cache_bytes},
                       {"recompute", plan.recompute.to_string()},
                       {"memory_limit_bytes", plan.memory_limit},
                       {"fits", plan.fits},
                       {"checkpoint_bytes", plan.checkpoint_bytes},
                       {"disk_bytes", plan.disk_bytes}};
    text += fmt::format(
        "train: {} parameters, {} examples, {} steps of {:.3g} GFLOP; {} a rank (network {}, buffers {}, batches {}, "
        "cache {}), {} computed again in the backward pass{}; {} on disk\n",
        plan.parameters, plan.examples, plan.steps, plan.flops_per_step / 1e9, mebibytes(plan.memory_bytes()),
        mebibytes(plan.network_bytes), mebibytes(plan.buffer_bytes), mebibytes(plan.batch_bytes),
        mebibytes(plan.cache_bytes), plan.recompute.to_string(),
        plan.fits ? "" : fmt::format(", more than the {} there are", mebibytes(plan.memory_limit)),
        mebibytes(plan.disk_bytes));
  }
  void distill() {
    const auto& config = *run_file.sections.distill;
    const auto plan =
        model::plan_distill(config, config.teacher ? std::filesystem::path(*config.teacher) : directory.model());
    record["distill"] = {{"teacher_parameters", plan.teacher_parameters},
                         {"parameters", plan.parameters},
                         {"steps", plan.steps},
                         {"flops", plan.flops},
                         {"memory_bytes_per_rank", plan.memory_bytes()},
                         {"teacher_bytes", plan.teacher_bytes},
                         {"student_bytes", plan.student_bytes},
                         {"cache_bytes", plan.cache_bytes},
                         {"disk_bytes", plan.disk_bytes}};
    text += fmt::format(
        "distill: {} parameters ({:.1f} times fewer than the teacher's), {} steps, {:.3g} GFLOP on one rank; {} "
        "(teacher {}, student {}, its teacher's runs {}); {} on disk\n",
        plan.parameters, static_cast<double>(plan.teacher_parameters) / static_cast<double>(plan.parameters),
        plan.steps, plan.flops / 1e9, mebibytes(plan.memory_bytes()), mebibytes(plan.teacher_bytes),
        mebibytes(plan.student_bytes), mebibytes(plan.cache_bytes), mebibytes(plan.disk_bytes));
  }
  void cycle() {
    const auto plan = assimilation::plan_cycle(run_file.sections.cycle->config(), ranks);
    record["cycle"] = {
        {"cycles", plan.cycles},
        {"analyses", plan.analyses},
        {"members", plan.members},
        {"members_per_rank", plan.members_per_rank},
        {"state_size", plan.state_size},
        {"model_steps", plan.model_steps},
        // Steps of the embedded atmosphere are not counted: a time limit must not come from analyses alone.
        {run_file.sections.cycle->config().core ? "analysis_flops" : "flops", plan.flops},
        {"memory_bytes_per_rank", plan.memory_bytes},
        {"traffic_bytes_per_analysis", plan.traffic_bytes},
        {"disk_bytes", plan.disk_bytes}};
    if (plan.observations > 0) record["cycle"]["observations"] = plan.observations;
    text += fmt::format(
        "cycle: {} cycles, {} way(s) of analysing, {} members of {} numbers, {} a rank at most; {:.0f} steps of the "
        "model; {:.3g} GFLOP{}; {} a rank, which sends {} in an analysis; {} on disk; {}\n",
        plan.cycles, plan.analyses, plan.members, plan.state_size, plan.members_per_rank, plan.model_steps,
        plan.flops / 1e9, run_file.sections.cycle->config().core ? " in analyses" : "", mebibytes(plan.memory_bytes),
        mebibytes(plan.traffic_bytes), mebibytes(plan.disk_bytes),
        plan.observations > 0 ? fmt::format("at most {} values a cycle", plan.observations)
                              : "how many values the files hold is not known before they are read");
  }
  void forecast() {
    const auto plan =
        inference::plan_forecast(*run_file.sections.forecast, directory.archive(), directory.model(), ranks);
    record["forecast"] = {{"initial_times", plan.initial_times},
                          {"members", plan.members},
                          {"leads", plan.leads},
                          {"network_steps", plan.network_steps},
                          {"flops", plan.flops},
                          {"memory_bytes_per_rank", plan.memory_bytes()},
                          {"output_bytes", plan.output_bytes}};
    text += fmt::format(
        "forecast: {} initial times x {}{} leads, {} network steps, {:.3g} GFLOP; {} a rank; {} of output before "
        "compression\n",
        plan.initial_times, plan.members > 1 ? fmt::format("{} members x ", plan.members) : "", plan.leads,
        plan.network_steps, plan.flops / 1e9, mebibytes(plan.memory_bytes()), mebibytes(plan.output_bytes));
  }
};

}  // namespace

config::Json plan_stage(const RunFile& run_file, const RunDirectory& directory, const std::string& stage, int ranks) {
  Planner planner{run_file, directory, ranks};
  planner.plan(stage);
  return planner.record.contains(stage) ? planner.record[stage] : Json::object();
}

Verb plan_verb() {
  struct Words : RunFileWords {
    int ranks = 0;
    StepPlanWords step;
  };
  return {"plan", "What a run would do: steps, memory of a rank, size on disk", "zonda plan configs/quickstart.yaml",
          [](CLI::App& command, Session& session) {
            auto words = std::make_shared<Words>();
            words->plan_suffices = true;
            add_run_file_words(command, *words);
            command.add_option("--ranks", words->ranks, "Number of ranks to plan for; default: those of this call")
                ->check(CLI::Range(1, 1 << 20));
            CLI::Option* system =
                command.add_option("--system", words->step.system,
                                   "Description of a machine (configs/systems): time, traffic and memory of a step of "
                                   "training there, for a file with a section `plan`");
            command.add_option("--mesh", words->step.mesh, "With --system: `spatial=8,tensor=2`; data takes the rest")
                ->needs(system);
            command.add_option("--zero", words->step.zero, "With --system: stage of ZeRO")
                ->needs(system)
                ->check(CLI::Range(1, 3));
            command
                .add_option("--batch", words->step.batch,
                            "With --system: samples of a step; default: one "
                            "micro-batch for each data rank")
                ->needs(system)
                ->check(CLI::Range(1, 1 << 30));
            command.add_option("--recompute", words->step.recompute, "With --system: none, mlp or block")
                ->needs(system)
                ->check(CLI::IsMember({"none", "mlp", "block"}));
            return [&session, words] {
              const RunFile run_file = load_run_file(*words);
              const RunDirectory directory{run_file.directory()};
              Planner planner{run_file, directory, words->ranks > 0 ? words->ranks : session.world.size()};
              for (const std::string& stage : run_file.stages()) planner.plan(stage);
              if (!words->step.system.empty()) {
                require_section(run_file, run_file.sections.plan.has_value(), "plan");
                words->step.ranks = planner.ranks;
                planner.step(words->step);
              } else if (run_file.sections.plan) {
                planner.network();
              }
              print_result(session, session.json ? planner.record.dump(2) : planner.text);
            };
          }};
}

}  // namespace zonda::app
