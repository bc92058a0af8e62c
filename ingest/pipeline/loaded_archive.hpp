#pragma once
// An archive whose units are all loaded, as its plan and journal describe it.
#include <filesystem>
#include <map>
#include <vector>

#include "ingest/archive/journal.hpp"
#include "ingest/pipeline/moments.hpp"
#include "ingest/pipeline/plan_file.hpp"

namespace zonda::ingest {

struct LoadedArchive {
  PlanFile file;
  Manifest manifest;                  ///< without statistics and identity
  std::vector<JournalEntry> journal;  ///< [unit]
};

/// Throws Error(data): no plan, or units not loaded yet, saying which.
LoadedArchive loaded_archive(const std::filesystem::path& archive);

/// Moments of any time, read from the units' files as they are asked for; the last unit's are kept.
class MomentsOfUnits {
 public:
  MomentsOfUnits(const LoadedArchive& loaded, std::filesystem::path archive)
      : loaded_(loaded), archive_(std::move(archive)) {}
  /// [channel]; valid until the next call. Throws Error(data).
  const Moments* at(std::size_t time_index);

 private:
  const LoadedArchive& loaded_;
  std::filesystem::path archive_;
  std::size_t unit_ = 0;
  std::vector<Moments> moments_;
};

}  // namespace zonda::ingest
