#pragma once
// Small values under names, kept by one process for the others of its job, over TCP: where ranks meet without MPI, and
// where their watchdogs tell of themselves when MPI hangs.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace zonda::parallel {

/// Who may talk to a store: ranks of this start of this job, not those of an earlier one that were left over.
struct StoreKey {
  std::string job, nonce;
  bool operator==(const StoreKey&) const = default;
};
/// 16 random bytes, in hexadecimal.
std::string random_nonce();

struct StoreAddress {
  std::string host;
  std::uint16_t port = 0;
};

/// The store itself: a thread of this process.
class TcpStoreServer {
 public:
  /// Port 0 takes a free one. Throws Error(temporary) where the port is taken.
  explicit TcpStoreServer(StoreKey key, std::uint16_t port = 0);
  ~TcpStoreServer();
  TcpStoreServer(const TcpStoreServer&) = delete;
  TcpStoreServer& operator=(const TcpStoreServer&) = delete;
  /// This machine's name, and the port.
  StoreAddress address() const;

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

/// A connection to a store. Calls may come from several threads, one at a time gets through.
class TcpStore {
 public:
  /// Every call ends within `deadline` seconds. Connects at the first call, again and again until the deadline, so that
  /// clients may start before the server; and anew after a broken connection.
  TcpStore(StoreAddress address, StoreKey key, double deadline);
  ~TcpStore();
  TcpStore(const TcpStore&) = delete;
  TcpStore& operator=(const TcpStore&) = delete;

  // All throw Error(temporary) where the store does not answer in time, Error(failure) where it serves another job or
  // another start of it.
  void set(std::string_view name, std::string_view value);
  struct Value {
    std::string value;
    double age;  ///< seconds since it was set
  };
  std::optional<Value> find(std::string_view name);
  /// Waits until somebody has set it.
  std::string get(std::string_view name);
  /// Adds to a counter that begins at 0 and returns the sum. Not tried again where the connection breaks.
  std::int64_t add(std::string_view name, std::int64_t amount);

 private:
  class Connection;
  std::unique_ptr<Connection> connection_;
};

}  // namespace zonda::parallel
