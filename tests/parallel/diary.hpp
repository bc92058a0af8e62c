#pragma once
// For tests of order: what a rank does, one line after the other, with exchanges that end no sooner than somebody waits
// for them.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "parallel/forwarding_transport.hpp"
#include "parallel/observer.hpp"

namespace zonda::parallel {

class Diary : public Observer {
 public:
  std::uint64_t begin(const Call& call) override {
    const std::scoped_lock lock(mutex_);
    names_.push_back(call.operation.name);
    lines_.push_back(fmt::format("{} {} leaves", names_.back(), names_.size() - 1));
    return names_.size() - 1;
  }
  void end(std::uint64_t id) override {
    const std::scoped_lock lock(mutex_);
    lines_.push_back(fmt::format("{} {} is over", names_[id], id));
  }
  void write(std::string line) {
    const std::scoped_lock lock(mutex_);
    lines_.push_back(std::move(line));
  }
  /// Forgets what was; exchanges under way keep their numbers.
  void clear() {
    const std::scoped_lock lock(mutex_);
    lines_.clear();
  }
  std::vector<std::string> lines() const {
    const std::scoped_lock lock(mutex_);
    return lines_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_, names_;
};

/// Nothing is over before somebody waits for it.
class LateTransport : public ForwardingTransport {
 public:
  using ForwardingTransport::ForwardingTransport;
  std::shared_ptr<Transport> split(int color, int key) override {
    return std::make_shared<LateTransport>(inner()->split(color, key));
  }
  Event observe(const Operation& operation, const std::function<Event()>& start) override {
    return Event(
        [event = inner()->observe(operation, start)](bool block) mutable { return block && event.poll(true); });
  }
};

/// The same ranks, late, in a diary.
inline Communicator in_diary(const Communicator& ranks, std::shared_ptr<Diary> diary) {
  return observed(Communicator(std::make_shared<LateTransport>(ranks.transport())), std::move(diary));
}

/// Where things are in a diary, and its exchanges of one kind, in the order of their leaving.
class DiaryReading {
 public:
  DiaryReading(std::vector<std::string> lines, const std::string& kind) : lines_(std::move(lines)) {
    const std::string leaves = "leaves";
    for (std::size_t i = 0; i < lines_.size(); ++i)
      if (lines_[i].starts_with(kind + " ") && lines_[i].ends_with(leaves)) {
        const std::string end = lines_[i].substr(0, lines_[i].size() - leaves.size()) + "is over";
        exchanges_.emplace_back(i, find(end));
      }
  }
  std::size_t at(const std::string& line) const {
    EXPECT_TRUE(has(line)) << line;
    return find(line);
  }
  bool has(const std::string& line) const { return find(line) < lines_.size(); }
  std::size_t exchanges() const { return exchanges_.size(); }
  std::size_t leaves(std::size_t exchange) const { return exchanges_.at(exchange).first; }
  /// Beyond all lines where it is not.
  std::size_t is_over(std::size_t exchange) const { return exchanges_.at(exchange).second; }
  /// `work` begins and ends while the exchange is on its way.
  void expect_during(const std::string& work, std::size_t exchange) const {
    EXPECT_GT(at(work + " begins"), leaves(exchange)) << exchange;
    EXPECT_LT(at(work + " ends"), is_over(exchange)) << exchange;
  }
  std::string text() const {
    std::string text;
    for (const std::string& line : lines_) text += line + "\n";
    return text;
  }

 private:
  std::size_t find(const std::string& line) const {
    return static_cast<std::size_t>(std::find(lines_.begin(), lines_.end(), line) - lines_.begin());
  }
  std::vector<std::string> lines_;
  std::vector<std::pair<std::size_t, std::size_t>> exchanges_;
};

}  // namespace zonda::parallel
