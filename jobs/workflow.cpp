#include "jobs/workflow.hpp"

#include <algorithm>

#include "core/error.hpp"

namespace zonda::jobs {

void Workflow::add(Stage stage) {
  for (const Stage& other : stages_) {
    if (other.name == stage.name) fail(ErrorKind::usage, "the workflow has a stage '{}' already", stage.name);
  }
  stages_.push_back(std::move(stage));
}

const Stage& Workflow::stage(const std::string& name) const {
  std::vector<std::string> names;
  for (const Stage& stage : stages_) {
    if (stage.name == name) return stage;
    names.push_back(stage.name);
  }
  throw Error(ErrorKind::usage, unknown_word("stage", name, names));
}

std::vector<std::size_t> Workflow::order() const {
  std::vector<std::string> names;
  for (const Stage& stage : stages_) names.push_back(stage.name);
  for (const Stage& stage : stages_) {
    for (const std::string& before : stage.after) {
      if (std::find(names.begin(), names.end(), before) == names.end()) {
        throw Error(ErrorKind::usage,
                    "stage '" + stage.name + "' waits for an " + unknown_word("stage", before, names));
      }
    }
  }
  std::vector<std::size_t> order;
  std::vector<bool> placed(stages_.size());
  while (order.size() < stages_.size()) {
    const std::size_t before = order.size();
    for (std::size_t i = 0; i < stages_.size() && order.size() == before; ++i) {
      if (placed[i]) continue;
      const bool free = std::all_of(stages_[i].after.begin(), stages_[i].after.end(), [&](const std::string& name) {
        return placed[static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin())];
      });
      if (!free) continue;
      placed[i] = true;
      order.push_back(i);
    }
    if (order.size() == before) {
      std::string waiting;
      for (std::size_t i = 0; i < stages_.size(); ++i) {
        if (!placed[i]) waiting += (waiting.empty() ? "" : ", ") + names[i];
      }
      fail(ErrorKind::usage, "these stages wait for one another: {}", waiting);
    }
  }
  return order;
}

}  // namespace zonda::jobs
