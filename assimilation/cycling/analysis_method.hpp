#pragma once
// How a cycle turns background members into analysis members.
#include <functional>
#include <memory>

#include "assimilation/atmosphere/atmosphere_model.hpp"
#include "assimilation/cycling/cycle_config.hpp"
#include "assimilation/ensemble/ensemble.hpp"
#include "assimilation/interfaces/covariance.hpp"
#include "assimilation/interfaces/observations.hpp"
#include "assimilation/variational/window.hpp"
#include "parallel/communicator.hpp"

namespace zonda::assimilation {

/// How a variational analysis turned departures into its increment: the window, its states at the window's beginning
/// and the covariance; and the states that forecasts from background and analysis start with, the increment's.
struct AnalysisGain {
  Window window;
  Vector background, analysis;
  std::shared_ptr<const Covariance> covariance;
  Time start;
  Vector from_background, from_analysis;
};

/// What an analysis tells of itself.
struct AnalysisNotes {
  Vector costs;                ///< the cost function before each outer iteration and at the end; variational methods
  std::size_t iterations = 0;  ///< inner ones, all together
  Vector window_start = {};  ///< the analysed state at the window's beginning, of methods that move increments in time
  std::shared_ptr<const AnalysisGain> gain = {};  ///< where the input asks for it; variational methods
};

struct AnalysisInput {
  const Observations& observations;  ///< of states like those of `observed`
  std::size_t cycle;
  Time time;
  const Ensemble& observed;            ///< members, or where a window has several states those one after another
  const std::vector<TimeSlot>& slots;  ///< the same observations by the model's steps from `window_begin`; none: all
                                       ///< are of `time`
  ConstView window_start = {};         ///< the mean of the members at `window_begin`; empty where nothing is known
  Time window_begin = {};
  bool with_gain = false;  ///< wanted in the notes
};

class AnalysisMethod {
 public:
  virtual ~AnalysisMethod() = default;
  /// Whether analyse() takes the state that the background began with, where a window has one state alone.
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
