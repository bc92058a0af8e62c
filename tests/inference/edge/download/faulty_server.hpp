#pragma once
// A server in this process that does what servers and links should not.
#include <httplib.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/philox.hpp"

namespace zonda::edge {

inline std::string random_bytes(std::size_t count, std::uint64_t seed) {
  const Philox random(seed, "content");
  std::string bytes(count, 0);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<char>(random.bits(i / 16)[i / 4 % 4] >> (i % 4 * 8));
  return bytes;
}

class FaultyServer {
 public:
  explicit FaultyServer(std::string file) : file_(std::move(file)) {
    server_.Get("/honest", [this](const httplib::Request&, httplib::Response& reply) {
      reply.set_header("ETag", "\"v1\"");
      reply.set_content(file_, "application/octet-stream");
    });
    server_.Get("/conditional", [this](const httplib::Request& request, httplib::Response& reply) {
      reply.set_header("ETag", "\"v1\"");
      if (request.get_header_value("If-None-Match") == "\"v1\"") {
        reply.status = 304;
        return;
      }
      reply.set_content(file_, "application/octet-stream");
    });
    server_.Get("/no-range", [this](const httplib::Request& request, httplib::Response& reply) {
      note(request);
      const_cast<httplib::Request&>(request).ranges.clear();
      reply.set_content(file_, "application/octet-stream");
    });
    // Sends some bytes from where it was asked to, then cuts the connection.
    server_.Get("/cut", [this](const httplib::Request& request, httplib::Response& reply) {
      const std::size_t from = note(request);
      const_cast<httplib::Request&>(request).ranges.clear();
      const std::size_t end = std::min(file_.size(), from + cut_after_);
      part(reply, from, [this, from, end](std::size_t offset, std::size_t, httplib::DataSink& sink) {
        const std::size_t at = from + offset;
        if (at >= end) return end == file_.size();
        const std::size_t n = std::min<std::size_t>(4096, end - at);
        return sink.write(file_.data() + at, n);
      });
    });
    server_.Get("/lying-range", [this](const httplib::Request& request, httplib::Response& reply) {
      const_cast<httplib::Request&>(request).ranges.clear();
      part(reply, note(request) > 0 ? 7 : 0, [this](std::size_t offset, std::size_t n, httplib::DataSink& sink) {
        return sink.write(file_.data() + offset, std::min<std::size_t>(n, 4096));
      });
    });
    server_.Get("/slow", [this](const httplib::Request&, httplib::Response& reply) {
      reply.set_content_provider(file_.size(), "application/octet-stream",
                                 [this](std::size_t offset, std::size_t, httplib::DataSink& sink) {
                                   std::this_thread::sleep_for(std::chrono::milliseconds(100));
                                   return !stopped_ && sink.write(file_.data() + offset, 1);
                                 });
    });
    server_.Get("/endless", [this](const httplib::Request&, httplib::Response& reply) {
      reply.set_chunked_content_provider("application/octet-stream", [this](std::size_t, httplib::DataSink& sink) {
        endless_ += file_.size();
        return !stopped_ && sink.write(file_.data(), file_.size());
      });
    });
    server_.Get("/longer", [this](const httplib::Request&, httplib::Response& reply) {
      reply.set_content(file_ + "!", "application/octet-stream");
    });
    server_.Get("/shorter", [this](const httplib::Request&, httplib::Response& reply) {
      reply.set_content(file_.substr(1), "application/octet-stream");
    });
    server_.Get("/other", [this](const httplib::Request&, httplib::Response& reply) {
      std::string other = file_;
      other.back() ^= 1;
      reply.set_content(other, "application/octet-stream");
    });
    server_.Get("/sometimes-500", [this](const httplib::Request&, httplib::Response& reply) {
      if (++asked_ % 3 != 0) {
        reply.status = 500;
        reply.set_content("trouble", "text/plain");
        return;
      }
      reply.set_content(file_, "application/octet-stream");
    });
    server_.Get("/moved", [](const httplib::Request&, httplib::Response& reply) { reply.set_redirect("/honest"); });
    server_.Get("/circle", [](const httplib::Request&, httplib::Response& reply) { reply.set_redirect("/circle"); });
    server_.Get("/to-file",
                [](const httplib::Request&, httplib::Response& reply) { reply.set_redirect("file:///etc/passwd"); });
    server_.Post("/inventory", [this](const httplib::Request& request, httplib::Response& reply) {
      std::scoped_lock lock(mutex_);
      posted_ = request.body;
      reply.status = 202;
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    server_.set_keep_alive_timeout(1);
    while (!server_.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ~FaultyServer() {
    stopped_ = true;
    server_.stop();
    thread_.join();
  }
  std::string url(const std::string& path) const { return "http://127.0.0.1:" + std::to_string(port_) + path; }
  const std::string& file() const { return file_; }
  void cut_after(std::size_t bytes) { cut_after_ = bytes; }
  std::size_t endless_bytes() const { return endless_; }
  std::string posted() {
    std::scoped_lock lock(mutex_);
    return posted_;
  }
  /// First byte of each request so far.
  std::vector<std::size_t> offsets() {
    std::scoped_lock lock(mutex_);
    return offsets_;
  }

 private:
  std::size_t note(const httplib::Request& request) {
    const std::string range = request.get_header_value("Range");
    const std::size_t from = range.empty() ? 0 : std::stoul(range.substr(6));
    std::scoped_lock lock(mutex_);
    offsets_.push_back(from);
    return from;
  }
  void part(httplib::Response& reply, std::size_t from, httplib::ContentProvider provider) {
    reply.status = from > 0 ? 206 : 200;
    if (from > 0)
      reply.set_header("Content-Range", "bytes " + std::to_string(from) + "-" + std::to_string(file_.size() - 1) + "/" +
                                            std::to_string(file_.size()));
    reply.set_content_provider(file_.size() - from, "application/octet-stream", std::move(provider));
  }
  const std::string file_;
  std::atomic<std::size_t> cut_after_{100000}, endless_{0};
  std::atomic<int> asked_{0};
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  std::vector<std::size_t> offsets_;
  std::string posted_;
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace zonda::edge
