#include "postproc/verification/band_sums.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "postproc/verification/ensemble.hpp"
#include "postproc/verification/field_series.hpp"

namespace zonda::postproc {

BandSums::BandSums(const ScoringPlan& plan, const ScoreSums& scores)
    : plan_(plan), scores_(scores), spectrum_(plan.truth.grid()), begin_{0} {
  for (const std::size_t channel : plan.channels) {
    const auto found = std::find(plan.spectral.begin(), plan.spectral.end(), channel);
    spectral_.push_back(static_cast<std::size_t>(found - plan.spectral.begin()));
    const std::size_t spectra = found == plan.spectral.end() ? 0 : 2 * scores.waves();
    begin_.push_back(begin_.back() + plan.regions.size() * region_width + ranks_width() + spectra);
  }
}

std::span<const float> BandSums::mean_of_members(const BandFields& fields, std::vector<RegionSums>& regions) {
  const std::size_t points = fields.truth.size(), members = scores_.members();
  if (members == 1) return fields.members;
  mean_.resize(points);
  std::vector<double> crps(points), variance(points), debiased(points), point(members);
  for (std::size_t i = 0; i < points; ++i) {
    for (std::size_t m = 0; m < members; ++m) point[m] = fields.members[m * points + i];
    const EnsembleMoments moments = ensemble_moments(point);
    mean_[i] = static_cast<float>(moments.mean);
    variance[i] = moments.variance;
    debiased[i] = moments.debiased_squared_error(fields.truth[i]);
    crps[i] = fair_crps(point, fields.truth[i]);
  }
  for (std::size_t r = 0; r < regions.size(); ++r) {
    regions[r].crps = plan_.regions[r].sum(fields.rows, crps);
    regions[r].variance = plan_.regions[r].sum(fields.rows, variance);
    regions[r].debiased = plan_.regions[r].sum(fields.rows, debiased);
  }
  return mean_;
}

void BandSums::add_ranks(const BandFields& fields, std::uint64_t tie, std::span<double> counts) const {
  const Grid& grid = plan_.truth.grid();
  const std::size_t points = fields.truth.size(), members = scores_.members(), first = fields.rows.begin * grid.nlon();
  RankHistogram histogram(members, plan_.tie_seed);
  std::vector<double> point(members);
  for (std::size_t i = 0; i < points; ++i) {
    for (std::size_t m = 0; m < members; ++m) point[m] = fields.members[m * points + i];
    histogram.add(point, fields.truth[i], tie * grid.size() + first + i,
                  grid.row_weights()[(first + i) / grid.nlon()] / static_cast<double>(grid.size()));
  }
  for (std::size_t r = 0; r < counts.size(); ++r) counts[r] += histogram.counts()[r];
}

void BandSums::add(std::size_t channel, const BandFields& fields, std::uint64_t tie, std::span<double> sums) {
  const std::size_t count = plan_.regions.size(), nlon = plan_.truth.grid().nlon(), points = fields.truth.size();
  std::vector<RegionSums> regions(count);
  const std::span<const float> forecast = mean_of_members(fields, regions);
  std::vector<FieldSums> of_forecast(count, FieldSums{}), of_persistence(count, FieldSums{});
  add_field_sums(plan_.regions, nlon, fields.rows, forecast, fields.truth, fields.climatology, of_forecast);
  add_field_sums(plan_.regions, nlon, fields.rows, fields.initial, fields.truth, fields.climatology, of_persistence);
  work_.resize(points);
  for (std::size_t i = 0; i < points; ++i) work_[i] = std::abs(fields.climatology[i] - fields.truth[i]);
  double* out = sums.data() + begin_[channel];
  for (std::size_t r = 0; r < count; ++r) {
    regions[r].forecast = of_forecast[r];
    regions[r].persistence = of_persistence[r];
    regions[r].climatology_absolute = plan_.regions[r].sum(fields.rows, work_);
    std::array<double, region_width> numbers;
    std::memcpy(numbers.data(), &regions[r], sizeof(RegionSums));
    for (const double number : numbers) *out++ += number;
  }
  if (scores_.members() > 1) add_ranks(fields, tie, {out, ranks_width()});
  out += ranks_width();
  if (spectral_[channel] == plan_.spectral.size()) return;
  const std::size_t members = scores_.members();
  const std::span<double> spectra(out, 2 * scores_.waves());
  std::vector<double> of_member(scores_.waves());
  for (std::size_t m = 0; m < members; ++m) {
    std::fill(of_member.begin(), of_member.end(), 0.0);
    spectrum_.add(fields.rows, fields.members.subspan(m * points, points), of_member);
    for (std::size_t k = 0; k < of_member.size(); ++k) spectra[k] += of_member[k] / static_cast<double>(members);
  }
  spectrum_.add(fields.rows, fields.truth, spectra.subspan(scores_.waves()));
}

void BandSums::close(std::size_t lead, std::span<const double> sums, std::span<double> scores) const {
  scores[scores_.samples(lead)] += 1;
  for (std::size_t c = 0; c < plan_.channels.size(); ++c) {
    const double* in = sums.data() + begin_[c];
    double* out = scores.data() + scores_.regions(lead, c);
    for (std::size_t r = 0; r < plan_.regions.size(); ++r, in += region_width, out += quantities) {
      RegionSums region;
      std::memcpy(static_cast<void*>(&region), in, sizeof(RegionSums));
      const double area = plan_.regions[r].total();
      const FieldMeans forecast = FieldMeans::of(region.forecast, area),
                       persistence = FieldMeans::of(region.persistence, area);
      out[forecast_square] += forecast.squared_error;
      out[forecast_bias] += forecast.error;
      out[forecast_absolute] += forecast.absolute_error;
      out[forecast_acc] += forecast.anomaly_correlation();
      out[forecast_activity] += forecast.activity();
      out[forecast_crps] += scores_.members() == 1 ? forecast.absolute_error : region.crps / area;
      out[forecast_variance] += region.variance / area;
      out[forecast_debiased] += region.debiased / area;
      out[persistence_square] += persistence.squared_error;
      out[persistence_bias] += persistence.error;
      out[persistence_absolute] += persistence.absolute_error;
      out[persistence_acc] += persistence.anomaly_correlation();
      out[persistence_activity] += persistence.activity();
      // Climatology as the forecast: its error is minus the truth's anomaly.
      out[climatology_square] += persistence.truth_square;
      out[climatology_bias] += persistence.error - persistence.forecast_anomaly;
      out[climatology_absolute] += region.climatology_absolute / area;
    }
    for (std::size_t r = 0; r < ranks_width(); ++r) scores[scores_.ranks(lead, c) + r] += in[r];
    in += ranks_width();
    if (spectral_[c] == plan_.spectral.size() || spectrum_.weight() <= 0) continue;
    double* spectra = scores.data() + scores_.spectrum(lead, spectral_[c]);
    for (std::size_t k = 0; k < 2 * scores_.waves(); ++k) spectra[k] += in[k] / spectrum_.weight();
  }
}

}  // namespace zonda::postproc
