// Ranks as threads of one process. A message is copied when it is sent and again when it is received: no thread ever
// touches another's buffers, whenever one of them ends in an error.
#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <tuple>

#include "core/error.hpp"
#include "parallel/transport.hpp"

namespace zonda::parallel {
namespace {

struct Message {
  std::vector<std::byte> data;
  const char* operation;
};

struct Mailbox {
  struct Queue {
    std::uint64_t sent = 0, posted = 0;  // receives match sends in the order of their calls
    std::map<std::uint64_t, Message> messages;
  };
  using Key = std::tuple<int, bool, std::uint64_t>;  // from, collective, number
  std::mutex mutex;
  std::condition_variable arrival;
  std::map<Key, Queue> queues;
};

/// Another rank's error as the others see it.
class PeerFailure : public Error {
 public:
  explicit PeerFailure(const std::string& message) : Error(ErrorKind::temporary, message) {}
};

struct Group {
  explicit Group(std::vector<int> world_ranks) : members(std::move(world_ranks)), mailboxes(members.size()) {}
  std::vector<int> members;  // world rank of each
  std::vector<Mailbox> mailboxes;
  std::mutex split_mutex;
  std::map<std::pair<std::uint64_t, int>, std::pair<std::shared_ptr<Group>, std::size_t>> splits;  // and calls so far

  void wake() {
    for (Mailbox& mailbox : mailboxes) {
      const std::scoped_lock lock(mailbox.mutex);
      mailbox.arrival.notify_all();
    }
  }
};

}  // namespace

struct ThreadWorld::Shared {
  explicit Shared(int ranks) : left(static_cast<std::size_t>(ranks)) {}
  std::vector<std::atomic<bool>> left;
  std::atomic<bool> failed = false;
  std::mutex mutex;
  std::string reason;
  std::vector<std::weak_ptr<Group>> groups;
  std::shared_ptr<Group> world;

  std::shared_ptr<Group> make_group(std::vector<int> members) {
    auto group = std::make_shared<Group>(std::move(members));
    const std::scoped_lock lock(mutex);
    std::erase_if(groups, [](const auto& weak) { return weak.expired(); });
    groups.push_back(group);
    return group;
  }
  void wake() {
    std::vector<std::shared_ptr<Group>> alive;
    {
      const std::scoped_lock lock(mutex);
      for (const auto& weak : groups)
        if (auto group = weak.lock()) alive.push_back(std::move(group));
    }
    for (const auto& group : alive) group->wake();
  }
  std::string why() {
    const std::scoped_lock lock(mutex);
    return reason;
  }
  void end(const std::string& why_it_ends) {
    {
      const std::scoped_lock lock(mutex);
      if (reason.empty()) reason = why_it_ends;
    }
    failed = true;
    wake();
  }
};

namespace {

class ThreadTransport : public Transport {
 public:
  ThreadTransport(std::shared_ptr<ThreadWorld::Shared> shared, std::shared_ptr<Group> group, int rank)
      : shared_(std::move(shared)), group_(std::move(group)), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(group_->members.size()); }

  std::shared_ptr<Transport> split(int color, int key) override {
    const std::uint64_t number = begin_collective();
    const std::array<int, 2> mine{color, key};
    std::vector<std::array<int, 2>> all(group_->members.size());
    all_gather(std::as_bytes(std::span(mine)), std::as_writable_bytes(std::span(all))).wait();
    std::vector<std::pair<int, int>> order;  // key, rank
    for (int r = 0; r < size(); ++r)
      if (all[static_cast<std::size_t>(r)][0] == color) order.emplace_back(all[static_cast<std::size_t>(r)][1], r);
    std::sort(order.begin(), order.end());
    std::vector<int> members;
    int new_rank = 0;
    for (const auto& [k, r] : order) {
      if (r == rank_) new_rank = static_cast<int>(members.size());
      members.push_back(group_->members[static_cast<std::size_t>(r)]);
    }
    const std::scoped_lock lock(group_->split_mutex);
    auto& [group, calls] = group_->splits[{number, color}];
    if (!group) group = shared_->make_group(std::move(members));
    auto transport = std::make_shared<ThreadTransport>(shared_, group, new_rank);
    if (++calls == order.size()) group_->splits.erase({number, color});
    return transport;
  }

  void abandon(const std::string& reason) override { shared_->end(reason); }

  Event send(std::span<const std::byte> data, int to, const Label& label) override {
    Mailbox& mailbox = group_->mailboxes[static_cast<std::size_t>(to)];
    Message message{{data.begin(), data.end()}, label.operation};
    const std::scoped_lock lock(mailbox.mutex);
    auto& queue = mailbox.queues[{rank_, label.collective, label.number}];
    queue.messages.emplace(queue.sent++, std::move(message));
    mailbox.arrival.notify_all();
    return Event();
  }

