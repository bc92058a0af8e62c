#pragma once
// The last calls of a rank, kept for the case that one of them never ends.
#include <chrono>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "parallel/observer.hpp"

namespace zonda::parallel {

/// One call. Times in seconds before now.
struct Record {
  std::string operation, group;
  std::uint64_t sequence = 0;  ///< in its group; 0 for messages
  std::uint64_t bytes = 0;
  std::int64_t root = 0;        ///< root, peer or kind of reduction
  std::uint64_t signature = 0;  ///< the same on all ranks that are in the same collective
  double started = 0;
  std::optional<double> ended;
  std::vector<int> members;  ///< of the group; left out by text()
};

/// What a rank tells of itself: its last calls, oldest first, and the last collective that it entered in each group.
struct Flight {
  std::vector<Record> records;
  std::map<std::string, std::uint64_t> entered;
  /// As lines, for the status board; read again by parse_flight.
  std::string text() const;
};
Flight parse_flight(const std::string& text);

/// Keeps the last `capacity` calls, and all that are under way.
class FlightRecorder : public Observer {
 public:
  explicit FlightRecorder(std::size_t capacity = 32) : capacity_(capacity) {}
  std::uint64_t begin(const Call& call) override;
  void end(std::uint64_t id) override;
  Flight flight() const;
  /// The call that has been under way for longest.
  std::optional<Record> oldest_under_way() const;
  std::optional<Record> find(std::uint64_t id) const;

 private:
  using clock = std::chrono::steady_clock;
  struct Entry {
    std::uint64_t id;
    Call call;
    clock::time_point start;
    std::optional<clock::time_point> end;
  };
  static Record record(const Entry& entry, clock::time_point now);

  std::size_t capacity_;
  mutable std::mutex mutex_;
  std::deque<Entry> entries_;
  std::map<std::string, std::uint64_t> entered_;
  std::uint64_t next_ = 0;
};

}  // namespace zonda::parallel
