#include "parallel/faults/status_board.hpp"

#include <fmt/format.h>

#include <chrono>
#include <mutex>
#include <set>

namespace zonda::parallel {
namespace {

using clock = std::chrono::steady_clock;

class LocalBoard : public StatusBoard {
 public:
  explicit LocalBoard(int ranks) : statuses_(static_cast<std::size_t>(ranks)) {}

  void publish(int rank, const std::string& status) override {
    const std::scoped_lock lock(mutex_);
    statuses_[static_cast<std::size_t>(rank)] = {status, clock::now()};
  }
  std::vector<std::optional<Entry>> read() override {
    const std::scoped_lock lock(mutex_);
    std::vector<std::optional<Entry>> entries;
    for (const auto& published : statuses_) {
      entries.emplace_back();
      if (published)
        entries.back() =
            Entry{published->status, std::chrono::duration<double>(clock::now() - published->when).count()};
    }
    return entries;
  }
  bool claim(const std::string& matter) override {
    const std::scoped_lock lock(mutex_);
    return claimed_.insert(matter).second;
  }

 private:
  struct Published {
    std::string status;
    clock::time_point when;
  };
  std::mutex mutex_;
  std::vector<std::optional<Published>> statuses_;
  std::set<std::string> claimed_;
};

class StoreBoard : public StatusBoard {
 public:
  StoreBoard(std::shared_ptr<TcpStore> store, int ranks) : store_(std::move(store)), ranks_(ranks) {}

  void publish(int rank, const std::string& status) override { store_->set(name(rank), status); }
  std::vector<std::optional<Entry>> read() override {
    std::vector<std::optional<Entry>> entries;
    for (int rank = 0; rank < ranks_; ++rank) {
      entries.emplace_back();
      if (auto found = store_->find(name(rank))) entries.back() = Entry{std::move(found->value), found->age};
    }
    return entries;
  }
  bool claim(const std::string& matter) override { return store_->add("claims/" + matter, 1) == 1; }

 private:
  static std::string name(int rank) { return fmt::format("status/{}", rank); }
  std::shared_ptr<TcpStore> store_;
  int ranks_;
};

}  // namespace

std::shared_ptr<StatusBoard> make_local_board(int ranks) {
  return std::make_shared<LocalBoard>(ranks);
}
std::shared_ptr<StatusBoard> make_store_board(std::shared_ptr<TcpStore> store, int ranks) {
  return std::make_shared<StoreBoard>(std::move(store), ranks);
}

}  // namespace zonda::parallel
