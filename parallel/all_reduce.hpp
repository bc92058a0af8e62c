#pragma once
// Element-wise reduction over ranks in rank order: ((r0 + r1) + r2) + ..., so that the bits depend on nothing but the
// values and the number of ranks, whatever the transport and the size of the message.
#include <cstdint>
#include <memory>
#include <span>

#include "parallel/communicator.hpp"

namespace zonda::parallel {

Event reduce_in_rank_order(const std::shared_ptr<Transport>& transport, std::span<double> values, Reduction reduction);
Event reduce_in_rank_order(const std::shared_ptr<Transport>& transport, std::span<float> values, Reduction reduction);
Event reduce_in_rank_order(const std::shared_ptr<Transport>& transport, std::span<std::int64_t> values,
                           Reduction reduction);

}  // namespace zonda::parallel
