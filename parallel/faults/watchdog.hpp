#pragma once
// A thread that looks at its rank's calls: one that has not ended within the deadline is explained from what all ranks
// say of themselves, and ends the job.
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "parallel/faults/flight_recorder.hpp"
#include "parallel/faults/status_board.hpp"

namespace zonda::parallel {

/// What one rank last said of itself.
struct RankStatus {
  Flight flight;
  double age;  ///< seconds
};

/// Why `stuck` on `rank` does not end: names the ranks of its group that are dead (silent for more than `silence`
/// seconds), that have not entered it, or that are in another collective in its place.
std::string explain(int rank, const Record& stuck, const std::vector<std::optional<RankStatus>>& statuses,
                    double silence);
/// The last calls of all ranks, a line each.
std::string dump(const std::vector<std::optional<RankStatus>>& statuses);

/// Looks at the board, after the others have had the time to say where they are.
std::string explain_failure(int rank, const FlightRecorder& recorder, std::uint64_t id, StatusBoard& board,
                            double deadline);

/// Besides its deadline it minds the signals that ask for a stop (core/signals.hpp): where a call keeps the rank from
/// obeying, because another rank was killed, it says so before the launcher kills this one too.
class Watchdog {
 public:
  /// `end_job` is called once, on the watchdog's thread, with the explanation and the last calls of all ranks; these
  /// are empty on a rank whose job another one explains.
  Watchdog(int rank, std::shared_ptr<FlightRecorder> recorder, std::shared_ptr<StatusBoard> board, double deadline,
           std::function<void(const std::string& explanation, const std::string& calls)> end_job);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  void run();
  bool pause(double seconds);
  void publish();
  void report(const Record& stuck);
  void report_stop();

  int rank_;
  std::shared_ptr<FlightRecorder> recorder_;
  std::shared_ptr<StatusBoard> board_;
  double deadline_, interval_;
  std::function<void(const std::string&, const std::string&)> end_job_;
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace zonda::parallel
