#pragma once
// What ranks tell each other of the members they hold. Sums run in the order of members: the bits do not depend on the
// number of ranks.
#include <vector>

#include "assimilation/ensemble/ensemble.hpp"
#include "parallel/communicator.hpp"

namespace zonda::assimilation {

/// The mean of all members, on every rank. One state at a time travels.
Vector ensemble_mean(const parallel::Communicator& communicator, const Ensemble& ensemble);

/// Rows of own members [own member][width] to those of all members [member][width], on every rank.
Vector gather_members(const parallel::Communicator& communicator, std::size_t members, ConstView own,
                      std::size_t width);

/// The fields of all members, [member][...], on the root; empty elsewhere.
std::vector<std::vector<float>> gather_fields(const parallel::Communicator& communicator, std::size_t members,
                                              std::vector<std::vector<float>> own, std::size_t width);

}  // namespace zonda::assimilation
