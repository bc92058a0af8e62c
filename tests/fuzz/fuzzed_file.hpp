#pragma once
// Any bytes as a file that is opened as a source and read.
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "ingest/sources/source.hpp"

/// What the libraries forget where they refuse: ecCodes 2.28 some hundred bytes of a message, udunits 2.2 the text of a
/// wrong unit.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libeccodes\nleak:libudunits2";
}

namespace zonda::fuzz {

/// Opens the bytes as a source and reads its first fields; refusals with Error(data) are as good as success.
inline void read_as_source(const std::uint8_t* data, std::size_t size, const std::string& name) {
  static const std::filesystem::path path = [&] {
    const std::filesystem::path memory = "/dev/shm";
    const auto folder = std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path();
    return folder / ("zonda_fuzz_" + name + "_" + std::to_string(::getpid()));
  }();
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  try {
    const auto source = ingest::open_source(path);
    int left = 4;
    for (const Channel& channel : source->channels()) {
      const auto keys = source->fields_of(channel);
      if (keys.empty() || left-- == 0) break;
      const std::size_t points = source->grid(channel).size();
      if (points > 1'000'000) continue;
      std::vector<float> values(points);
      source->read(keys.back(), values);
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) {
      std::filesystem::remove(path);
      throw;
    }
  }
  std::filesystem::remove(path);
}

}  // namespace zonda::fuzz
