#pragma once
// Work beside a rank's own: exchanges that go on while the rank computes, one after the other.
#include <functional>
#include <memory>

#include "parallel/communicator.hpp"

namespace zonda::parallel {

/// A thread that runs what it is given, in that order. Its exchanges must be over groups of their own (split): those of
/// one group would come in another order on each rank.
class CommunicationStream {
 public:
  CommunicationStream();
  /// Waits for what is left.
  ~CommunicationStream();
  CommunicationStream(const CommunicationStream&) = delete;
  CommunicationStream& operator=(const CommunicationStream&) = delete;
  /// The event's wait() throws what `work` threw; what was given later then does not run and throws the same.
  Event run(std::function<void()> work);

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace zonda::parallel
