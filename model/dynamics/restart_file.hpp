#pragma once
// Restart files: all that a member needs to continue with the same bits. Written atomically, with a checksum.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace zonda::model {

struct Restart {
  std::string identity;  ///< SHA-256 of the configuration that decides the result
  std::int32_t member = 0;
  std::int64_t steps = 0;           ///< time steps done
  std::int64_t states_written = 0;  ///< of the whole run
  std::int64_t states_in_file = 0;  ///< of them in the output file that is not closed yet: they are in its spool
  std::uint32_t spool_checksum = 0;
  std::vector<double> memory;  ///< see PrimitiveEquations::memory
};

/// Throws Error(failure).
void write_restart(const std::filesystem::path& path, const Restart& restart);
/// Throws Error(data): missing, truncated, damaged, of another version.
Restart read_restart(const std::filesystem::path& path);

}  // namespace zonda::model
