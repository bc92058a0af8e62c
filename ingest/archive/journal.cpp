#include "ingest/archive/journal.hpp"

#include <limits>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/json_reader.hpp"

namespace zonda::ingest {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

bool operator==(const JournalEntry& a, const JournalEntry& b) {
  return a.file == b.file && a.configuration == b.configuration && a.times == b.times && a.files == b.files &&
         a.moments_crc32c == b.moments_crc32c;
}

fs::path journal_path(const fs::path& archive, const std::string& file) {
  return archive / "journal" / fs::path(file).replace_extension(".json");
}

fs::path moments_path(const fs::path& archive, const std::string& file) {
  return archive / "journal" / fs::path(file).replace_extension(".moments");
}

void write_journal(const fs::path& archive, const JournalEntry& entry) {
  Json times = Json::array();
  for (const Time time : entry.times) times.push_back(to_string(time));
  const Json json{{"file", entry.file},
                  {"configuration", entry.configuration},
                  {"times", times},
                  {"bytes", entry.files.bytes},
                  {"crc32c", entry.files.crc32c},
                  {"index_crc32c", entry.files.index_crc32c},
                  {"moments_crc32c", entry.moments_crc32c}};
  write_file(journal_path(archive, entry.file), json.dump(1) + "\n");
}

std::optional<JournalEntry> read_journal(const fs::path& archive, const std::string& file) {
  const fs::path path = journal_path(archive, file);
  std::error_code error;
  if (!fs::exists(path, error)) return std::nullopt;
  try {
    const auto content = parse_json(read_file(path), path.string());
    const JsonReader json(content, path.string());
    const auto checksum = [&json](const char* key) {
      return static_cast<std::uint32_t>(json.integer(key, 0, std::numeric_limits<std::uint32_t>::max()));
    };
    const std::int64_t bytes = json.integer("bytes", 0, std::numeric_limits<std::int64_t>::max());
    JournalEntry entry{json.text("file"),
                       json.text("configuration"),
                       {},
                       {static_cast<std::uint64_t>(bytes), checksum("crc32c"), checksum("index_crc32c")},
                       checksum("moments_crc32c")};
    constexpr std::size_t most_times = 10'000'000;
    for (const std::string& time : json.texts("times", most_times)) entry.times.push_back(parse_time(time));
    const bool whole = entry.file == file && fs::file_size(archive / file, error) == entry.files.bytes &&
                       fs::exists(index_path(archive / file), error) && fs::exists(moments_path(archive, file), error);
    if (whole) return entry;
  } catch (const Error&) {
  }
  return std::nullopt;  // a unit with a damaged entry is loaded again
}

std::vector<std::string> unfinished_units(const fs::path& archive) {
  const fs::path path = archive / kPlanName;
  const auto content = parse_json(read_file(path), path.string());
  const JsonReader json(content, path.string());
  std::vector<std::string> missing;
  constexpr std::size_t most_units = 10'000'000;
  for (const auto& unit : json.array("units", most_units)) {
    const std::string& file = JsonReader(unit, json.name("units")).text("file");
    if (!read_journal(archive, file)) missing.push_back(file);
  }
  return missing;
}

}  // namespace zonda::ingest
