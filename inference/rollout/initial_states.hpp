#pragma once
// Where a forecast starts: states of the archive, or of anybody's files.
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/time.hpp"
#include "model/forecast_state/forecast_layout.hpp"
#include "parallel/partition.hpp"

namespace zonda::ingest {
struct NameMapping;
}

namespace zonda::inference {

class InitialStates {
 public:
  virtual ~InitialStates() = default;
  virtual bool holds(Time time) const = 0;
  /// Rows of the normalised state, `[channel, row, lon]` on the model's grid. Throws Error(data) naming what is
  /// missing.
  virtual void read(Time time, parallel::Range rows, std::span<float> state) const = 0;
  /// All times there are, ascending.
  virtual std::vector<Time> times() const = 0;
  virtual std::string describe() const = 0;
};

/// Throws Error(data) naming both values where grid, channels or static fields are not the model's.
std::unique_ptr<InitialStates> states_of_archive(const std::filesystem::path& archive_dir,
                                                 const model::ForecastLayout& layout);

/// Files of any kind that ingest reads; other grids are brought to the model's (bilinear; winds as vectors).
/// Throws Error(data) if a channel of the model is missing (names those there).
std::unique_ptr<InitialStates> states_of_files(const std::vector<std::filesystem::path>& paths,
                                               const ingest::NameMapping& mapping, const model::ForecastLayout& layout);

}  // namespace zonda::inference
