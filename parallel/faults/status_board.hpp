#pragma once
// Where each rank's watchdog says how far its rank is, and reads the others: beside the network that may hang.
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "parallel/faults/tcp_store.hpp"

namespace zonda::parallel {

class StatusBoard {
 public:
  struct Entry {
    std::string status;
    double age;  ///< seconds since it was published
  };
  virtual ~StatusBoard() = default;
  // All throw Error(temporary) where the board cannot be reached.
  virtual void publish(int rank, const std::string& status) = 0;
  /// One for each rank; nothing where it never published.
  virtual std::vector<std::optional<Entry>> read() = 0;
  /// True for the first caller of all ranks: it speaks for them about `matter`.
  virtual bool claim(const std::string& matter) = 0;
};

/// For the ranks of one process.
std::shared_ptr<StatusBoard> make_local_board(int ranks);
/// For the ranks of a job.
std::shared_ptr<StatusBoard> make_store_board(std::shared_ptr<TcpStore> store, int ranks);

}  // namespace zonda::parallel
