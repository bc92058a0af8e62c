#pragma once
// Bytes and messages of a communicator, counted: what a rank hands to other ranks, by operation.
#include <atomic>
#include <cstdint>
#include <memory>

#include "parallel/communicator.hpp"

namespace zonda::parallel {

/// What this rank sent to other ranks (not to itself). A collective counts as the messages of its plain algorithm:
/// every rank sends its part directly to whom it is meant for, so that the numbers equal the analytic formulas.
struct Traffic {
  struct Count {
    std::atomic<std::uint64_t> calls = 0, messages = 0, bytes = 0;
  };
  Count barrier, broadcast, send, all_gather, all_to_all;
  Count reduction;  ///< messages of all_reduce beyond its all_gather
  std::uint64_t bytes() const;
  std::uint64_t messages() const;
};

/// The same group, counted into `traffic`; groups split from it are counted there too.
Communicator counted(const Communicator& communicator, std::shared_ptr<Traffic> traffic);

}  // namespace zonda::parallel
