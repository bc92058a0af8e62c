#include "assimilation/models/lorenz63.hpp"

namespace zonda::assimilation {
namespace {

constexpr double sigma = 10, rho = 28, beta = 8.0 / 3;

}  // namespace

void Lorenz63::evaluate(ConstView s, View rate) const {
  rate[0] = sigma * (s[1] - s[0]);
  rate[1] = s[0] * (rho - s[2]) - s[1];
  rate[2] = s[0] * s[1] - beta * s[2];
}

void Lorenz63::tangent(ConstView s, ConstView d, View rate) const {
  rate[0] = sigma * (d[1] - d[0]);
  rate[1] = d[0] * (rho - s[2]) - s[0] * d[2] - d[1];
  rate[2] = d[0] * s[1] + s[0] * d[1] - beta * d[2];
}

void Lorenz63::adjoint(ConstView s, ConstView r, View sensitivity) const {
  sensitivity[0] = -sigma * r[0] + (rho - s[2]) * r[1] + s[1] * r[2];
  sensitivity[1] = sigma * r[0] - r[1] + s[0] * r[2];
  sensitivity[2] = -s[0] * r[1] - beta * r[2];
}

}  // namespace zonda::assimilation
