#pragma once
// What a band of rows brings to the scores of one pair of initial time and lead: sums that add up over bands.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "postproc/verification/field_sums.hpp"
#include "postproc/verification/score_sums.hpp"
#include "postproc/verification/spectrum.hpp"

namespace zonda::postproc {

/// The fields of one channel in a band, each `[row, lon]`; `members [member, row, lon]`.
struct BandFields {
  parallel::Range rows;
  std::span<const float> truth, initial, members;
  std::span<const double> climatology;
};

class BandSums {
 public:
  BandSums(const ScoringPlan& plan, const ScoreSums& scores);
  /// Numbers of all channels together.
  std::size_t width() const { return begin_.back(); }
  /// Adds one channel's. `tie` belongs to this initial time, lead, and channel alone: with a cell's number it breaks
  /// the ties of the rank histogram.
  void add(std::size_t channel, const BandFields& fields, std::uint64_t tie, std::span<double> sums);
  /// From the sums of all rows to the scores of this pair, added to those of its lead.
  void close(std::size_t lead, std::span<const double> sums, std::span<double> scores) const;

 private:
  struct RegionSums {
    FieldSums forecast{}, persistence{};
    double climatology_absolute = 0, crps = 0, variance = 0, debiased = 0;
  };
  static constexpr std::size_t region_width = sizeof(RegionSums) / sizeof(double);
  std::span<const float> mean_of_members(const BandFields& fields, std::vector<RegionSums>& regions);
  void add_ranks(const BandFields& fields, std::uint64_t tie, std::span<double> counts) const;
  std::size_t ranks_width() const { return scores_.members() > 1 ? scores_.members() + 1 : 0; }

  const ScoringPlan& plan_;
  const ScoreSums& scores_;
  ZonalSpectrumSum spectrum_;
  std::vector<std::size_t> begin_;     ///< of each channel: regions, ranks, spectra
  std::vector<std::size_t> spectral_;  ///< of each channel: its place among the spectral ones
  std::vector<float> mean_;
  std::vector<double> work_;
};

}  // namespace zonda::postproc
