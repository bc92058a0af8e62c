#pragma once
// Eight complex Fourier transforms of one length at a time, with the eight signals side by side in vector lanes.
// Stockham's self-sorting algorithm, mixed radix (Temperton 1983, "Self-sorting mixed-radix fast Fourier transforms").
#include <cstddef>
#include <vector>

namespace zonda::model {

class FourierTransform {
 public:
  /// Any n >= 1; fast for n = 2^a 3^b 5^c.
  explicit FourierTransform(int n);
  int size() const { return n_; }

  /// `data` and `work` are [n, 2 (real, imaginary), 8]. Both are overwritten; the result is in the one that is
  /// returned. forward: X(m) = sum_x data(x) exp(-2 pi i m x / n); backward: with +i. Neither divides by n.
  double* forward(double* data, double* work) const { return transform(data, work, false); }
  double* backward(double* data, double* work) const { return transform(data, work, true); }

 private:
  struct Pass {
    int radix, groups, stride;
    std::size_t twiddles;
  };
  double* transform(double* data, double* work, bool backward) const;
  int n_;
  std::vector<Pass> passes_;
  std::vector<double> forward_twiddles_, backward_twiddles_;  ///< [pass][group][radix - 1][2]
  std::vector<double> roots_;                                 ///< [n][2]: exp(-2 pi i k / n)
};

/// Whether n = 2^a 3^b 5^c.
bool is_fast_length(int n);

}  // namespace zonda::model
