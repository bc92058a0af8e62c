#pragma once
// What every communicator must do, whatever carries its messages: the same checks run on one rank alone, on threads and
// under MPI. Failures are GoogleTest expectations on the rank that sees them.
#include <functional>
#include <span>
#include <string>

#include "parallel/communicator.hpp"

namespace zonda::parallel {

struct CommunicatorCheck {
  std::string name;
  std::function<void(const Communicator&)> run;
};
std::span<const CommunicatorCheck> communicator_checks();

}  // namespace zonda::parallel
