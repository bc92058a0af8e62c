#pragma once
// The stage `distill`: a trained global model and an archive -> a regional model a fraction of its size.
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "model/training/distillation/distill_config.hpp"

namespace zonda::parallel {
class Communicator;
}

namespace zonda::model {

struct DistillSummary {
  std::filesystem::path model;
  std::int64_t steps = 0, teacher_parameters = 0, student_parameters = 0;
  nlohmann::json acceptance, int8;  ///< as written; int8 is null where it was not asked for
  std::string table;                ///< both for people
  bool nothing_to_do = false;
};

/// Learns from `teacher` (a model folder) and the archive, and writes into `directory`: `step-N/`, `LATEST`,
/// `metrics.jsonl` (the same bytes however often the run was stopped and resumed), at the end `model/` (the averaged
/// weights), `acceptance.json` and, where asked for, `int8.json`. Without `resume`, checkpoints of an unfinished run
/// there are an Error(usage); a finished run is left as it is, and judged again if its tables are missing. Collective:
/// rank 0 works, the others wait. Throws Interrupted after a stop signal, when a checkpoint has been written;
/// Error(data) for a teacher, archive or checkpoint that is damaged or of another kind; Error(numerical) when the loss
/// is not finite.
DistillSummary run_distill(const DistillConfig& config, const parallel::Communicator& communicator,
                           const std::filesystem::path& teacher, const std::filesystem::path& archive,
                           const std::filesystem::path& directory, bool resume);

struct DistillPlan {
  std::int64_t teacher_parameters = 0, parameters = 0, steps = 0;
  double flops = 0;               ///< of all steps and of the teacher's runs that are made for them
  std::size_t teacher_bytes = 0;  ///< its parameters and a pass
  std::size_t student_bytes = 0;  ///< its training, and the samples of a step
  std::size_t cache_bytes = 0, disk_bytes = 0;
  std::size_t memory_bytes() const { return teacher_bytes + student_bytes + cache_bytes; }
};
/// Throws Error(data) where there is no teacher yet.
DistillPlan plan_distill(const DistillConfig& config, const std::filesystem::path& teacher);

}  // namespace zonda::model
