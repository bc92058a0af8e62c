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
  double loss = 0;  ///< of the first step, normalised, the squared or absolute error
  std::vector<std::string> channels;
  std::vector<Duration> leads;
  std::vector<std::vector<double>> rmse, persistence;  ///< [lead][channel], SI, area-weighted
};
/// Of the last lead: {loss, rmse: {channel: value}, persistence: {channel: value}}.
nlohmann::json to_json(const ValidationScores& scores);
/// Of all leads: [{lead_hours, rmse, persistence}].
nlohmann::json curve_to_json(const ValidationScores& scores);

class Validation {
 public:
  /// Initial times: at most `config.samples`, spread evenly over those of [first, last] that have all states needed.
  /// Leads are reached with the largest step that divides them all. Throws Error(data) if there is no such time,
  /// Error(usage) if no step divides the leads or a channel is unknown.
  Validation(const ingest::ArchiveReader& archive, const ForecastStep& step, FieldCache& cache,
             const ValidationConfig& config, std::vector<Duration> leads, Time first, Time last,
             const StepOptions& options);
  /// With the network's present values and without noise; a plan for `together` samples must stand. The samples are
  /// shared by the ranks of `communicator`, each of them by the network's slabs. Collective over both; equal bits on
  /// any number of ranks.
  ValidationScores run(ForecastNetwork& network, const parallel::Communicator& communicator, int together) const;
  std::size_t samples() const { return examples_.size(); }

 private:
  void load(Batch& group, std::size_t first, std::size_t samples) const;
  const ingest::ArchiveReader& archive_;
  const ForecastStep& step_;
  FieldCache& cache_;
  const StepOptions& options_;
  std::vector<Duration> leads_;  // ascending
  int count_;                    // steps to the last lead
  std::vector<Example> examples_;
  std::vector<std::size_t> channels_;
};

/// Bytes that a rollout of `samples` together to `lead` in steps of `step` holds.
std::size_t validation_bytes(const ForecastLayout& layout, std::size_t samples, Duration step, Duration lead);
/// The largest of `steps` that divides all leads; none: 0.
Duration step_to_leads(std::span<const Duration> steps, std::span<const Duration> leads);

}  // namespace zonda::model
