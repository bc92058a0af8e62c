#include "parallel/faults/tcp_store.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <list>
#include <map>
#include <mutex>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "core/error.hpp"

namespace zonda::parallel {
namespace {

using clock = std::chrono::steady_clock;

constexpr std::uint32_t magic = 0x5a4f5331;  // "ZOS1"
constexpr std::uint32_t longest = 1U << 24;

enum class Verb : std::uint32_t { hello, set, find, add };
enum class Answer : std::uint32_t { done, absent, refused };

/// Ahead of every request and answer; two byte strings follow a request (name, value), one an answer. The machines of a
/// job share their byte order.
struct Request {
  std::uint32_t magic;
  Verb verb;
  std::uint32_t name, value;
};
struct Reply {
  std::uint32_t magic;
  Answer answer;
  std::uint32_t value, unused;
  double age;
};

class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() { reset(); }
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    reset(std::exchange(other.fd_, -1));
    return *this;
  }
  int fd() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

double seconds(clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

int milliseconds_until(clock::time_point end) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
}

template <class T>
void append(std::string& bytes, const T& value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

std::string host_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

std::string key_bytes(const StoreKey& key) {
  return key.job + '\n' + key.nonce;
}

}  // namespace

std::string random_nonce() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", device(), device(), device(), device());
}

