#pragma once
// A horizontal correlation of one field made one of an atmosphere: by levels, over ln p.
#include <memory>

#include "assimilation/covariance/horizontal_correlation.hpp"
#include "assimilation/observations/atmosphere_layout.hpp"

namespace zonda::assimilation {

/// The square root [position, mode] of the Gaspari-Cohn correlation of positions in ln p with this half support; modes
/// of no variance are left out. Infinity: one mode of ones.
struct VerticalModes {
  std::size_t positions, modes;
  Vector root;
  VerticalModes(ConstView ln_p, double half_support);
};

/// The localisation of an ensemble of atmospheres: all variables and time slots of a level share one correlation,
/// horizontal times vertical; fields at the surface are with the lowest level. Control space: one of the horizontal
/// correlation's for each vertical mode. Unit diagonal.
class SharedLevelCorrelation final : public Covariance {
 public:
  /// The half support is in ln p.
  SharedLevelCorrelation(const AtmosphereLayout& layout, std::shared_ptr<const HorizontalCorrelation> horizontal,
                         double vertical_half_support);
  std::size_t size() const override { return layout_.state_size(); }
  std::size_t control_size() const override { return modes_.modes * horizontal_->control_size(); }
  void square_root(ConstView control, View y) const override;
  void square_root_adjoint(ConstView x, View control) const override;

 private:
  AtmosphereLayout layout_;
  std::shared_ptr<const HorizontalCorrelation> horizontal_;
  std::vector<SharedLevel> levels_;
  VerticalModes modes_;
};

/// The horizontal correlation of a localisation: Gaspari-Cohn of this half support [m] on global grids; diffusion with
/// the same curvature at the origin, Daley length sqrt(3/10) half supports, on regional ones.
std::shared_ptr<const HorizontalCorrelation> horizontal_localisation(const Grid& grid, double half_support);

/// Background errors of one slot without relations between variables: a standard deviation for each variable and level,
/// one correlation in the horizontal and over ln p.
class FieldwiseCovariance final : public Covariance {
 public:
  /// `deviations` [field of the layout][level], >= 0.
  FieldwiseCovariance(const AtmosphereLayout& layout, std::shared_ptr<const HorizontalCorrelation> horizontal,
                      double vertical_half_support, std::vector<Vector> deviations);
  std::size_t size() const override { return size_; }
  std::size_t control_size() const override { return fields_ * horizontal_->control_size(); }
  void square_root(ConstView control, View y) const override;
  void square_root_adjoint(ConstView x, View control) const override;

 private:
  struct Levels {
    std::vector<std::size_t> offsets;
    Vector deviations;
    VerticalModes modes;
    std::size_t first_mode;
  };
  std::size_t size_, points_, fields_ = 0;  ///< fields: of the control vector
  std::shared_ptr<const HorizontalCorrelation> horizontal_;
  std::vector<Levels> variables_;
};

}  // namespace zonda::assimilation
