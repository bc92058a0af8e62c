#pragma once
// The journal of an archive in the making: one small file for each finished unit, written after the unit's own files.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/time.hpp"
#include "ingest/archive/unit_writer.hpp"

namespace zonda::ingest {

inline constexpr const char* kPlanName = "plan.json";

struct JournalEntry {
  std::string file;           ///< name of the unit's file within the archive
  std::string configuration;  ///< SHA-256 of what decides the unit's bytes
  std::vector<Time> times;
  UnitFiles files;
  std::uint32_t moments_crc32c = 0;  ///< of the moments file
  friend bool operator==(const JournalEntry&, const JournalEntry&);
};

/// `journal/fields-1982010100.json` for `fields-1982010100.h5`; the moments lie beside it as `.moments`.
std::filesystem::path journal_path(const std::filesystem::path& archive, const std::string& file);
std::filesystem::path moments_path(const std::filesystem::path& archive, const std::string& file);

/// Atomic. Throws Error(failure).
void write_journal(const std::filesystem::path& archive, const JournalEntry& entry);
/// The entry of a unit whose files are there with the sizes the journal gives; nothing if it has to be loaded (again).
std::optional<JournalEntry> read_journal(const std::filesystem::path& archive, const std::string& file);
/// Names of the planned units that are not finished. Throws Error(data) without a readable plan.
std::vector<std::string> unfinished_units(const std::filesystem::path& archive);

}  // namespace zonda::ingest
