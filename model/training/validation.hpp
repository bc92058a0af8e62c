#pragma once
// Validation while training: loss, and RMSE at one lead beside persistence's, over initial times kept back from
// training.
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "model/training/batch_loader.hpp"
#include "model/training/train_config.hpp"
#include "model/training/training_step.hpp"
#include "parallel/communicator.hpp"

namespace zonda::model {

struct ValidationScores {
  double loss = 0;  ///< of the first step, normalised as in training
  std::vector<std::string> channels;
  std::vector<double> rmse, persistence;  ///< [channel], SI, at `lead`, area-weighted
};
nlohmann::json to_json(const ValidationScores& scores);

class Validation {
 public:
  /// Initial times: at most `config.samples`, spread evenly over those of [first, last] that have all states needed.
  /// Throws Error(data) if there is none, Error(usage) if no step divides the lead or a channel is unknown.
  Validation(const ingest::ArchiveReader& archive, const ForecastStep& step, FieldCache& cache,
             const ValidationConfig& config, Time first, Time last, const StepOptions& options);
  /// With the network's present values; a plan for `micro_batch` samples must stand. Collective; equal bits on any
  /// number of ranks.
  ValidationScores run(ForecastNetwork& network, const parallel::Communicator& communicator, int micro_batch) const;
  std::size_t samples() const { return examples_.size(); }

 private:
  const ingest::ArchiveReader& archive_;
  const ForecastStep& step_;
  FieldCache& cache_;
  const StepOptions& options_;
  int count_;  ///< steps to the lead
  std::vector<Example> examples_;
  std::vector<std::size_t> channels_;
};

}  // namespace zonda::model
