#pragma once
// The sums behind the scores: every field is read once and all its scores, for all regions, are taken from it.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "core/time.hpp"
#include "parallel/communicator.hpp"
#include "parallel/layout/mesh.hpp"
#include "postproc/verification/forecast_list.hpp"
#include "postproc/verification/region.hpp"
#include "postproc/verification/score_record.hpp"

namespace zonda::ingest {
class Source;
}

namespace zonda::postproc {

class Climatology;
class FieldSeries;

struct ScoringPlan {
  const FieldSeries& truth;
  const Climatology& climatology;
  std::vector<ForecastStart> starts;  ///< those whose initial time is in the truth
  std::vector<Duration> leads;
  std::vector<std::size_t> channels;  ///< indices into truth.channels()
  std::vector<RegionWeights> regions;
  std::vector<std::size_t> spectral;  ///< indices into truth.channels(): zonal spectra are kept for these
  /// How a forecast file is opened.
  std::function<std::unique_ptr<ingest::Source>(const std::filesystem::path&)> open;
  std::uint64_t tie_seed = 1;  ///< of the ranks of truths that equal a member
};

/// Mean zonal spectra between 30 and 60 degrees of both hemispheres; of an ensemble the mean over its members'.
struct SpectrumRecord {
  Channel channel;
  double lead_hours;
  std::vector<double> forecast, truth;  ///< by wavenumber, (unit)^2 m
};

/// Rank histogram of an ensemble over the whole grid, each cell counting by its area.
struct RankRecord {
  Channel channel;
  double lead_hours;
  std::vector<double> frequencies;  ///< [members + 1], sum 1: how often so many members are below the truth
};

struct ScoringResult {
  std::vector<ScoreRecord> records;
  std::vector<SpectrumRecord> spectra;
  std::vector<RankRecord> ranks;     ///< of ensembles
  std::vector<std::size_t> samples;  ///< initial times that counted, per lead
};

/// Fields are added in so many bands of rows, however many ranks share them.
inline constexpr std::size_t row_bands = 16;

/// Initial times are shared out along the mesh's data axis in blocks, and each field's bands of rows along its spatial
/// axis; a block's times are added in order, blocks and bands over fixed trees, so the result has the same bits on any
/// mesh. A rank holds its rows of two states of truth and of one field a member, and its blocks' sums. A pair of
/// initial time and lead counts where the forecast and the truth both have the valid time. Collective. Throws
/// Error(data) on missing values, Error(numerical) on forecasts that are not finite.
ScoringResult score(const ScoringPlan& plan, const parallel::Mesh& mesh);

/// The name that wind-vector scores of `u` and `v` have: u -> wind, 10u -> 10wind. "" for variables without a partner,
/// and for v.
std::string wind_vector_name(const std::string& variable);

}  // namespace zonda::postproc
