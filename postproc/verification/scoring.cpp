#include "postproc/verification/scoring.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"
#include "core/progress.hpp"
#include "core/signals.hpp"
#include "ingest/sources/source.hpp"
#include "parallel/canonical.hpp"
#include "parallel/layout/mesh.hpp"
#include "parallel/partition.hpp"
#include "parallel/together.hpp"
#include "postproc/verification/band_sums.hpp"
#include "postproc/verification/climatology.hpp"
#include "postproc/verification/field_series.hpp"

namespace zonda::postproc {
namespace {

constexpr std::size_t most_blocks = 128;  // bounds a rank's memory; more ranks than this would idle

/// The rows of a grid in bands that do not depend on the number of ranks; each rank of `slabs` has some of them.
class Bands {
 public:
  Bands(const Grid& grid, const parallel::Communicator& slabs)
      : grid_(grid),
        count_(std::min(row_bands, grid.nlat())),
        own_(parallel::partition(count_, static_cast<std::size_t>(slabs.size()),
                                 static_cast<std::size_t>(slabs.rank()))) {}
  std::size_t count() const { return count_; }
  std::size_t own() const { return own_.size(); }
  parallel::Range band(std::size_t i) const { return parallel::partition(grid_.nlat(), count_, own_.begin + i); }
  parallel::Range rows() const {
    return own_.size() == 0 ? parallel::Range{0, 0} : parallel::Range{band(0).begin, band(own_.size() - 1).end};
  }

 private:
  const Grid& grid_;
  std::size_t count_;
  parallel::Range own_;
};

class Scorer {
 public:
  Scorer(const ScoringPlan& plan, const ScoreSums& scores, const parallel::Communicator& slabs)
      : plan_(plan),
        slabs_(slabs),
        members_(scores.members()),
        bands_(plan.truth.grid(), slabs),
        points_(bands_.rows().size() * plan.truth.grid().nlon()),
        sums_(plan, scores),
        initial_(plan.channels.size() * points_),
        truth_(plan.channels.size() * points_),
        ensemble_(members_ * points_),
        climatology_(points_),
        of_bands_(bands_.own() * sums_.width()),
        of_pair_(sums_.width()) {}

  /// Collective over the slabs: all leads of one initial time.
  void add(const ForecastStart& start, std::span<double> scores) {
    std::vector<std::unique_ptr<ingest::Source>> sources;
    parallel::together(slabs_, [&] {
      read_truth(start.initial, initial_);
      for (const ForecastFile& file : start.members) sources.push_back(plan_.open(file.path));
    });
    for (std::size_t lead = 0; lead < plan_.leads.size(); ++lead) {
      const Time valid = start.initial + plan_.leads[lead];
      const bool forecast_has = std::all_of(start.members.begin(), start.members.end(), [&](const ForecastFile& file) {
        return std::binary_search(file.valid_times.begin(), file.valid_times.end(), valid);
      });
      if (!forecast_has || !plan_.truth.find_time(valid)) continue;
      std::fill(of_bands_.begin(), of_bands_.end(), 0.0);
      parallel::together(slabs_, [&] {
        read_truth(valid, truth_);
        for (std::size_t c = 0; c < plan_.channels.size(); ++c) add_channel(start, sources, lead, c, valid);
      });
      parallel::canonical_all_reduce(slabs_, bands_.count(), sums_.width(), std::span<const double>(of_bands_),
                                     std::span<double>(of_pair_));
      sums_.close(lead, of_pair_, scores);
    }
  }

 private:
  void read_truth(Time time, std::vector<float>& state) const {
    const std::size_t at = plan_.truth.find_time(time).value();
    const parallel::Range rows = bands_.rows();
    if (rows.size() == 0) return;
    bool in_order = plan_.channels.size() == plan_.truth.channels().size();
    for (std::size_t c = 0; c < plan_.channels.size(); ++c) in_order = in_order && plan_.channels[c] == c;
    if (in_order) {
      plan_.truth.read(at, rows.begin, rows.end, state);
    } else {
      for (std::size_t c = 0; c < plan_.channels.size(); ++c)
        plan_.truth.read_channel(at, plan_.channels[c], rows.begin, rows.end,
                                 std::span(state).subspan(c * points_, points_));
    }
  }

  void read_member(const ingest::Source& source, const ForecastFile& file, const Channel& channel, Time valid,
                   std::span<float> values) const {
    const auto key = std::find_if(source.fields().begin(), source.fields().end(), [&](const ingest::FieldKey& k) {
      return k.channel == channel && k.valid_time == valid && k.reference_time == file.initial &&
             k.member == file.member;
    });
    if (key == source.fields().end())
      fail(ErrorKind::data, "{}: {} is missing at {}", file.path.string(), channel.name(), to_string(valid));
    source.read_rows(*key, bands_.rows().begin, bands_.rows().end, values);
    for (const float value : values)
      if (!std::isfinite(value))
        fail(ErrorKind::numerical, "{}: {} at {} is not finite", file.path.string(), channel.name(), to_string(valid));
  }

