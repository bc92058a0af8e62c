#include "inference/edge/station/journal.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"

namespace zonda::edge {
namespace {

/// CRC-32C of the record, a blank, the record.
std::string line_of(const nlohmann::json& record) {
  const std::string text = record.dump();
  return fmt::format("{:08x} {}\n", crc32c(std::as_bytes(std::span(text))), text);
}

/// The records of the whole lines at the beginning of `text`, and how many bytes they are.
std::vector<nlohmann::json> whole_lines(const std::string& text, std::uint64_t& bytes) {
  std::vector<nlohmann::json> records;
  bytes = 0;
  for (std::size_t end; (end = text.find('\n', bytes)) != std::string::npos; bytes = end + 1) {
    const std::string_view line = std::string_view(text).substr(bytes, end - bytes);
    if (line.size() < 10 || line[8] != ' ') break;
    const std::string_view record = line.substr(9);
    if (fmt::format("{:08x}", crc32c(std::as_bytes(std::span(record)))) != line.substr(0, 8)) break;
    records.push_back(nlohmann::json::parse(record));
  }
  return records;
}

}  // namespace

std::vector<nlohmann::json> Journal::read(const std::filesystem::path& file) {
  std::uint64_t bytes = 0;
  return std::filesystem::exists(file) ? whole_lines(read_file(file), bytes) : std::vector<nlohmann::json>{};
}

Journal::Journal(std::filesystem::path file, std::uint64_t longest_bytes)
    : file_(std::move(file)), longest_(longest_bytes) {
  if (std::filesystem::exists(file_)) {
    const auto records = whole_lines(read_file(file_), bytes_);
    if (!records.empty()) last_ = records.back();
  }
  open();
}

Journal::~Journal() {
  ::close(descriptor_);
}

void Journal::open() {
  std::error_code ignored;
  std::filesystem::create_directories(file_.parent_path(), ignored);
  descriptor_ = ::open(file_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor_ < 0) fail(ErrorKind::failure, "{}: cannot be opened: {}", file_.string(), std::strerror(errno));
  if (::ftruncate(descriptor_, static_cast<off_t>(bytes_)) != 0 || ::lseek(descriptor_, 0, SEEK_END) < 0)
    fail(ErrorKind::failure, "{}: cannot be cut to its whole lines: {}", file_.string(), std::strerror(errno));
  sync_path(file_.parent_path());
}

void Journal::append(const nlohmann::json& record) {
  if (bytes_ > longest_) shorten();
  const std::string line = line_of(record);
  std::size_t done = 0;
  while (done < line.size()) {
    const ssize_t n = ::write(descriptor_, line.data() + done, line.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(ErrorKind::failure, "{}: cannot be written: {}", file_.string(), std::strerror(errno));
    done += static_cast<std::size_t>(n);
  }
  if (::fdatasync(descriptor_) != 0)
    fail(ErrorKind::failure, "{}: cannot be synced: {}", file_.string(), std::strerror(errno));
  bytes_ += line.size();
  last_ = record;
}

void Journal::shorten() {
  const auto records = read(file_);
  std::string text;
  for (std::size_t i = records.size() / 2; i < records.size(); ++i) text += line_of(records[i]);
  write_file(file_, text);
  ::close(descriptor_);
  bytes_ = text.size();
  open();
}

}  // namespace zonda::edge
