#pragma once
// Errors: one exception type with a kind; the kind gives the exit code of the program.
#include <fmt/core.h>

#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace zonda {

/// Value = exit code of the `zonda` program.
enum class ErrorKind {
  failure = 1,     ///< an operation failed (disk full, a bug)
  usage = 2,       ///< wrong command line or configuration
  data = 3,        ///< input data missing or bad
  numerical = 4,   ///< numerical guard: NaN, outside the physical range
  temporary = 75,  ///< try again (EX_TEMPFAIL): Slurm requeues it
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }
  int exit_code() const { return static_cast<int>(kind_); }

 private:
  ErrorKind kind_;
};

/// Thrown by a stage that was asked to stop (SIGTERM, SIGINT, SIGUSR1) after it has saved its work.
class Interrupted : public std::runtime_error {
 public:
  explicit Interrupted(int signal_number, const std::string& message)
      : std::runtime_error(message), signal_(signal_number) {}
  int signal_number() const { return signal_; }
  int exit_code() const { return 128 + signal_; }

 private:
  int signal_;
};

template <class... Args>
[[noreturn]] void fail(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

/// The known word nearest to `word` (Damerau-Levenshtein distance at most a third of its length), or "" where none is
/// near.
std::string nearest_word(std::string_view word, std::span<const std::string> known);

/// `unknown WHAT 'word'; did you mean 'x'? known: a, b, c` - the message every factory gives for a name it does not
/// know.
std::string unknown_word(std::string_view what, std::string_view word, std::span<const std::string> known);

}  // namespace zonda
