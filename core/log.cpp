#include "core/log.hpp"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <mutex>

#include "core/error.hpp"

namespace zonda::log {
namespace {

struct Sinks {
  std::mutex mutex;
  std::shared_ptr<spdlog::logger> terminal = spdlog::stderr_color_mt("zonda");
  std::shared_ptr<spdlog::logger> file;
  std::atomic<bool> speaking{true};
  Sinks() { terminal->set_pattern("%H:%M:%S %^%L%$ %v"); }
};

Sinks& sinks() {
  static Sinks instance;
  return instance;
}

spdlog::level::level_enum translate(Level level) {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warning:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

void set_level(Level level) {
  sinks().terminal->set_level(translate(level));
}

void set_speaking(bool speaking) {
  sinks().speaking = speaking;
}

bool speaking() {
  return sinks().speaking;
}

void set_file(const std::filesystem::path& path) {
  std::scoped_lock lock(sinks().mutex);
  sinks().file.reset();
  if (path.empty()) return;
  try {
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path.string(), false);
    sinks().file = std::make_shared<spdlog::logger>("file", sink);
    sinks().file->set_level(spdlog::level::debug);
    sinks().file->set_pattern("%Y-%m-%dT%H:%M:%S%z %l %v");
    sinks().file->flush_on(spdlog::level::info);
  } catch (const spdlog::spdlog_ex& error) {
    fail(ErrorKind::failure, "cannot open the log file {}: {}", path.string(), error.what());
  }
}

void write(Level level, std::string_view line) {
  if (!sinks().speaking && level != Level::error) return;
  sinks().terminal->log(translate(level), line);
  std::scoped_lock lock(sinks().mutex);
  if (sinks().file) sinks().file->log(translate(level), line);
}

}  // namespace zonda::log
