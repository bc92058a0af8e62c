#pragma once
// What the teacher makes of the archive's states, on the region: its states at the steps of a rollout and, of each
// pass, the tokens its blocks give. Made when first asked for and kept up to a bound: results do not depend on it.
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "model/forecast_state/forecast_model.hpp"
#include "model/training/distillation/regional_crop.hpp"
#include "model/training/sampler.hpp"

namespace zonda::ingest {
class ArchiveReader;
}

namespace zonda::model {

class TeacherRuns {
 public:
  /// One step of the teacher.
  struct Pass {
    std::vector<float> state;                  ///< x(t + d) on the region, [channel, lat, lon], normalised
    std::vector<std::vector<float>> features;  ///< [block asked for][token, width] of the region's tokens
  };
  using Run = std::vector<Pass>;
  using Field = std::shared_ptr<const std::vector<float>>;

  /// `blocks`: whose output is kept. `bytes`: of runs and fields kept in memory. All must outlive this. Throws
  /// Error(data) where the archive is not of the teacher's grid and channels.
  TeacherRuns(ForecastModel& teacher, const ingest::ArchiveReader& archive, const RegionalCrop& crop,
              std::vector<std::size_t> blocks, std::size_t bytes);
  ~TeacherRuns();
  TeacherRuns(const TeacherRuns&) = delete;
  TeacherRuns& operator=(const TeacherRuns&) = delete;

  /// The archive's state on the region, normalised [channel, lat, lon]. Throws Error(data) naming channel and time of a
  /// value that is not finite.
  Field truth(std::size_t time_index);
  /// At least `count` steps from an example's time, from the archive's states there and one step before.
  std::shared_ptr<const Run> run(const Example& example, std::size_t count, bool features);
  /// Forgets the runs.
  void forget();

 private:
  std::vector<float> whole_state(std::size_t time_index) const;
  Run make(const Example& example, std::size_t count, bool features);
  std::size_t bytes_of(const Run& run) const;

  ForecastModel& teacher_;
  const ingest::ArchiveReader& archive_;
  const RegionalCrop& crop_;
  const ForecastStep step_;
  const std::vector<std::size_t> blocks_;
  const std::size_t bound_;
  std::size_t held_ = 0;
  std::map<std::size_t, Field> truths_;
  struct Kept {
    bool features;
    std::shared_ptr<const Run> run;
  };
  std::map<std::pair<std::size_t, std::int64_t>, Kept> runs_;
  Pass* filling_ = nullptr;  // takes the tokens of the pass that is being made
};

}  // namespace zonda::model
