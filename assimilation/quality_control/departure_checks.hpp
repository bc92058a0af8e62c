#pragma once
// Checks of departures from the background, d = y - H(x_b), in table.background.
#include <string>
#include <vector>

#include "assimilation/interfaces/vectors.hpp"
#include "ingest/observations/observation_table.hpp"

namespace zonda::assimilation {

/// The background's standard deviations at the observations, [table.size()]: rule of a variable, else `fraction` of the
/// observation error (1: as good as the observation).
struct BackgroundErrorRule {
  std::string variable;
  double error = 0;
};
Vector background_errors(const ingest::ObservationTable& table, const std::vector<BackgroundErrorRule>& rules,
                         double fraction = 1);

/// Flags `background` where |d| > limit sqrt(sigma_b^2 + sigma_o^2), and the partner of a wind component. Entries
/// without a background are left.
void check_background(ingest::ObservationTable& table, ConstView background_error, double limit);

/// How departures of one variable belong together: exp(-r^2 / (2 length^2)) in the horizontal, the same in ln p and
/// time.
struct BuddyCheck {
  double length = 300e3;    ///< m
  double depth = 0.3;       ///< in ln p
  double duration = 10800;  ///< s
  std::size_t most = 12;    ///< buddies taken, the most correlated ones
  double limit = 3.5;       ///< standard deviations
  std::size_t least = 3;    ///< with fewer buddies nothing is said
};
/// Flags `buddy` where |d - d_n| > limit sigma: d_n is what optimal interpolation makes of the neighbours' departures,
/// sigma^2 the variance of what remains. The worst of a neighbourhood goes first and its neighbours are then checked
/// anew.
void check_buddies(ingest::ObservationTable& table, ConstView background_error, const BuddyCheck& check);

/// Weights of variational quality control, functions of the normalised departure x = d / sigma: the cost is Gaussian
/// near zero, and grows linearly (Huber; Tavolato & Isaksen 2015, Q. J. R. Meteorol. Soc. 141, 1514-1527) or not at all
/// (Gaussian with a flat part; Andersson & Jarvinen 1999, ibid. 125, 697-722) far from it. d cost / dx = weight(x) x.
class RobustNorm {
 public:
  /// Linear beyond |x| = `corner`.
  static RobustNorm huber(double corner);
  /// `gross`: the a-priori probability of a gross error, spread evenly over +-`width` standard deviations.
  static RobustNorm flat(double gross, double width);
  double cost(double x) const;
  double weight(double x) const;

 private:
  RobustNorm(double corner, double gamma) : corner_(corner), gamma_(gamma) {}
  double corner_, gamma_;
};

/// Errors of accepted entries divided by sqrt(weight): an analysis with R of these is one step of reweighted least
/// squares.
void reweigh_errors(ingest::ObservationTable& table, const RobustNorm& norm);

}  // namespace zonda::assimilation
