#pragma once
// A group of ranks that is only thought of, to plan what one of many ranks would hold and send.
#include "parallel/communicator.hpp"

namespace zonda::parallel {

/// rank() and size() answer; every message is an Error(failure).
Communicator imagined(int rank, int size);

}  // namespace zonda::parallel
