#pragma once
// The systematic error of a forecast by hour of the day, followed by a Kalman filter.
//
// State: the bias at the 24 hours of the day (Homleid 1995, Wea. Forecasting 10, 689-707). One observation of the
// forecast's error at hour h updates every hour through their correlation:
//
//   y = b_h + e,  e ~ N(0, R f)        b(t) = b(t - dt) + w,  w ~ N(0, Q dt C)
//   C_hk = c + (1 - c) exp(-(d_hk / 6 h)^2),  d round the clock
//
// Errors of neighbouring hours are alike; f = max(1, T / dt) counts those within the time T of an independent one as a
// share of one. R follows the innovations, as in Galanis & Anadranistakis (2002, Meteorol. Appl. 9, 433-441).
// Innovations count up to three standard deviations.
#include <array>
#include <optional>

#include "core/time.hpp"

namespace zonda::edge {

struct BiasFilterParameters {
  double independent_hours = 24;  ///< T
  double prior = 1;               ///< variance of the bias before anything is learnt, share of R
  double memory_days = 180;       ///< Q = R (T / 24 h) / memory^2 per day: the gain of a bias that changes so slowly
  double caution = 0.2;           ///< of bias b with variance P, b b^2 / (b^2 + caution P) is taken off
  double common = 0.7;            ///< c: share of the bias that all hours have in common
  double first_deviation = 2;     ///< square root of R before anything is learnt, SI
};

class BiasFilter {
 public:
  static constexpr std::size_t hours = 24;
  explicit BiasFilter(const BiasFilterParameters& parameters = {});

  /// Bias (forecast - truth, SI) at a time of day, linear between hours.
  double bias(Time valid) const;
  /// What to take off a forecast: the bias, less where it is not sure to be one (SI).
  double correction(Time valid) const;
  /// Standard deviation of what remains when the bias is taken off: of the bias and of the random error.
  double uncertainty(Time valid) const;
  /// `error` = forecast - observation, SI. Times ascend; what is not later than the last is passed over.
  void observe(Time valid, double error);
  std::size_t observations() const { return observations_; }

  /// What outlives a restart. Plain numbers.
  struct State {
    std::array<float, hours> bias{};
    std::array<float, hours*(hours + 1) / 2> covariance{};  ///< lower triangle, rows
    double variance = 0;                                    ///< R
    std::int64_t last = 0;                                  ///< s since 1970
    std::uint64_t observations = 0;
  };
  State state() const;
  /// nullopt where the numbers are no state (not finite, a negative variance).
  static std::optional<BiasFilter> restore(const BiasFilterParameters& parameters, const State& state);

 private:
  double variance_of_bias(Time valid) const;
  double covariance(std::size_t i, std::size_t k) const { return covariance_[i * hours + k]; }
  BiasFilterParameters parameters_;
  std::array<double, hours> bias_{};
  std::array<double, hours * hours> covariance_{}, correlation_{};
  double variance_;
  std::optional<Time> last_;
  std::uint64_t observations_ = 0;
};

}  // namespace zonda::edge
