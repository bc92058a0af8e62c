#include "model/training/event_file.hpp"

#include <unistd.h>

#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/checksum.hpp"
#include "core/error.hpp"

namespace zonda::model {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

template <class T>
std::string little_endian(T value) {
  static_assert(std::endian::native == std::endian::little);
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

/// Of the TFRecord format: turned and shifted, so that a checksum of data that hold checksums is not degenerate.
std::uint32_t masked_checksum(std::string_view bytes) {
  return std::rotr(crc32c(std::as_bytes(std::span(bytes))), 15) + 0xa282ead8U;
}

// Protocol-buffer encoding: a key is field number and wire type; lengths and integers are base-128, low group first.
enum Wire : std::uint64_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

std::string base128(std::uint64_t value) {
  std::string text;
  for (; value >= 128; value >>= 7) text += static_cast<char>(value | 128);
  return text += static_cast<char>(value);
}
std::string field(std::uint64_t number, Wire wire, const std::string& value) {
  return base128(number << 3 | wire) + (wire == Wire::bytes ? base128(value.size()) : "") + value;
}

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

void collect(const json& value, const std::string& name, std::vector<std::pair<std::string, float>>& found) {
  if (value.is_number()) {
    found.emplace_back(name, value.get<float>());
  } else if (value.is_boolean()) {
    found.emplace_back(name, value.get<bool>() ? 1.0F : 0.0F);
  } else if (value.is_object()) {
    for (const auto& [key, member] : value.items()) collect(member, name.empty() ? key : name + '/' + key, found);
  } else if (value.is_array()) {
    for (const json& member : value) {
      if (!member.is_object() || !member.contains("lead_hours")) continue;
      json rest = member;
      rest.erase("lead_hours");
      collect(rest, name + '/' + std::to_string(member["lead_hours"].get<int>()) + 'h', found);
    }
  }
}

}  // namespace

std::string framed_record(std::string_view payload) {
  const std::string length = little_endian<std::uint64_t>(payload.size());
  return length + little_endian(masked_checksum(length)) + std::string(payload) +
         little_endian(masked_checksum(payload));
}

std::string event_message(double wall_time, std::int64_t step, std::span<const std::pair<std::string, float>> values) {
  std::string message = field(1, Wire::fixed64, little_endian(wall_time));
  if (values.empty()) return message + field(3, Wire::bytes, "brain.Event:2");
  std::string summary;
  for (const auto& [tag, value] : values)
    summary += field(1, Wire::bytes, field(1, Wire::bytes, tag) + field(2, Wire::fixed32, little_endian(value)));
  return message + field(2, Wire::varint, base128(static_cast<std::uint64_t>(step))) + field(5, Wire::bytes, summary);
}

std::vector<std::pair<std::string, float>> scalars_of(const json& line) {
  std::vector<std::pair<std::string, float>> found;
  json rest = line;
  rest.erase("step");
  rest.erase("lead_hours");
  collect(rest, "", found);
  return found;
}

EventFile::EventFile(const fs::path& path, std::uint64_t length) : path_(path), length_(length) {
  fs::create_directories(path.parent_path());
  std::error_code error;
  const std::uint64_t present = fs::exists(path) ? fs::file_size(path, error) : 0;
  if (present < length)
    fail(ErrorKind::data, "{}: {} bytes, but the checkpoint was made when it had {}", path.string(), present, length);
  if (present > length) fs::resize_file(path, length, error);
  file_ = error ? nullptr : std::fopen(path.c_str(), "ab");
  if (!file_) fail(ErrorKind::failure, "{}: cannot be written: {}", path.string(), std::strerror(errno));
  if (length_ == 0) append(event_message(now(), 0, {}));
}

EventFile::~EventFile() {
  std::fclose(file_);
}

void EventFile::append(const std::string& message) {
  const std::string record = framed_record(message);
  if (std::fwrite(record.data(), 1, record.size(), file_) != record.size() || std::fflush(file_) != 0)
    fail(ErrorKind::failure, "{}: cannot be written: {}", path_.string(), std::strerror(errno));
  length_ += record.size();
}

void EventFile::write(const json& line) {
  if (const auto values = scalars_of(line); !values.empty())
    append(event_message(now(), line.at("step").get<std::int64_t>(), values));
}

std::uint64_t EventFile::sync() {
  if (::fsync(::fileno(file_)) != 0)
    fail(ErrorKind::failure, "{}: cannot be synced: {}", path_.string(), std::strerror(errno));
  return length_;
}

}  // namespace zonda::model
