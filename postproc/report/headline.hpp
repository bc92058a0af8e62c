#pragma once
// The closing table of a run: the model against persistence and climatology.
#include <optional>
#include <string>
#include <vector>

#include "postproc/verification/score_record.hpp"

namespace zonda::postproc {

/// The channels people look at first, of those that were scored: z500, t850, 2t, msl, wind at 850 and 250 hPa, 10wind,
/// q700, tp; the nearest level where that one is not there. Wind vectors are named as in wind_vector_name().
std::vector<Channel> key_channels(const ScoreTable& scores);

/// rmse, or wind_vector_rmse for wind vectors.
std::string error_metric(const Channel& channel);

/// 24 h, or the lead nearest to it.
double headline_lead(const ScoreTable& scores);

struct HeadlineRow {
  Channel channel;
  std::string label, unit;
  double lead_hours;
  double forecast, persistence, climatology;  ///< in `unit`
  bool best() const { return forecast < persistence && forecast < climatology; }
};
/// One row a key channel, root mean square errors over `region`.
std::vector<HeadlineRow> headline_rows(const ScoreTable& scores, double lead_hours,
                                       const std::string& region = "global");

/// For the terminal: rows at 24 h, then the first key channel at every further lead of whole days, and one sentence.
/// "" if there is no score.
std::string headline_table(const ScoreTable& scores, const std::string& region = "global");

}  // namespace zonda::postproc
