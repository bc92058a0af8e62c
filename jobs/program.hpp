#pragma once
// Runs another program and waits for it.
#include <string>
#include <vector>

namespace zonda::jobs {

struct ProgramResult {
  int exit_code = 0;  ///< 128 + signal where one ended it
  std::string output, errors;
  bool ok() const { return exit_code == 0; }
};

/// Words are handed over as they are, without a shell. Throws Error(failure) naming the program if it cannot be
/// started.
ProgramResult run_program(const std::vector<std::string>& words);

}  // namespace zonda::jobs
