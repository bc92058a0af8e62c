#include "assimilation/models/lorenz96.hpp"

#include "core/error.hpp"

namespace zonda::assimilation {
namespace {

/// Calls body(i, i + 1, i - 1, i - 2) round the ring of n; only its seam is indexed with wrapping.
template <class Body>
void around_ring(std::size_t n, Body&& body) {
  body(0, 1, n - 1, n - 2);
  body(1, 2, 0, n - 1);
  for (std::size_t i = 2; i + 1 < n; ++i) body(i, i + 1, i - 1, i - 2);
  body(n - 1, 0, n - 2, n - 3);
}

}  // namespace

Lorenz96::Lorenz96(std::size_t size, double forcing) : size_(size), forcing_(forcing) {
  if (size < 4) fail(ErrorKind::usage, "Lorenz-96 on {} variables, expected at least 4", size);
}

void Lorenz96::evaluate(ConstView s, View rate) const {
  around_ring(size_, [&](std::size_t i, std::size_t next, std::size_t before, std::size_t two_before) {
    rate[i] = (s[next] - s[two_before]) * s[before] - s[i] + forcing_;
  });
}

void Lorenz96::tangent(ConstView s, ConstView d, View rate) const {
  around_ring(size_, [&](std::size_t i, std::size_t next, std::size_t before, std::size_t two_before) {
    rate[i] = (d[next] - d[two_before]) * s[before] + (s[next] - s[two_before]) * d[before] - d[i];
  });
}

void Lorenz96::adjoint(ConstView s, ConstView r, View sensitivity) const {
  for (std::size_t i = 0; i < size_; ++i) sensitivity[i] = -r[i];
  around_ring(size_, [&](std::size_t i, std::size_t next, std::size_t before, std::size_t two_before) {
    sensitivity[next] += s[before] * r[i];
    sensitivity[two_before] -= s[before] * r[i];
    sensitivity[before] += (s[next] - s[two_before]) * r[i];
  });
}

}  // namespace zonda::assimilation
