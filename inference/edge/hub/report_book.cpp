#include "inference/edge/hub/report_book.hpp"

#include <fstream>

#include "core/error.hpp"

namespace zonda::edge {

ReportBook::ReportBook(std::filesystem::path file) : file_(std::move(file)) {
  std::filesystem::create_directories(file_.parent_path());
  for (const auto& path : {std::filesystem::path(file_.string() + ".1"), file_}) {
    std::ifstream in(path);
    for (std::string line; std::getline(in, line);) {
      try {
        StationReport report = StationReport::parse(line);
        newest_[report.station] = std::move(report);
      } catch (const Error&) {
        continue;
      }
    }
  }
}

bool ReportBook::add(std::string_view text, Time now) {
  StationReport report = StationReport::parse(text);
  if (report.time > now + std::chrono::hours(24))
    fail(ErrorKind::data, "station report: of {}, and it is {}", to_string(report.time), to_string(now));
  const std::lock_guard guard(mutex_);
  const auto known = newest_.find(report.station);
  if (known == newest_.end() && newest_.size() >= stations)
    fail(ErrorKind::data, "station report: more than {} stations", stations);
  if (known != newest_.end() && report.time < known->second.time)
    fail(ErrorKind::data, "station report: older than the last one, of {}", to_string(known->second.time));
  std::string line(text);
  std::erase(line, '\n');
  std::error_code absent;
  if (const auto size = std::filesystem::file_size(file_, absent); !absent && size > longest_file)
    std::filesystem::rename(file_, file_.string() + ".1");
  std::ofstream out(file_, std::ios::app);
  out << line + "\n" << std::flush;
  if (!out) fail(ErrorKind::failure, "{}: cannot be written", file_.string());
  const bool news = known == newest_.end() || known->second.model != report.model ||
                    known->second.version != report.version || known->second.state != report.state ||
                    known->second.tried != report.tried;
  newest_[report.station] = std::move(report);
  return news;
}

Reports ReportBook::newest() const {
  const std::lock_guard guard(mutex_);
  return newest_;
}

}  // namespace zonda::edge
