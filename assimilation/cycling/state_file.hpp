#pragma once
// States of an ensemble on disk, with what they must agree with.
#include <filesystem>
#include <string>

#include "assimilation/interfaces/vectors.hpp"
#include "core/time.hpp"

namespace zonda::assimilation {

struct StateHeader {
  std::string identity;  ///< AtmosphereModel::identity
  Time time{};
  std::string what;  ///< `member 3`, `truth`
};

/// One JSON line, then the numbers as little-endian f64; atomic.
void write_state(const std::filesystem::path& path, const StateHeader& header, ConstView state);

/// Throws Error(data) naming the file where it is damaged, of another size, of another model or grid, or of another
/// time.
Vector read_state(const std::filesystem::path& path, const std::string& identity, Time time, std::size_t size);

}  // namespace zonda::assimilation
