#include "core/provenance.hpp"

#include <fmt/chrono.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <ctime>
#include <nlohmann/json.hpp>

#include "build_info.hpp"

namespace zonda {

std::string code_version() {
  return ZONDA_VERSION;
}

std::string build_description() {
  return ZONDA_BUILD;
}

std::string history_line(std::string_view stage) {
  std::time_t now = std::time(nullptr);
  if (const char* epoch = std::getenv("SOURCE_DATE_EPOCH"))
    now = static_cast<std::time_t>(std::strtoll(epoch, nullptr, 10));
  return fmt::format("{:%FT%TZ} zonda {} {}", fmt::gmtime(now), code_version(), stage);
}

nlohmann::json provenance_record(int ranks) {
  nlohmann::json record;
  record["version"] = code_version();
  record["build"] = build_description();
  record["ranks"] = ranks;
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) == 0) record["host"] = host.data();
  nlohmann::json slurm = nlohmann::json::object();
  for (const char* name : {"SLURM_JOB_ID", "SLURM_JOB_NAME", "SLURM_JOB_NODELIST", "SLURM_ARRAY_TASK_ID",
                           "SLURM_RESTART_COUNT", "SLURM_CLUSTER_NAME"}) {
    if (const char* value = std::getenv(name)) slurm[name] = value;
  }
  record["slurm"] = slurm;
  return record;
}

std::size_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

}  // namespace zonda
