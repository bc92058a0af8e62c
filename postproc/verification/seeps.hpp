#pragma once
// SEEPS: stable equitable error in probability space (Rodwell et al. 2010), for accumulated precipitation.
#include <array>
#include <cstddef>
#include <span>
#include <vector>

namespace zonda::postproc {

/// The climate of precipitation at one point.
struct SeepsClimate {
  double dry_fraction;     ///< p1: share of dry values
  double heavy_threshold;  ///< 2/3 quantile of the wet values, same unit as the values
  /// Only points neither too wet nor too dry count: 0.1 < p1 < 0.85.
  bool usable() const { return dry_fraction > 0.1 && dry_fraction < 0.85; }
};

/// Below it is dry: 0.25 mm in 24 h, 0.1 mm in 6 h (in m). Throws Error(usage) for other periods.
double seeps_dry_threshold(double accumulation_hours);

/// From a point's values of the training period (m). Sorts them.
SeepsClimate seeps_climate(std::span<double> values, double dry_threshold);

/// 0 dry, 1 light, 2 heavy.
std::size_t seeps_category(double value, double dry_threshold, const SeepsClimate& climate);

/// Scoring matrix [forecast category][truth category]; a perfect forecast scores 0, any constant one averages 1.
std::array<std::array<double, 3>, 3> seeps_matrix(double dry_fraction);

double seeps(double forecast, double truth, double dry_threshold, const SeepsClimate& climate);

}  // namespace zonda::postproc
