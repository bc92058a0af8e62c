#pragma once
// Metrics as an event file for TensorBoard: TFRecord framing (length, masked CRC-32C, payload, masked CRC-32C) around
// protocol-buffer messages Event {wall_time, step, summary {value {tag, simple_value}}}.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace zonda::model {

/// One record with its frame.
std::string framed_record(std::string_view payload);
/// The Event message: file version where `values` is empty.
std::string event_message(double wall_time, std::int64_t step, std::span<const std::pair<std::string, float>> values);
/// Names and numbers of a line of metrics: {"loss": 1, "validation": {"rmse": {"z500": 2}}} gives `loss` and
/// `validation/rmse/z500`; members of `curve` are named by their lead.
std::vector<std::pair<std::string, float>> scalars_of(const nlohmann::json& line);

class EventFile {
 public:
  /// Opens `path`, cut to `length` bytes: what follows was written after the checkpoint. Messages do not change their
  /// length with the clock, so that a resumed run cuts where an unbroken one would be. Throws Error(data) if the file
  /// is shorter, Error(failure) if it cannot be opened.
  EventFile(const std::filesystem::path& path, std::uint64_t length);
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;
  /// All scalars of a line of metrics with its member `step`.
  void write(const nlohmann::json& line);
  /// Bytes so far, all of them on the disk.
  std::uint64_t sync();
  std::uint64_t length() const { return length_; }  ///< in bytes, those of write() included
  const std::filesystem::path& path() const { return path_; }

 private:
  void append(const std::string& message);

  std::filesystem::path path_;
  std::FILE* file_;
  std::uint64_t length_;
};

}  // namespace zonda::model
