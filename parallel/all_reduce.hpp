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
/// The same sum, of which each rank gets its part only.
Event reduce_scatter_in_rank_order(const std::shared_ptr<Transport>& transport, std::span<const double> values,
                                   std::span<double> mine);
Event reduce_scatter_in_rank_order(const std::shared_ptr<Transport>& transport, std::span<const float> values,
                                   std::span<float> mine);

/// What one rank hands to others in an all_reduce of `n` numbers of `width` bytes.
struct ReductionTraffic {
  std::uint64_t messages = 0, bytes = 0;
};
ReductionTraffic all_reduce_traffic(std::size_t n, std::size_t width, int ranks, int rank);

}  // namespace zonda::parallel
