#pragma once
// Which stages of a run directory are done: stages.json, and stages/NAME.i-of-n.json for those cut into shares.
#include <cstddef>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/share.hpp"
#include "jobs/workflow.hpp"

namespace zonda::jobs {

/// How a stage, or a share of it, went.
struct StageRecord {
  std::string fingerprint;
  double seconds = 0;  ///< of all shares together
  std::size_t peak_memory_bytes = 0;
};

/// Where a stage, or a share of it, that failed by itself leaves its exit code: its launcher may report those of ranks
/// that it killed instead.
std::filesystem::path exit_code_file(const std::filesystem::path& run_directory, const std::string& stage, Share share);
/// Of an error that another try would meet again; those that would not (ErrorKind::temporary) leave none. Any rank.
void record_exit_code(const std::filesystem::path& run_directory, const std::string& stage, Share share, int exit_code);

/// What was left so: of a stage in shares, the first one's that failed.
std::optional<int> recorded_exit_code(const std::filesystem::path& run_directory, const std::string& stage,
                                      std::size_t shares);

class StageRecords {
 public:
  /// Reads what is there. Throws Error(data) for a damaged record.
  explicit StageRecords(std::filesystem::path run_directory);

  /// Done with this fingerprint, whole or in all its shares.
  bool done(const std::string& stage, const std::string& fingerprint) const;
  /// How many of `of` shares are done with this fingerprint.
  std::size_t shares_done(const std::string& stage, const std::string& fingerprint, std::size_t of) const;
  /// The stages whose records hold: done, results there, and all before them too.
  std::vector<std::string> finished(const Workflow& workflow) const;

  /// A share's record is a file of its own: the jobs of an array write at the same time.
  void add_share(const std::string& stage, Share share, const StageRecord& record) const;
  /// Adds a stage, drops all others but `kept`, and writes stages.json.
  void add(const std::string& stage, const StageRecord& record, const std::vector<std::string>& kept);

 private:
  /// The records of all shares of a cut into so many, by number.
  using Cut = std::map<std::size_t, StageRecord>;
  std::filesystem::path directory_;
  std::map<std::string, StageRecord> whole_;
  std::map<std::string, std::map<std::size_t, Cut>> cuts_;  ///< by stage and number of shares
};

}  // namespace zonda::jobs
