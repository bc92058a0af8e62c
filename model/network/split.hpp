#pragma once
#include "parallel/communicator.hpp"

namespace zonda::model {

/// How ranks share a linear map (Shoeybi et al. 2019): each finds some columns of the result, or adds to all of it what
/// some columns of x give.
struct Split {
  enum class Kind { none, columns, rows } kind = Kind::none;
  parallel::Communicator ranks = parallel::Communicator::self();
  int groups = 1;  ///< neighbouring groups of columns, of each of which a rank has its part: queries, keys, values
};

}  // namespace zonda::model