  Event receive(std::span<std::byte> data, int from, const Label& label) override {
    Mailbox& mailbox = group_->mailboxes[static_cast<std::size_t>(rank_)];
    const Mailbox::Key key{from, label.collective, label.number};
    const std::scoped_lock lock(mailbox.mutex);
    const std::uint64_t ticket = mailbox.queues[key].posted++;
    return Event([shared = shared_, group = group_, rank = rank_, data, label, key, ticket](bool block) {
      return take(*shared, *group, rank, data, label, key, ticket, block);
    });
  }

 private:
  static bool take(ThreadWorld::Shared& shared, Group& group, int rank, std::span<std::byte> data, const Label& label,
                   const Mailbox::Key& key, std::uint64_t ticket, bool block) {
    const int from = std::get<0>(key);
    Mailbox& mailbox = group.mailboxes[static_cast<std::size_t>(rank)];
    Message message;
    {
      // Looked at before the mailbox: what a rank sent before it left is there.
      const bool left = shared.left[static_cast<std::size_t>(group.members[static_cast<std::size_t>(from)])];
      const bool failed = shared.failed;
      std::unique_lock lock(mailbox.mutex);
      Mailbox::Queue& queue = mailbox.queues[key];
      auto found = queue.messages.find(ticket);
      if (found == queue.messages.end()) {
        if (failed) throw PeerFailure(fmt::format("{} ended: {}", label.operation, shared.why()));
        if (left)
          fail(ErrorKind::failure, "rank {} waits in {} (number {}) for rank {}, which has ended", rank,
               label.operation, label.number, from);
        // Bounded: the thread may have other operations to carry on.
        if (block) mailbox.arrival.wait_for(lock, std::chrono::milliseconds(5));
        found = queue.messages.find(ticket);
        if (found == queue.messages.end()) return false;
      }
      message = std::move(found->second);
      queue.messages.erase(found);
      if (label.collective) mailbox.queues.erase(key);  // its number never comes again
    }
    if (label.collective && std::strcmp(message.operation, label.operation) != 0)
      fail(ErrorKind::failure, "collective {}: rank {} is in {}, rank {} in {}", label.number / 2, rank,
           label.operation, from, message.operation);
    if (message.data.size() != data.size())
      fail(ErrorKind::failure, "{} (number {}): rank {} expected {} bytes from rank {}, which sent {}", label.operation,
           label.number, rank, data.size(), from, message.data.size());
    if (!data.empty()) std::memcpy(data.data(), message.data.data(), data.size());
    return true;
  }

  std::shared_ptr<ThreadWorld::Shared> shared_;
  std::shared_ptr<Group> group_;
  int rank_;
};

}  // namespace

ThreadWorld::ThreadWorld(int ranks) : shared_(std::make_shared<Shared>(ranks)) {
  std::vector<int> members(static_cast<std::size_t>(ranks));
  for (int r = 0; r < ranks; ++r) members[static_cast<std::size_t>(r)] = r;
  shared_->world = shared_->make_group(std::move(members));
}
ThreadWorld::~ThreadWorld() = default;

std::shared_ptr<Transport> ThreadWorld::transport(int rank) const {
  return std::make_shared<ThreadTransport>(shared_, shared_->world, rank);
}

void ThreadWorld::fail(int rank, const std::string& reason) {
  shared_->end(fmt::format("rank {} failed: {}", rank, reason));
}

void ThreadWorld::leave(int rank) {
  shared_->left[static_cast<std::size_t>(rank)] = true;
  shared_->wake();
}

void run_on_threads(int ranks, const std::function<void(const Communicator&)>& body) {
  if (ranks < 1) zonda::fail(ErrorKind::usage, "run_on_threads needs at least one rank, not {}", ranks);
  ThreadWorld world(ranks);
  std::mutex mutex;
  std::exception_ptr cause, consequence;  // the first of each
  const auto run = [&](int rank) {
    const auto keep = [&](std::exception_ptr& first) {
      const std::scoped_lock lock(mutex);
      if (!first) first = std::current_exception();
    };
    try {
      body(Communicator(world.transport(rank)));
      world.leave(rank);
    } catch (const PeerFailure& error) {
      keep(consequence);
      world.fail(rank, error.what());
    } catch (const std::exception& error) {
      keep(cause);
      world.fail(rank, error.what());
    } catch (...) {
      keep(cause);
      world.fail(rank, "an exception of unknown type");
    }
  };
  std::vector<std::thread> threads;
  threads.reserve(static_cast<std::size_t>(ranks));
  for (int rank = 0; rank < ranks; ++rank) threads.emplace_back(run, rank);
  for (std::thread& thread : threads) thread.join();
  if (cause) std::rethrow_exception(cause);
  if (consequence) std::rethrow_exception(consequence);
}

}  // namespace zonda::parallel
