// One rank alone. Messages to itself wait in a queue.
#include <cstring>
#include <deque>
#include <map>
#include <mutex>

#include "core/error.hpp"
#include "parallel/transport.hpp"

namespace zonda::parallel {
namespace {

class SelfTransport : public Transport {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::shared_ptr<Transport> split(int, int) override { return std::make_shared<SelfTransport>(); }

  void abandon(const std::string& reason) override { fail(ErrorKind::temporary, "{}", reason); }

  Event send(std::span<const std::byte> data, int, const Label& label) override {
    const std::scoped_lock lock(mail_->mutex);
    auto& queue = mail_->queues[label.number];
    queue.messages.emplace(queue.sent++, std::vector<std::byte>(data.begin(), data.end()));
    return Event();
  }

  Event receive(std::span<std::byte> data, int, const Label& label) override {
    const std::scoped_lock posting(mail_->mutex);
    return Event([mail = mail_, data, tag = label.number, ticket = mail_->queues[label.number].posted++](bool block) {
      const std::scoped_lock lock(mail->mutex);
      auto& messages = mail->queues[tag].messages;
      const auto message = messages.find(ticket);
      if (message == messages.end()) {
        if (block) fail(ErrorKind::failure, "receive (tag {}) on one rank alone: it sent itself no such message", tag);
        return false;
      }
      if (message->second.size() != data.size())
        fail(ErrorKind::failure, "receive (tag {}) expected {} bytes, the message has {}", tag, data.size(),
             message->second.size());
      if (!data.empty()) std::memcpy(data.data(), message->second.data(), data.size());
      messages.erase(message);
      return true;
    });
  }

 private:
  struct Queue {
    std::uint64_t sent = 0, posted = 0;  // receives match sends in the order of their calls
    std::map<std::uint64_t, std::vector<std::byte>> messages;
  };
  struct Mail {
    std::mutex mutex;
    std::map<std::uint64_t, Queue> queues;  // by tag
  };
  std::shared_ptr<Mail> mail_ = std::make_shared<Mail>();
};

}  // namespace

std::shared_ptr<Transport> make_self_transport() {
  return std::make_shared<SelfTransport>();
}

}  // namespace zonda::parallel
