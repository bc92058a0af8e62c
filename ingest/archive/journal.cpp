#include "ingest/archive/journal.hpp"

#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/error.hpp"

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
    const Json json = Json::parse(read_file(path));
    JournalEntry entry{json.at("file").get<std::string>(),
                       json.at("configuration").get<std::string>(),
                       {},
                       {json.at("bytes").get<std::uint64_t>(), json.at("crc32c").get<std::uint32_t>(),
                        json.at("index_crc32c").get<std::uint32_t>()},
                       json.at("moments_crc32c").get<std::uint32_t>()};
    for (const Json& time : json.at("times")) entry.times.push_back(parse_time(time.get<std::string>()));
    const bool whole = entry.file == file && fs::file_size(archive / file, error) == entry.files.bytes &&
                       fs::exists(index_path(archive / file), error) && fs::exists(moments_path(archive, file), error);
    if (whole) return entry;
  } catch (const Json::exception&) {
  } catch (const Error&) {
  }
  return std::nullopt;  // a unit with a damaged entry is loaded again
}

std::vector<std::string> unfinished_units(const fs::path& archive) {
  const fs::path path = archive / kPlanName;
  try {
    const Json json = Json::parse(read_file(path));
    std::vector<std::string> missing;
    for (const Json& unit : json.at("units")) {
      auto file = unit.at("file").get<std::string>();
      if (!read_journal(archive, file)) missing.push_back(std::move(file));
    }
    return missing;
  } catch (const Json::exception& error) {
    fail(ErrorKind::data, "{}: {}", path.string(), error.what());
  }
}

}  // namespace zonda::ingest
