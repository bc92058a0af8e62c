#pragma once
#include <cstdint>
#include <string_view>

#include "assimilation/interfaces/vectors.hpp"

namespace zonda::assimilation {

/// A background-error covariance B = U U^T, U: control space -> state space. Outputs are overwritten.
class Covariance {
 public:
  virtual ~Covariance() = default;
  virtual std::size_t size() const = 0;
  virtual std::size_t control_size() const = 0;
  /// y = U v
  virtual void square_root(ConstView control, View y) const = 0;
  /// v = U^T x
  virtual void square_root_adjoint(ConstView x, View control) const = 0;
  /// y = B x; here by U U^T.
  virtual void multiply(ConstView x, View y) const;
  /// y = B^-1 x; here by conjugate gradients to a relative residual of 1e-12. Throws Error(numerical) where B is
  /// singular for x.
  virtual void inverse(ConstView x, View y) const;
  /// A draw from N(0, B): U applied to standard normal numbers of (seed, purpose, draw).
  Vector randomise(std::uint64_t seed, std::string_view purpose, std::uint64_t draw) const;
};

}  // namespace zonda::assimilation
