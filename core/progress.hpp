#pragma once
// Progress of long work: a bar on a terminal, a log line now and then otherwise, and the run directory's status.json.
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace zonda {

/// Where progress is also written as JSON `{stage, state, step, of, message, updated}`; an empty path stops it.
void set_status_file(const std::filesystem::path& path);
/// Writes the status file now (atomically). state: "running", "done", "failed", "interrupted".
void write_status(std::string_view stage, std::string_view state, std::int64_t step, std::int64_t of,
                  std::string_view message);

class Progress {
 public:
  /// `stage` names the work ("train"), `of` is the number of steps, `unit` names one ("step", "day", "file").
  /// Silent on ranks that do not speak.
  Progress(std::string stage, std::int64_t of, std::string unit = "step", std::int64_t start = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// Sets the position; `text` is appended ("loss 0.123"). Draws at most a few times a second.
  void update(std::int64_t step, std::string_view text = {});
  void finish(std::string_view text = {});

 private:
  void draw(bool final);
  std::string stage_, unit_, text_;
  std::int64_t start_, step_, of_;
  std::chrono::steady_clock::time_point begin_, last_draw_, last_status_;
  bool terminal_, finished_ = false;
};

}  // namespace zonda
