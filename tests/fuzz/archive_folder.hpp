#pragma once
// A small sound archive that fuzzers damage, removed when they end.
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/ingest/archive/written_archive.hpp"

namespace zonda::fuzz {

struct ArchiveFolder {
  std::filesystem::path path;
  ingest::SyntheticAtmosphere atmosphere{Grid::latlon(9, 8, true), {{"z", 500}, {"t", 850}, {"u", 250}}, 16};
  ingest::Manifest manifest;

  explicit ArchiveFolder(const std::string& name)
      : path(folder(name)), manifest([this] {
          std::vector<std::vector<float>> fields;
          for (std::size_t t = 0; t < 3; ++t) fields.push_back(atmosphere.fields(ingest::archive_time(t)));
          return ingest::write_archive(path, atmosphere, 10, fields, 4);
        }()) {}
  ~ArchiveFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  ArchiveFolder(const ArchiveFolder&) = delete;
  ArchiveFolder& operator=(const ArchiveFolder&) = delete;

 private:
  static std::filesystem::path folder(const std::string& name) {
    const std::filesystem::path memory = "/dev/shm";
    const auto parent = std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path();
    const auto made = parent / ("zonda_fuzz_" + name + "_" + std::to_string(::getpid()));
    std::filesystem::create_directories(made);
    return made;
  }
};

}  // namespace zonda::fuzz
