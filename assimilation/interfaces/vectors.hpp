#pragma once
// The vector space of states, increments and observations: f64, contiguous, SI.
#include <cstddef>
#include <span>
#include <vector>

namespace zonda::assimilation {

using Vector = std::vector<double>;
using View = std::span<double>;
using ConstView = std::span<const double>;

/// y += a x. All of these throw Error(failure) where sizes differ.
void axpy(double a, ConstView x, View y);
/// Blocks of 256 products, then a fixed tree: the same bits whoever holds which blocks.
double dot(ConstView x, ConstView y);
double norm(ConstView x);
void scale(double a, View x);
void copy(ConstView from, View to);
/// x - y
Vector difference(ConstView x, ConstView y);
double root_mean_square(ConstView x);

/// Throws Error(failure) naming `what` unless the sizes agree.
void require_size(const char* what, std::size_t size, std::size_t expected);

}  // namespace zonda::assimilation
