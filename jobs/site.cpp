#include "jobs/site.hpp"

#include <algorithm>
#include <cctype>

#include "core/config/node.hpp"
#include "core/error.hpp"

namespace zonda::jobs {
namespace {

bool has_control_character(const std::string& text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return std::iscntrl(c) != 0; });
}

std::string one_line(const std::string& text) {
  return has_control_character(text) ? "expected one line without control characters" : "";
}

/// Options of sbatch, as they stand behind `#SBATCH`.
std::string sbatch_fault(const std::vector<std::string>& lines) {
  for (const std::string& line : lines) {
    if (!line.starts_with("-") || has_control_character(line))
      return fmt::format("'{}': expected an option of sbatch, such as --constraint=a100", line);
    for (const char* own : {"--array", "--dependency", "--requeue", "--no-requeue", "--signal", "--wrap", "--chdir"})
      if (line == own || line.starts_with(std::string(own) + "=") || line.starts_with(std::string(own) + " "))
        return fmt::format("'{}': Zonda sets this option itself", line);
  }
  return "";
}

std::string environment_fault(const std::vector<std::string>& assignments) {
  for (const std::string& text : assignments) {
    const std::string name = text.substr(0, text.find('='));
    const bool letters =
        std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) || c == '_'; });
    if (name.empty() || name.size() == text.size() || !letters || std::isdigit(static_cast<unsigned char>(name[0])) ||
        has_control_character(text))
      return fmt::format("'{}': expected NAME=VALUE", text);
  }
  return "";
}

std::string each_one_line(const std::vector<std::string>& lines) {
  for (const std::string& line : lines)
    if (line.empty() || has_control_character(line)) return fmt::format("'{}': expected one line of text", line);
  return "";
}

}  // namespace

Site::Site(const std::vector<std::string>& names) {
  for (const std::string& name : names) stages.emplace_back(name, StagePlacement{});
}

const StagePlacement& Site::placement(const std::string& stage) const {
  static const StagePlacement none;
  const auto found =
      std::find_if(stages.begin(), stages.end(), [&](const auto& entry) { return entry.first == stage; });
  return found == stages.end() ? none : found->second;
}

void describe(config::Table& table, StagePlacement& p) {
  table.key("nodes", p.nodes, "Nodes").range(1, 1 << 20);
  table.key("ranks_per_node", p.ranks_per_node, "Ranks on a node").range(1, 4096);
  table.key("cpus_per_rank", p.cpus_per_rank, "Cores of a rank").range(1, 4096);
  table.key("gpus_per_node", p.gpus_per_node, "GPUs on a node").range(0, 64);
  table.key("array", p.array, "Most jobs of the stage's array").range(1, 4096);
  table.key("memory_gib", p.memory_gib, "Memory of a node, GiB, instead of what the plan says").range(0.01, 1e6);
  table.key("time", p.time, "Time limit");
  table.key("sbatch", p.sbatch, "More options of sbatch");
  table.check("sbatch", [&p] { return sbatch_fault(p.sbatch); });
  table.check("time", [&p] { return p.time && *p.time < Duration{60} ? std::string("expected at least 1min") : ""; });
}

void describe(config::Table& table, StagePlacements& placements) {
  for (auto& [name, placement] : placements) table.section(name, placement, "The stage " + name);
}

void describe(config::Table& table, Site& s) {
  table.key("partition", s.partition, "Partition; default: the cluster's");
  table.key("account", s.account, "Account that is charged");
  table.key("qos", s.qos, "Quality of service");
  table.key("nodes", s.nodes, "Nodes of a stage").range(1, 1 << 20);
  table.key("ranks_per_node", s.ranks_per_node, "Ranks on a node").range(1, 4096);
  table.key("cpus_per_rank", s.cpus_per_rank, "Cores of a rank").range(1, 4096);
  table.key("gpus_per_node", s.gpus_per_node, "GPUs on a node").range(0, 64);
  table.key("array", s.array, "Most jobs of a stage that can be cut (forecast: over initial dates)").range(1, 4096);
  table
      .key("memory_gib", s.memory_gib,
           "Memory of a node, GiB, of stages whose plan does not know it yet; default: the cluster's")
      .range(0.01, 1e6);
  table.key("time", s.time, "Time limit of a stage; a stage that meets it continues in another job");
  table
      .key("gflops_per_rank", s.gflops_per_rank,
           "What a rank sustains, GFLOP/s; with it the plan's work gives the time limit")
      .range(1e-3, 1e9);
  table.key("launcher", s.launcher, "What starts the ranks").one_of({"srun", "mpirun"});
  table.key("mpi", s.mpi, "Type of srun's --mpi; empty: the cluster's default");
  table.key("launcher_options", s.launcher_options, "More options of the launcher");
  table.key("program", s.program, "Path of zonda on the nodes; default: the program that submits");
  table.key("container", s.container, "Words before the program: `apptainer exec --nv zonda.sif`");
  table.key("modules", s.modules, "Environment modules to load");
  table.key("environment", s.environment, "Variables, as NAME=VALUE");
  table.key("setup", s.setup, "Lines of shell before the program");
  table.key("sbatch", s.sbatch, "More options of sbatch, such as --constraint=a100");
  table.key("requeue_exit", s.requeue_exit,
            "slurm.conf has RequeueExit=75: jobs leave with 75 and are requeued; else they ask scontrol");
  table.key("restarts", s.restarts, "A job that was requeued so often fails").range(0, 1000);
  table.key("grace", s.grace, "Before the time limit jobs are told to save and go");
  table.key("cylc_platform", s.cylc_platform, "Platform of the cluster in Cylc's global.cylc (for the export)");
  table.section("stages", s.stages, "What single stages ask for");
  table.check("sbatch", [&s] { return sbatch_fault(s.sbatch); });
  table.check("environment", [&s] { return environment_fault(s.environment); });
  table.check("setup", [&s] { return each_one_line(s.setup); });
  table.check("modules", [&s] { return each_one_line(s.modules); });
  table.check("launcher_options", [&s] { return each_one_line(s.launcher_options); });
  table.check("container", [&s] { return one_line(s.container); });
  table.check("partition", [&s] { return one_line(s.partition); });
  table.check("account", [&s] { return one_line(s.account); });
  table.check("qos", [&s] { return one_line(s.qos); });
  table.check("time", [&s] { return s.time < Duration{60} ? std::string("expected at least 1min") : ""; });
  table.check("grace", [&s] {
    return s.grace < Duration{10} || s.grace > Duration{65535} ? std::string("expected 10s to 18h") : "";
  });
}

Site load_site(const std::filesystem::path& path, const std::vector<std::string>& stages) {
  Site site(stages);
  if (!path.empty()) config::read(config::read_yaml(path), site);
  return site;
}

std::string site_reference(const std::vector<std::string>& stages) {
  Site site(stages);
  config::Table table;
  describe(table, site);
  return "| key | type | default | meaning |\n|---|---|---|---|\n" + table.reference();
}

}  // namespace zonda::jobs
