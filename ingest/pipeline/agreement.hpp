#pragma once
#include <functional>

#include "parallel/communicator.hpp"

namespace zonda::ingest {

/// Runs `work` on every rank (it calls no collectives) and waits for all. An Error on one rank is thrown on every rank,
/// the lowest rank's first; a signal on one is Interrupted on all.
void on_every_rank(const parallel::Communicator& communicator, const std::function<void()>& work);

}  // namespace zonda::ingest
