#include "inference/edge/hub/release_log.hpp"

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"
#include "core/json_reader.hpp"

namespace zonda::edge {

using nlohmann::json;

std::vector<std::string> ReleaseLog::lines() const {
  std::vector<std::string> lines;
  if (!std::filesystem::exists(file_)) return lines;
  const std::string text = read_file(file_);
  for (std::size_t start = 0, end = 0; (end = text.find('\n', start)) != std::string::npos; start = end + 1)
    lines.push_back(text.substr(start, end - start));
  return lines;
}

LogHead ReleaseLog::head() const {
  const auto all = lines();
  return all.empty() ? LogHead{} : LogHead{static_cast<std::int64_t>(all.size()), sha256(all.back())};
}

LogHead ReleaseLog::append(Time time, const std::string& event, const json& details) const {
  const LogHead before = head();
  json entry{{"number", before.entries + 1},
             {"time", to_string(time)},
             {"event", event},
             {"details", details},
             {"previous", before.sha256}};
  std::string text;
  for (const std::string& line : lines()) text += line + "\n";
  const std::string line = entry.dump();
  write_file(file_, text + line + "\n");
  return {before.entries + 1, sha256(line)};
}

std::vector<json> ReleaseLog::entries() const {
  std::vector<json> all;
  LogHead head;
  for (const std::string& line : lines()) {
    const std::string name = file_.string() + ":" + std::to_string(head.entries + 1);
    const json parsed = parse_json(line, name);
    const JsonReader entry(parsed, name);
    if (entry.integer("number", 1, INT64_MAX) != head.entries + 1)
      fail(ErrorKind::data, "{}: expected entry number {}", name, head.entries + 1);
    if (entry.text("previous") != head.sha256)
      fail(ErrorKind::data, "{}: does not follow from the line before: the log was changed", name);
    head = {head.entries + 1, sha256(line)};
    all.push_back(parsed);
  }
  return all;
}

bool ReleaseLog::had(const LogHead& wanted) const {
  const auto all = lines();
  if (wanted.entries == 0) return wanted.sha256 == LogHead{}.sha256;
  return wanted.entries > 0 && wanted.entries <= static_cast<std::int64_t>(all.size()) &&
         sha256(all[static_cast<std::size_t>(wanted.entries - 1)]) == wanted.sha256;
}

}  // namespace zonda::edge
