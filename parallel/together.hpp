#pragma once
// Work that fails on all ranks if it fails on one.
#include <string>
#include <utility>

#include "core/error.hpp"
#include "parallel/communicator.hpp"

namespace zonda::parallel {

/// Runs `work`, which calls no collectives and heeds no signals, on every rank and waits for all: what one throws,
/// every rank throws, the lowest rank's first. Collective.
template <class Work>
void together(const Communicator& ranks, Work&& work) {
  int kind = 0;
  std::string message;
  try {
    std::forward<Work>(work)();
  } catch (const Error& error) {
    kind = error.exit_code();
    message = error.what();
  } catch (const std::exception& error) {
    kind = static_cast<int>(ErrorKind::failure);
    message = error.what();
  }
  ranks.agree(kind, message);
}

}  // namespace zonda::parallel
