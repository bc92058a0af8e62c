#pragma once
// Which matrices of a regional model may be int8: forecasts with int8 products are compared with those in fp32,
// variable by variable, and what costs too much stays as it is.
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "model/forecast_state/forecast_model.hpp"
#include "model/training/distillation/distill_config.hpp"
#include "model/training/distillation/teacher_runs.hpp"

namespace zonda::model {

struct Int8Verdict {
  struct Variable {
    std::string variable;
    double difference = 0;  ///< SI: RMS of int8 minus fp32 at the lead, on the interior
    double added = 0;       ///< SI: RMSE against the archive in int8 less that in fp32
    double stddev = 0;      ///< of the archive's statistics
    double percent() const { return 100 * difference / stddev; }
  };
  std::vector<Variable> variables{};
  std::vector<std::string> exact{};  ///< matrices that stay fp32, those that cost most first
  std::vector<std::string> int8{};   ///< the others
  std::size_t samples = 0;
  double limit_percent = 0;
  Duration lead{0};
  std::size_t bytes_fp32 = 0, bytes_int8 = 0;  ///< of all weights
  bool accepted() const;                       ///< every variable's percent is within the limit
};

/// Where load_model() and the export look for the verdict of a model: `int8.json` beside its folder.
std::filesystem::path int8_file(const std::filesystem::path& model);

/// Begins with all matrices of the blocks in int8 and takes out the one that alone costs most, until every variable is
/// within `config.percent` of its standard deviation. `model`: a folder; `examples`: calibration starts.
Int8Verdict choose_int8(const std::filesystem::path& model, TeacherRuns& teacher, std::span<const Time> times,
                        std::span<const Example> examples, Duration lead, const Int8Config& config);

nlohmann::json to_json(const Int8Verdict& verdict);
std::string to_text(const Int8Verdict& verdict);

}  // namespace zonda::model
