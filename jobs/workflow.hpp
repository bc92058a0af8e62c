#pragma once
// A workflow: named stages and what each must wait for. It knows nothing of what a stage does.
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace zonda::jobs {

struct Stage {
  std::string name;
  std::vector<std::string> after;  ///< stages that must be done before
  std::string fingerprint;         ///< changes when the stage's result would: SHA-256 of its configuration
  std::function<void()> body;
  std::vector<std::filesystem::path> results;  ///< without them the stage is not done, whatever the records say
  std::size_t pieces = 1;                      ///< into so many shares independent jobs may cut it
  std::size_t most_ranks = 0;                  ///< more would idle; 0: no bound
};

class Workflow {
 public:
  /// Throws Error(usage) if the name is taken.
  void add(Stage stage);
  const std::vector<Stage>& stages() const { return stages_; }
  /// Throws Error(usage) with the names there are.
  const Stage& stage(const std::string& name) const;
  /// Indices in an order that respects `after`, in the order of adding where free. Throws Error(usage) on an unknown
  /// name or a cycle, naming it.
  std::vector<std::size_t> order() const;

 private:
  std::vector<Stage> stages_;
};

}  // namespace zonda::jobs
