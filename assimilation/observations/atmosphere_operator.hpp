#pragma once
#include <map>
#include <memory>
#include <span>

#include "assimilation/interfaces/observation_operator.hpp"
#include "assimilation/observations/column_operator.hpp"

namespace zonda::assimilation {

struct AtmosphericObservation {
  std::string variable;  ///< short name, or `thickness`
  ObservedPoint point;
};

/// H for a batch of observations of an atmosphere: bilinear in the horizontal, linear between the state's time slots,
/// then each variable's ColumnOperator. Observations are independent of each other, threads share them; the adjoint
/// adds in the order of observations, so the bits do not depend on threads.
class AtmosphereOperator final : public ObservationOperator {
 public:
  /// Throws Error(data) naming the first observation that the state does not cover (see covers()), Error(usage) where a
  /// variable cannot be observed in it.
  AtmosphereOperator(AtmosphereLayout layout, std::span<const AtmosphericObservation> observations);
  std::size_t state_size() const override { return layout_->state_size(); }
  std::size_t size() const override { return observed_.size(); }
  void apply(ConstView state, View values) const override;
  void tangent(ConstView state, ConstView perturbation, View values) const override;
  void adjoint(ConstView state, ConstView values, View sensitivity) const override;

 private:
  struct Stencil {
    std::vector<std::pair<std::size_t, double>> scalar, vector;  ///< index in the state (offset 0), weight
  };
  struct Reader {
    std::unique_ptr<ColumnOperator> column;
    std::vector<char> is_vector;  ///< of each field: a component changes sign over the pole
    std::size_t column_size = 0;
  };
  struct Observed {
    const Reader* read;
    ObservedPoint point;
    Stencil stencil;
  };
  double linearise(const Observed& observed, ConstView state, Vector& values, Vector& gradient) const;
  template <class Use>
  static void walk(const Observed& observed, Use use);

  std::shared_ptr<const AtmosphereLayout> layout_;
  std::map<std::string, Reader> readers_;
  std::vector<Observed> observed_;
};

/// Which of `observations` lie within the grid, the time slots and the levels, and can be observed at all.
std::vector<bool> covered(const AtmosphereLayout& layout, std::span<const AtmosphericObservation> observations);

}  // namespace zonda::assimilation
