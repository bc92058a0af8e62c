#pragma once
// The report: index.html, which opens from disk, and its pictures.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/time.hpp"

namespace zonda::config {
class Table;
}

namespace zonda::postproc {

struct ReportConfig {
  std::string title;  ///< default: the run's name
  std::vector<std::string>
      channels;                   ///< of maps and curves; `wind250`, `10wind` for wind vectors; default: the usual ones
  std::vector<Duration> leads;    ///< of maps; default: 24 h and 72 h, or the nearest there are
  std::optional<Time> initial;    ///< of maps; default: the middle one of those that can be judged
  std::string region = "global";  ///< of curves and tables
  bool coastlines = true;         ///< off for planets without Earth's
};
void describe(config::Table& table, ReportConfig& config);

/// Reads what the run directory holds (scores.json, verification.json, spectra.json, metrics.jsonl or
/// checkpoints/metrics.jsonl, provenance.json, stages.json, config.full.yaml, forecast/, archive/) and writes
/// index.html and report/*.png into it. What an earlier stage did not make is left out, and the page says so. For one
/// rank. Throws Error(data) if a file is damaged or there is nothing to report; Error(usage) for a channel that was not
/// scored.
void write_report(const ReportConfig& config, const std::filesystem::path& run_dir);

}  // namespace zonda::postproc
