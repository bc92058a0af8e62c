#pragma once
// How a cycle turns background members into analysis members.
#include <functional>
#include <memory>

#include "assimilation/atmosphere/atmosphere_model.hpp"
#include "assimilation/cycling/cycle_config.hpp"
#include "assimilation/ensemble/ensemble.hpp"
#include "assimilation/interfaces/observations.hpp"
#include "parallel/communicator.hpp"

namespace zonda::assimilation {

/// What an analysis tells of itself.
struct AnalysisNotes {
  Vector costs;                ///< the cost function before each outer iteration and at the end; variational methods
  std::size_t iterations = 0;  ///< inner ones, all together
};

struct AnalysisInput {
  const Observations& observations;
  std::size_t cycle;
  Time time;
  ConstView window_start = {};  ///< the state at `window_begin`, on the root; empty in the first cycle
  Time window_begin = {};
};

class AnalysisMethod {
 public:
  virtual ~AnalysisMethod() = default;
  /// Whether analyse() takes the state that the background began with.
  virtual bool wants_window() const { return false; }
  /// What it has learned in its analyses, for a restart; alike on all ranks. Empty: nothing.
  virtual ConstView learned() const { return {}; }
  virtual void restore(ConstView learned) { require_size("what an analysis has learned", learned.size(), 0); }
  /// `ensemble` holds this rank's members. Collective.
  virtual AnalysisNotes analyse(Ensemble& ensemble, const AnalysisInput& input) const = 0;
};

/// By AnalysisConfig::method; null for `none`. `samples`: of background errors, where a static covariance is learned.
std::unique_ptr<AnalysisMethod> make_analysis_method(const AnalysisConfig& config, const AtmosphereModel& model,
                                                     bool learned, const std::function<std::vector<Vector>()>& samples,
                                                     const parallel::Communicator& communicator);

}  // namespace zonda::assimilation
