#pragma once
// How a cycle turns background members into analysis members.
#include <memory>

#include "assimilation/atmosphere/atmosphere_model.hpp"
#include "assimilation/cycling/cycle_config.hpp"
#include "assimilation/ensemble/ensemble.hpp"
#include "assimilation/interfaces/observations.hpp"
#include "parallel/communicator.hpp"

namespace zonda::assimilation {

/// What an analysis tells of itself.
struct AnalysisNotes {
  Vector costs;                ///< of the cost function before each outer iteration and at the end, where there is one
  std::size_t iterations = 0;  ///< inner ones, all together
};

struct AnalysisInput {
  const Observations& observations;
  std::size_t cycle;
};

class AnalysisMethod {
 public:
  virtual ~AnalysisMethod() = default;
  /// `ensemble` holds this rank's members. Collective.
  virtual AnalysisNotes analyse(Ensemble& ensemble, const AnalysisInput& input) const = 0;
};

/// By AnalysisConfig::method; null for `none`.
std::unique_ptr<AnalysisMethod> make_analysis_method(const AnalysisConfig& config, const AtmosphereModel& model,
                                                     bool learned, const parallel::Communicator& communicator);

}  // namespace zonda::assimilation
