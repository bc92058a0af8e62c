#pragma once
// What a Regridder knows; seen by this folder's sources only.
#include <functional>
#include <vector>

#include "ingest/regrid/axis_weights.hpp"
#include "ingest/regrid/regridder.hpp"

namespace zonda::ingest {

struct Regridder::Weights {
  Grid source, target;
  RegridMethod method;
  double minimum_valid;
  AxisWeights rows, columns;
};

/// Throws Error(failure) unless `in` and `out` hold the same number of whole fields; returns that number.
std::size_t count_fields(const Regridder::Weights& weights, std::size_t in, std::size_t out);

/// Calls body(begin, end) on contiguous shares of [0, n), on up to `threads` threads. Exceptions reach the caller.
void share_work(std::size_t n, int threads, const std::function<void(std::size_t, std::size_t)>& body);

/// `out[i] = sum of weight * line[index]` over one row's columns.
template <class Value>
void apply_columns(const AxisWeights& columns, const double* line, Value* out) {
  const std::size_t n = columns.targets();
  std::uint32_t k = 0;
  for (std::size_t i = 0; i < n; ++i) {
    double sum = 0;
    for (; k < columns.begin[i + 1]; ++k) sum += columns.weight[k] * line[columns.index[k]];
    out[i] = static_cast<Value>(sum);
  }
}

}  // namespace zonda::ingest