/// One thread serves all connections. A connection whose key is wrong, or that does not speak the protocol, is dropped.
class TcpStoreServer::Loop {
 public:
  Loop(StoreKey key, std::uint16_t port) : key_(std::move(key)) {
    listener_ = Socket(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int yes = 1;
    setsockopt(listener_.fd(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    address.sin_port = htons(port);
    if (bind(listener_.fd(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        listen(listener_.fd(), 4096) != 0)
      fail(ErrorKind::temporary, "store: port {}: {}", port, std::strerror(errno));
    socklen_t length = sizeof address;
    getsockname(listener_.fd(), reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~Loop() {
    ending_ = true;
    thread_.join();
  }
  std::uint16_t port() const { return port_; }

 private:
  struct Client {
    Socket socket;
    std::string incoming, outgoing;
    bool welcome = false, over = false;
  };
  struct Entry {
    std::string value;
    clock::time_point set;
  };

  void run() {
    while (!ending_) {
      std::vector<pollfd> polled{{listener_.fd(), POLLIN, 0}};
      for (const Client& client : clients_)
        polled.push_back({client.socket.fd(), static_cast<short>(POLLIN | (client.outgoing.empty() ? 0 : POLLOUT)), 0});
      if (poll(polled.data(), polled.size(), 50) <= 0) continue;
      std::size_t index = 1;
      for (Client& client : clients_)
        if (polled[index++].revents != 0) serve(client);
      clients_.remove_if([](const Client& client) { return client.over && client.outgoing.empty(); });
      if ((polled[0].revents & POLLIN) == 0) continue;
      Socket accepted(accept4(listener_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!accepted) continue;
      const int yes = 1;
      setsockopt(accepted.fd(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
      clients_.push_back({std::move(accepted), {}, {}});
    }
  }

  void serve(Client& client) {
    std::array<char, 65536> buffer;
    const ssize_t got = client.over ? -1 : recv(client.socket.fd(), buffer.data(), buffer.size(), 0);
    if (got > 0) client.incoming.append(buffer.data(), static_cast<std::size_t>(got));
    if (got == 0 || (got < 0 && !client.over && errno != EAGAIN && errno != EWOULDBLOCK)) {
      client.over = true;
      client.outgoing.clear();
    }
    while (!client.over && answer_one(client)) {
    }
    if (client.outgoing.empty()) return;
    const ssize_t sent = send(client.socket.fd(), client.outgoing.data(), client.outgoing.size(), MSG_NOSIGNAL);
    if (sent > 0) client.outgoing.erase(0, static_cast<std::size_t>(sent));
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
      client.over = true;
      client.outgoing.clear();
    }
  }

  bool answer_one(Client& client) {
    Request request;
    if (client.incoming.size() < sizeof request) return false;
    std::memcpy(&request, client.incoming.data(), sizeof request);
    if (request.magic != magic || request.name > longest || request.value > longest) {
      client.over = true;
      return false;
    }
    if (client.incoming.size() < sizeof request + request.name + request.value) return false;
    const std::string name = client.incoming.substr(sizeof request, request.name),
                      value = client.incoming.substr(sizeof request + request.name, request.value);
    client.incoming.erase(0, sizeof request + request.name + request.value);
    Reply reply{magic, Answer::done, 0, 0, 0};
    std::string result;
    if (request.verb == Verb::hello) client.welcome = value == key_bytes(key_);
    if (!client.welcome) {
      reply.answer = Answer::refused;
      client.over = true;
    } else if (request.verb == Verb::set) {
      entries_[name] = {value, clock::now()};
    } else if (request.verb == Verb::find) {
      const auto found = entries_.find(name);
      if (found == entries_.end()) {
        reply.answer = Answer::absent;
      } else {
        result = found->second.value;
        reply.age = seconds(clock::now() - found->second.set);
      }
    } else if (request.verb == Verb::add && value.size() == sizeof(std::int64_t)) {
      std::int64_t amount = 0;
      std::memcpy(&amount, value.data(), sizeof amount);
      append(result, counters_[name] += amount);
    }
    reply.value = static_cast<std::uint32_t>(result.size());
    append(client.outgoing, reply);
    client.outgoing += result;
    return !client.over;
  }

  StoreKey key_;
  Socket listener_;
  std::uint16_t port_ = 0;
  std::list<Client> clients_;
  std::map<std::string, Entry> entries_;
  std::map<std::string, std::int64_t> counters_;
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

TcpStoreServer::TcpStoreServer(StoreKey key, std::uint16_t port)
    : loop_(std::make_unique<Loop>(std::move(key), port)) {}
TcpStoreServer::~TcpStoreServer() = default;

StoreAddress TcpStoreServer::address() const {
  return {host_name(), loop_->port()};
}

class TcpStore::Connection {
 public:
  Connection(StoreAddress address, StoreKey key, double deadline)
      : address_(std::move(address)), key_(std::move(key)), deadline_(deadline) {}

  struct Result {
    Answer answer;
    std::string value;
    double age;
  };

  clock::time_point end_of_call() const {
    return clock::now() + std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(deadline_));
  }

  /// `again`: once more over a new connection where the old one turns out to be broken.
  Result call(Verb verb, std::string_view name, std::string_view value, bool again, clock::time_point end) {
    const std::scoped_lock lock(mutex_);
    const bool fresh = !socket_;
    if (fresh) connect(end);
    try {
      return exchange(verb, name, value, end);
    } catch (const Error& error) {
      socket_.reset();
      if (fresh || !again || error.kind() != ErrorKind::temporary) throw;
    }
    connect(end);
    return exchange(verb, name, value, end);
  }

  std::string name() const { return fmt::format("store at {}:{}", address_.host, address_.port); }

 private:
  void connect(clock::time_point end) {
    std::string why = "no time left";
    for (auto pause = std::chrono::milliseconds(10);; pause = std::min(pause * 2, std::chrono::milliseconds(500))) {
      why = try_to_connect(end);
      if (why.empty()) break;
      if (clock::now() + pause >= end) fail(ErrorKind::temporary, "{} does not answer: {}", name(), why);
      std::this_thread::sleep_for(pause);
    }
    try {
      if (exchange(Verb::hello, "", key_bytes(key_), end).answer == Answer::done) return;
    } catch (...) {
      socket_.reset();
      throw;
    }
    socket_.reset();
    fail(ErrorKind::failure, "{} refuses job '{}': it serves another job, or another start of this one", name(),
         key_.job);
  }

  /// Why not; empty where it did.
  std::string try_to_connect(clock::time_point end) {
    addrinfo wanted{}, *found = nullptr;
    wanted.ai_family = AF_INET;
    wanted.ai_socktype = SOCK_STREAM;
    // A machine may not know its own name.
    const std::string host = address_.host == host_name() ? "127.0.0.1" : address_.host;
    if (const int code = getaddrinfo(host.c_str(), std::to_string(address_.port).c_str(), &wanted, &found); code != 0)
      return gai_strerror(code);
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> all(found, freeaddrinfo);
    std::string why = "no address";
    for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
      Socket candidate(socket(one->ai_family, one->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, one->ai_protocol));
      if (!candidate) continue;
      if (::connect(candidate.fd(), one->ai_addr, one->ai_addrlen) != 0 && errno != EINPROGRESS) {
        why = std::strerror(errno);
        continue;
      }
      pollfd polled{candidate.fd(), POLLOUT, 0};
      int error = ETIMEDOUT;
      socklen_t length = sizeof error;
      if (poll(&polled, 1, milliseconds_until(end)) > 0)
        getsockopt(candidate.fd(), SOL_SOCKET, SO_ERROR, &error, &length);
      if (error != 0) {
        why = std::strerror(error);
        continue;
      }
      const int yes = 1;
      setsockopt(candidate.fd(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
      socket_ = std::move(candidate);
      return "";
    }
    return why;
  }

  Result exchange(Verb verb, std::string_view key, std::string_view value, clock::time_point end) {
    std::string request;
    append(request,
           Request{magic, verb, static_cast<std::uint32_t>(key.size()), static_cast<std::uint32_t>(value.size())});
    request.append(key).append(value);
    for (std::string_view rest = request; !rest.empty();) {
      wait(POLLOUT, end);
      const ssize_t sent = send(socket_.fd(), rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN) fail(ErrorKind::temporary, "{}: {}", name(), std::strerror(errno));
      if (sent > 0) rest.remove_prefix(static_cast<std::size_t>(sent));
    }
    Reply reply;
    read(reinterpret_cast<char*>(&reply), sizeof reply, end);
    if (reply.magic != magic || reply.value > longest) fail(ErrorKind::temporary, "{} is no store of ours", name());
    std::string result(reply.value, ' ');
    read(result.data(), result.size(), end);
    return {reply.answer, std::move(result), reply.age};
  }

  void read(char* data, std::size_t size, clock::time_point end) {
    while (size > 0) {
      wait(POLLIN, end);
      const ssize_t got = recv(socket_.fd(), data, size, 0);
      if (got == 0) fail(ErrorKind::temporary, "{} closed the connection", name());
      if (got < 0 && errno != EAGAIN) fail(ErrorKind::temporary, "{}: {}", name(), std::strerror(errno));
      if (got < 0) continue;
      data += got;
      size -= static_cast<std::size_t>(got);
    }
  }

  void wait(short what, clock::time_point end) {
    pollfd polled{socket_.fd(), what, 0};
    if (poll(&polled, 1, milliseconds_until(end)) <= 0) fail(ErrorKind::temporary, "{} does not answer", name());
  }

  StoreAddress address_;
  StoreKey key_;
  double deadline_;
  std::mutex mutex_;
  Socket socket_;
};

TcpStore::TcpStore(StoreAddress address, StoreKey key, double deadline)
    : connection_(std::make_unique<Connection>(std::move(address), std::move(key), deadline)) {}
TcpStore::~TcpStore() = default;

void TcpStore::set(std::string_view name, std::string_view value) {
  if (name.size() > longest || value.size() > longest)
    fail(ErrorKind::failure, "{}: '{}' is too long: {} bytes", connection_->name(), name.substr(0, 80), value.size());
  connection_->call(Verb::set, name, value, true, connection_->end_of_call());
}

std::optional<TcpStore::Value> TcpStore::find(std::string_view name) {
  auto result = connection_->call(Verb::find, name, "", true, connection_->end_of_call());
  if (result.answer != Answer::done) return std::nullopt;
  return Value{std::move(result.value), result.age};
}

std::string TcpStore::get(std::string_view name) {
  const clock::time_point end = connection_->end_of_call();
  for (auto pause = std::chrono::milliseconds(1);; pause = std::min(pause * 2, std::chrono::milliseconds(100))) {
    auto result = connection_->call(Verb::find, name, "", true, end);
    if (result.answer == Answer::done) return std::move(result.value);
    if (clock::now() + pause >= end)
      fail(ErrorKind::temporary, "{}: nobody has set '{}' in time", connection_->name(), name);
    std::this_thread::sleep_for(pause);
  }
}

std::int64_t TcpStore::add(std::string_view name, std::int64_t amount) {
  std::string value;
  append(value, amount);
  const auto result = connection_->call(Verb::add, name, value, false, connection_->end_of_call());
  std::int64_t sum = 0;
  if (result.value.size() != sizeof sum) fail(ErrorKind::failure, "{} cannot count", connection_->name());
  std::memcpy(&sum, result.value.data(), sizeof sum);
  return sum;
}

}  // namespace zonda::parallel
