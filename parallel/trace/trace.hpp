#pragma once
// What a rank does when: a row for each operation and each collective, and the communication that no computation hides.
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "parallel/communicator.hpp"

namespace zonda::parallel {

/// Times in seconds since the trace began.
struct Span {
  std::string name;
  std::string stream;  ///< "compute", "communication", or a device's
  double start = 0, end = 0;
  std::uint64_t bytes = 0;
};

inline constexpr std::string_view communication_stream = "communication";

/// Time in spans of the communication stream during which no span of another stream ran. Spans may overlap and come in
/// any order.
double exposed_communication(const std::vector<Span>& spans);
/// Time in spans of the communication stream, overlaps counted once.
double communication_time(const std::vector<Span>& spans);

/// Collects spans of one rank. May be used from several threads.
class Trace {
 public:
  Trace() : begin_(clock::now()) {}
  /// Seconds since the trace began.
  double now() const;
  void add(Span span);
  std::vector<Span> spans() const;
  /// Chrome's trace format (chrome://tracing, Perfetto): `rank` is the process, each stream a thread of it.
  std::string json(int rank) const;
  /// Throws Error(failure) where it cannot be written.
  void write(const std::filesystem::path& path, int rank) const;

  /// A span from its construction to its end.
  class Scope {
   public:
    Scope(Trace& trace, std::string name, std::string stream = "compute", std::uint64_t bytes = 0);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Trace& trace_;
    Span span_;
  };

 private:
  using clock = std::chrono::steady_clock;
  clock::time_point begin_;
  mutable std::mutex mutex_;
  std::vector<Span> spans_;
};

/// Every call of the communicator and of groups split from it becomes a span of the communication stream: from its
/// start until the rank found it over. Where the rank looks late, the span is longer than the transfer was; the time by
/// which it is too long lies under the work that kept the rank from looking, and so is not exposed.
Communicator traced(const Communicator& communicator, std::shared_ptr<Trace> trace);

}  // namespace zonda::parallel
