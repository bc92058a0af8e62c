#include "core/progress.hpp"

#include <fmt/chrono.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <mutex>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/log.hpp"

namespace zonda {
namespace {

using Clock = std::chrono::steady_clock;

std::mutex status_mutex;
std::filesystem::path status_path;

std::string clock_text(double seconds) {
  const auto s = std::llround(seconds);
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

}  // namespace

void set_status_file(const std::filesystem::path& path) {
  std::scoped_lock lock(status_mutex);
  status_path = path;
}

void write_status(std::string_view stage, std::string_view state, std::int64_t step, std::int64_t of,
                  std::string_view message) {
  std::scoped_lock lock(status_mutex);
  if (status_path.empty()) return;
  nlohmann::ordered_json status;
  status["stage"] = stage;
  status["state"] = state;
  status["step"] = step;
  status["of"] = of;
  status["message"] = message;
  status["updated"] = fmt::format("{:%FT%TZ}", fmt::gmtime(std::time(nullptr)));
  write_file(status_path, status.dump() + "\n");
}

Progress::Progress(std::string stage, std::int64_t of, std::string unit, std::int64_t start)
    : stage_(std::move(stage)),
      unit_(std::move(unit)),
      start_(start),
      step_(start),
      of_(of),
      begin_(Clock::now()),
      last_draw_(begin_ - std::chrono::hours(1)),
      last_status_(last_draw_),
      terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (!finished_ && terminal_ && log::speaking()) std::fputs("\n", stderr);
}

void Progress::update(std::int64_t step, std::string_view text) {
  step_ = step;
  const auto now = Clock::now();
  if (now - last_status_ > std::chrono::seconds(2)) {
    last_status_ = now;
    if (log::speaking()) write_status(stage_, "running", step_, of_, text);
  }
  const auto interval = terminal_ ? std::chrono::milliseconds(200) : std::chrono::milliseconds(10'000);
  if (now - last_draw_ < interval) return;
  last_draw_ = now;
  text_ = text;
  draw(false);
}

void Progress::finish(std::string_view text) {
  if (finished_) return;
  step_ = of_;
  text_ = text;
  draw(true);
  finished_ = true;
  if (log::speaking()) write_status(stage_, "running", step_, of_, text);
}

void Progress::draw(bool final) {
  if (!log::speaking()) return;
  const double elapsed = std::chrono::duration<double>(Clock::now() - begin_).count();
  const auto done = static_cast<double>(step_ - start_);
  const double left = done > 0 ? elapsed / done * static_cast<double>(of_ - step_) : 0;
  const double fraction = of_ > 0 ? std::clamp(static_cast<double>(step_) / static_cast<double>(of_), 0.0, 1.0) : 1.0;
  const std::string rate = done > 0 && elapsed > 0 ? fmt::format("{:.3g} {}s/s", done / elapsed, unit_) : "";
  const std::string when = final      ? fmt::format("in {}", clock_text(elapsed))
                           : done > 0 ? clock_text(left) + " left"
                                      : "";
  if (!terminal_) {
    log::info("{} {}/{} {}  {}  {}  {}", stage_, step_, of_, unit_, text_, rate, when);
    return;
  }
  winsize size{};
  const std::size_t columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
  constexpr std::size_t width = 24;
  const auto full = static_cast<std::size_t>(fraction * width);
  std::string bar;
  for (std::size_t i = 0; i < width; ++i) bar += i < full ? "█" : "·";
  std::string tail = fmt::format(" {}/{}  {}  {}  {}", step_, of_, text_, rate, when);
  const std::size_t room = columns > stage_.size() + width + 4 ? columns - stage_.size() - width - 4 : 0;
  if (tail.size() > room) tail.resize(room);
  fmt::print(stderr, "\r\033[K{} {}{}{}", stage_, bar, tail, final ? "\n" : "");
  std::fflush(stderr);
}

}  // namespace zonda
