#pragma once
// Watching a communicator: every call from its start to its end, with its number in its group.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "parallel/communicator.hpp"
#include "parallel/transport.hpp"

namespace zonda::parallel {

/// A group of ranks: the same name on all of its members.
struct Group {
  std::string name;          ///< "world", or "world/3:1" for colour 1 of the split that was world's collective 3
  std::vector<int> members;  ///< the rank of each in the communicator that was first observed
};

/// What is observed of one call.
struct Call {
  Operation operation;
  std::uint64_t sequence;  ///< counts the collectives of the group, on all of its ranks alike; 0 for messages
  std::shared_ptr<const Group> group;
};

class Observer {
 public:
  virtual ~Observer() = default;
  /// This rank enters a call, and may be held up here. The result names the call in end().
  virtual std::uint64_t begin(const Call& call) = 0;
  /// The rank found the call over, or gave it up.
  virtual void end(std::uint64_t id) = 0;
  /// The call ended in an error: what there is to add to its message.
  virtual std::string explain(std::uint64_t) { return ""; }
};

/// The same group with an observer of its own on each rank; groups split from it are observed as well (a split costs
/// one more small exchange). The observer must stand calls from several threads.
Communicator observed(const Communicator& communicator, std::shared_ptr<Observer> observer);

}  // namespace zonda::parallel