  void add_channel(const ForecastStart& start, const std::vector<std::unique_ptr<ingest::Source>>& sources,
                   std::size_t lead, std::size_t c, Time valid) {
    if (points_ == 0) return;
    const Channel& channel = plan_.truth.channels()[plan_.channels[c]];
    const auto truth = std::span<const float>(truth_).subspan(c * points_, points_),
               initial = std::span<const float>(initial_).subspan(c * points_, points_);
    for (std::size_t i = 0; i < points_; ++i)
      if (!std::isfinite(truth[i]) || !std::isfinite(initial[i]))
        fail(ErrorKind::data, "the archive has a missing value of {} at {} or {}", channel.name(),
             to_string(start.initial), to_string(valid));
    const std::size_t nlon = plan_.truth.grid().nlon(), first_row = bands_.rows().begin;
    plan_.climatology.evaluate(plan_.channels[c], valid, first_row * nlon, climatology_);
    for (std::size_t m = 0; m < members_; ++m)
      read_member(*sources[m], start.members[m], channel, valid, std::span(ensemble_).subspan(m * points_, points_));
    const auto hour = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::hours>(start.initial.time_since_epoch()).count());
    const std::uint64_t tie = (hour * plan_.leads.size() + lead) * plan_.channels.size() + c;
    std::vector<float> members;
    for (std::size_t i = 0; i < bands_.own(); ++i) {
      const parallel::Range rows = bands_.band(i);
      const std::size_t first = (rows.begin - first_row) * nlon, count = rows.size() * nlon;
      members.clear();
      for (std::size_t m = 0; m < members_; ++m) {
        const auto of_member = ensemble_.begin() + static_cast<std::ptrdiff_t>(m * points_ + first);
        members.insert(members.end(), of_member, of_member + static_cast<std::ptrdiff_t>(count));
      }
      sums_.add(c,
                {rows, truth.subspan(first, count), initial.subspan(first, count), members,
                 std::span<const double>(climatology_).subspan(first, count)},
                tie, std::span(of_bands_).subspan(i * sums_.width(), sums_.width()));
    }
  }

  const ScoringPlan& plan_;
  const parallel::Communicator& slabs_;
  std::size_t members_;
  Bands bands_;
  std::size_t points_;  ///< of this rank's rows
  BandSums sums_;
  std::vector<float> initial_, truth_, ensemble_;
  std::vector<double> climatology_, of_bands_, of_pair_;
};

}  // namespace

ScoringResult score(const ScoringPlan& plan, const parallel::Mesh& mesh) {
  const parallel::Communicator &times = mesh.along(parallel::Axis::data), &slabs = mesh.along(parallel::Axis::spatial);
  const std::size_t blocks = std::min(plan.starts.size(), most_blocks);
  const auto mine =
      parallel::partition(blocks, static_cast<std::size_t>(times.size()), static_cast<std::size_t>(times.rank()));
  const ScoreSums scores(plan);
  Scorer scorer(plan, scores, slabs);
  std::vector<double> sums(mine.size() * scores.width(), 0.0);
  int kind = 0;
  std::string message;
  std::int64_t stop = 0;
  try {
    Progress progress("verify", static_cast<std::int64_t>(mine.size()), "block");
    for (std::size_t block = mine.begin; block < mine.end && stop == 0; ++block) {
      const auto range = parallel::partition(plan.starts.size(), blocks, block);
      const auto own = std::span(sums).subspan((block - mine.begin) * scores.width(), scores.width());
      for (std::size_t i = range.begin; i < range.end && stop == 0; ++i) {
        scorer.add(plan.starts[i], own);
        stop = stop_requested().value_or(0);
        slabs.all_reduce(std::span(&stop, 1), parallel::Reduction::max).wait();
      }
      progress.update(static_cast<std::int64_t>(block - mine.begin) + 1);
    }
    if (stop == 0) progress.finish();
  } catch (const Error& error) {
    kind = error.exit_code();
    message = error.what();
  }
  mesh.world().agree(kind, message);
  mesh.world().all_reduce(std::span(&stop, 1), parallel::Reduction::max).wait();
  if (stop != 0) throw Interrupted(static_cast<int>(stop), "verification stopped; run it again to redo it");
  std::vector<double> total(scores.width());
  parallel::canonical_all_reduce(times, blocks, scores.width(), std::span<const double>(sums), total);
  return scores.result(total);
}

}  // namespace zonda::postproc
