#include "inference/edge/download/backoff.hpp"

#include <algorithm>
#include <cmath>
#include <string>

namespace zonda::edge {

Backoff::Backoff(BackoffLimits limits, std::string_view station)
    : limits_(limits), random_(0, "backoff of station " + std::string(station)) {}

Steady Backoff::next() {
  const double ceiling = std::min(limits_.longest_seconds, limits_.first_seconds * std::exp2(std::min(failures_, 40)));
  ++failures_;
  return Steady(ceiling * random_.uniform(draws_++));
}

}  // namespace zonda::edge
