#pragma once
#include "assimilation/covariance/horizontal_correlation.hpp"
#include "core/grid.hpp"

namespace zonda::assimilation {

/// A correlation of one field on a grid that need not close, by implicit diffusion (Mirouze & Weaver 2010): `steps` / 2
/// implicit steps along columns, then along rows, with no flux through the edges, make the square root; divided by
/// standard deviations that are known exactly, so that the diagonal is 1 at the edges as well. Along one direction the
/// correlation is autoregressive of order steps / 2, of Daley length `length` away from the edges.
class DiffusionCorrelation final : public HorizontalCorrelation {
 public:
  /// `length` in m. Throws Error(usage) unless steps is even and >= 4.
  DiffusionCorrelation(const Grid& grid, double length, std::size_t steps = 10);
  std::size_t size() const override { return deviations_.size(); }
  std::size_t control_size() const override { return deviations_.size(); }
  void square_roots(std::size_t fields, ConstView controls, View y) const override;
  void square_root_adjoints(std::size_t fields, ConstView x, View controls) const override;

 private:
  /// Symmetric tridiagonal I + K along a line, factorised; solve() applies its inverse steps / 2 times.
  struct Line {
    Vector pivot, factor;
    void solve(View line, std::size_t steps) const;
    Vector variances(std::size_t steps) const;
  };
  /// From (L / distance)^2 between neighbours.
  static Line line(ConstView ratios);
  void along_columns(View field) const;
  void along_rows(View field) const;

  std::size_t rows_, columns_, half_steps_;
  std::vector<Line> by_row_;  ///< along each row
  Line by_column_;
  Vector deviations_;  ///< before normalisation
};

}  // namespace zonda::assimilation
