#include "parallel/faults/watched_world.hpp"

#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "core/error.hpp"
#include "core/log.hpp"
#include "parallel/faults/status_board.hpp"
#include "parallel/faults/watchdog.hpp"

namespace zonda::parallel {

namespace {

/// Errors of calls say what the other ranks were at.
class ExplainingRecorder : public FlightRecorder {
 public:
  ExplainingRecorder(int rank, std::shared_ptr<StatusBoard> board, double deadline)
      : rank_(rank), board_(std::move(board)), deadline_(deadline) {}
  std::string explain(std::uint64_t id) override { return explain_failure(rank_, *this, id, *board_, deadline_); }

 private:
  int rank_;
  std::shared_ptr<StatusBoard> board_;
  double deadline_;
};

}  // namespace

double collective_timeout() {
  const char* text = std::getenv("ZONDA_COLLECTIVE_TIMEOUT");
  if (text == nullptr || *text == '\0') return 1800;
  const std::string_view word = text;
  double seconds = -1;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), seconds);
  if (error != std::errc() || end != word.data() + word.size() || !(seconds >= 0))
    fail(ErrorKind::usage, "ZONDA_COLLECTIVE_TIMEOUT={}: expected seconds, 0 for no limit", word);
  return seconds;
}

WatchedWorld::WatchedWorld(const Communicator& world, double deadline) : world_(world) {
  if (deadline <= 0 || world.size() == 1) return;
  struct Meeting {
    std::array<char, 256> host{};
    std::array<char, 40> nonce{};
    std::uint16_t port = 0;
  } meeting;
  if (world.is_root()) {
    const std::string nonce = random_nonce();
    try {
      server_ = std::make_unique<TcpStoreServer>(StoreKey{"watchdog", nonce});
      const StoreAddress address = server_->address();
      address.host.copy(meeting.host.data(), meeting.host.size() - 1);
      nonce.copy(meeting.nonce.data(), meeting.nonce.size() - 1);
      meeting.port = address.port;
    } catch (const Error& error) {
      log::warning("collectives are not watched: {}", error.what());
    }
  }
  world.broadcast(std::as_writable_bytes(std::span(&meeting, 1)), 0).wait();
  if (meeting.port == 0) return;
  auto store = std::make_shared<TcpStore>(StoreAddress{meeting.host.data(), meeting.port},
                                          StoreKey{"watchdog", meeting.nonce.data()},
                                          std::min(std::max(deadline / 16, 0.1), 5.0));
  const auto board = make_store_board(std::move(store), world.size());
  const auto recorder = std::make_shared<ExplainingRecorder>(world.rank(), board, deadline);
  world_ = observed(world, recorder);
  watchdog_ = std::make_unique<Watchdog>(world.rank(), recorder, board, deadline,
                                         [world](const std::string& explanation, const std::string& calls) {
                                           if (!explanation.empty()) log::error("{}\n{}", explanation, calls);
                                           world.abandon(explanation);
                                         });
}

WatchedWorld::~WatchedWorld() = default;

}  // namespace zonda::parallel
