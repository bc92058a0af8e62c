#pragma once
// Trajectories: states at leads, each made by one step of the network from two earlier ones, for several initial times
// at once.
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/time.hpp"
#include "model/forecast_state/forecast_model.hpp"
#include "model/tensor/staging.hpp"

namespace zonda::model {
class SpectralTaper;
}

namespace zonda::inference {

class SlabFields;

/// How leads are reached with a model that knows several steps d.
enum class Strategy {
  homogeneous_mean,  ///< the mean of the rollouts with one d each, over those d that divide the lead
  largest_step,      ///< one rollout; each lead is reached with the largest d that divides it, so steps are few
  fixed              ///< one rollout with one d
};
struct StepPlan {
  Strategy strategy;
  std::vector<Duration> steps;  ///< ascending; those in use
};
/// `mean`, `largest-step`, or one of the model's steps (`6h`). Steps longer than `lead` are left out. Throws
/// Error(usage) naming what is known, or if some output lead cannot be reached.
StepPlan plan_steps(const std::string& strategy, std::span<const Duration> model_steps, Duration lead,
                    Duration output_step);

struct TrajectoryStart {
  Time initial;
  int member = 0;  ///< counted from 1; 0: the forecast without noise
};

struct TrajectoryOptions {
  bool bounds = true;                           ///< every state is kept within its physical bounds
  const model::SpectralTaper* taper = nullptr;  ///< of what each step adds to the fields that are fed back
  std::uint64_t seed = 1;                       ///< of the members' noise
  const SlabFields* slabs = nullptr;            ///< ranks that share every state; none: this one has whole states
};

/// Normalised states [sample, channel, row, lon] by lead, of the step's rows, in the network's memory; leads at and
/// below zero are given.
class Trajectories {
 public:
  Trajectories(model::ForecastModel& model, const model::ForecastStep& step, const StepPlan& plan,
               std::vector<TrajectoryStart> starts, TrajectoryOptions options = {});
  /// Leads at or before 0 that must be given: 0 and -d for each step.
  std::vector<Duration> leads_needed() const;
  /// `fields` as the member comment says. Every lead of leads_needed() once, before the first advance.
  void give(Duration lead, const std::vector<float>& fields);
  /// Makes all states at the next lead (leads grow by the smallest step).
  void advance();
  Duration lead() const { return lead_; }
  /// The forecast at lead(): by the plan's strategy. `out` normalised, [sample, channel, row, lon].
  void forecast(std::vector<float>& out) const;
  std::size_t samples() const { return starts_.size(); }

 private:
  using History = std::map<Duration, model::Buffer>;
  void step_to(History& history, Duration d);
  void assemble(model::Context& ctx, Duration from, Duration d, const model::Tensor& previous,
                const model::Tensor& current);
  model::Tensor noise_of(Duration from, Duration d);
  void taper(const model::Tensor& current, const model::Tensor& next);
  void forget(History& history, Duration before);
  model::Buffer take();
  model::Tensor state(const model::Buffer& buffer) const;

  model::ForecastModel& model_;
  const model::ForecastStep& step_;
  const StepPlan plan_;
  const std::vector<TrajectoryStart> starts_;
  const TrajectoryOptions options_;
  std::vector<History> histories_;  ///< one a homogeneous rollout, else one
  std::vector<model::Buffer> free_;
  Duration lead_{0};
  model::Arena scratch_;
  model::Staging known_;  ///< [sample, static + 2 forcing, lat, lon]
  model::Staging condition_;
  std::optional<model::Staging> noise_;  ///< [sample, noise], of members
  model::Buffer input_, output_;
  mutable std::vector<float> host_;
  std::vector<float> host_next_, increments_;  // of the taper
};

}  // namespace zonda::inference
