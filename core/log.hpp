#pragma once
// Log: lines on stderr, and in the run directory's log file once one is set. Only rank 0 speaks (see set_speaking).
#include <fmt/core.h>

#include <filesystem>
#include <string_view>

namespace zonda::log {

enum class Level { debug, info, warning, error };

void set_level(Level level);
/// Ranks other than 0 keep silent below `error`.
void set_speaking(bool speaking);
bool speaking();
/// Lines go to this file as well; an empty path closes it.
void set_file(const std::filesystem::path& path);
void write(Level level, std::string_view line);

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::debug, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::info, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace zonda::log
