#include "inference/edge/hub/hub_server.hpp"

#include <fcntl.h>
#include <httplib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/log.hpp"
#include "inference/edge/hub/publication.hpp"
#include "inference/edge/hub/report_book.hpp"

namespace zonda::edge {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

/// An open file that a response reads from; closed with the last copy.
struct OpenFile {
  explicit OpenFile(const fs::path& path) : descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) {}
  ~OpenFile() {
    if (descriptor >= 0) ::close(descriptor);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int descriptor;
};

std::string http_date(std::time_t time) {
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  std::array<char, 64> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

void give_file(const fs::path& root, const std::string& path, const httplib::Request& request,
               httplib::Response& response) {
  const auto refuse = [&](int status) {
    const_cast<httplib::Request&>(request).ranges.clear();  // the library would cut the error page
    response.status = status;
  };
  if (!is_target_path(path)) return refuse(404);
  const auto file = std::make_shared<OpenFile>(root / path);
  struct stat status {};
  if (file->descriptor < 0 || ::fstat(file->descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return refuse(404);
  const auto size = static_cast<std::size_t>(status.st_size);
  const std::string tag = fmt::format("\"{:x}{:09x}-{:x}\"", status.st_mtim.tv_sec, status.st_mtim.tv_nsec, size);
  response.set_header("ETag", tag);
  response.set_header("Last-Modified", http_date(status.st_mtim.tv_sec));
  response.set_header("Accept-Ranges", "bytes");
  // What bears its hash or number never changes.
  response.set_header("Cache-Control",
                      path.starts_with("targets/") ? "public, max-age=31536000, immutable" : "no-cache");
  if (request.get_header_value("If-None-Match").find(tag) != std::string::npos) return refuse(304);
  auto& ranges = const_cast<httplib::Request&>(request).ranges;
  const bool other_file = request.has_header("If-Range") && request.get_header_value("If-Range") != tag;
  if (ranges.size() > 1 || other_file) ranges.clear();
  if (!ranges.empty()) {
    const auto [first, last] = ranges.front();
    const auto length = static_cast<ssize_t>(size);
    const bool suffix = first < 0;
    if ((suffix && last <= 0) || (!suffix && first >= length)) {
      response.set_header("Content-Range", fmt::format("bytes */{}", size));
      return refuse(416);
    }
    if (suffix)
      ranges.front() = {std::max<ssize_t>(0, length - last), length - 1};
    else if (last < 0 || last >= length)
      ranges.front().second = length - 1;
  }
  if (size == 0) {
    ranges.clear();
    response.set_content("", "application/octet-stream");
    return;
  }
  const char* type = path.ends_with(".json") ? "application/json" : "application/octet-stream";
  response.set_content_provider(size, type, [file](std::size_t offset, std::size_t length, httplib::DataSink& sink) {
    std::array<char, 1 << 16> buffer{};
    while (length > 0) {
      const ssize_t got =
          ::pread(file->descriptor, buffer.data(), std::min(length, buffer.size()), static_cast<off_t>(offset));
      if (got <= 0 || !sink.write(buffer.data(), static_cast<std::size_t>(got))) return false;
      offset += static_cast<std::size_t>(got);
      length -= static_cast<std::size_t>(got);
    }
    return true;
  });
}

}  // namespace

struct HubServer::State {
  State(const fs::path& hub, HubServerOptions given)
      : folder(hub), options(std::move(given)), book(hub / "stations" / "reports.jsonl") {}

  Time now() const {
    return options.clock ? options.clock() : std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  }

  /// Looks at the waves after a report. One thread at a time; another process that holds the hub comes first.
  void watch_waves() {
    const std::lock_guard guard(watching);
    try {
      rules = AssignmentRules{};
      Repository repository(folder, options.passphrase);
      rules = published_rules(repository);
      const Reports reports = book.newest();
      for (const AssignmentRule& rule : AssignmentRules(rules).rules) {
        const WaveHealth health = judge_wave(rule, reports);
        if (health.verdict == Verdict::stop) {
          stop_waves(repository, rule.model, rule.region, health.reason(), now());
          log::warning("{} {}: {}; all stations go back to '{}'", rule.model, rule.version, health.reason(),
                       rule.before);
        } else if (health.verdict == Verdict::go_on && options.advance && rule.percent_now() < 100) {
          advance_wave(repository, rule.model, rule.region, now());
          log::info("{} {}: the next wave", rule.model, rule.version);
        }
      }
      rules = published_rules(repository);
    } catch (const Error& error) {
      log::warning("waves are looked at again with the next report: {}", error.what());
    }
  }

  json waves() {
    const std::lock_guard guard(watching);
    json all = json::array();
    const Reports reports = book.newest();
    for (const AssignmentRule& rule : rules.rules) {
      const WaveHealth health = judge_wave(rule, reports);
      all.push_back({{"model", rule.model},
                     {"version", rule.version},
                     {"region", rule.region},
                     {"percent", rule.percent_now()},
                     {"stopped", rule.stopped},
                     {"reason", rule.reason},
                     {"stations", health.stations},
                     {"healthy", health.healthy},
                     {"failing", health.failing}});
    }
    return all;
  }

  const fs::path folder;
  const HubServerOptions options;
  ReportBook book;
  std::mutex watching;
  AssignmentRules rules;
  httplib::Server server;
  int port = 0;
};

HubServer::HubServer(const fs::path& hub, const HubServerOptions& options) {
  { const Repository there(hub, options.passphrase); }
  state_ = std::make_unique<State>(hub, options);
  State& state = *state_;
  state.watch_waves();
  httplib::Server& server = state.server;
  server.set_payload_max_length(StationReport::longest);
  server.set_read_timeout(10, 0);
  server.set_write_timeout(10, 0);
  server.set_keep_alive_max_count(1000);
  server.set_keep_alive_timeout(1);  // a fleet's connections that wait must not keep the others out
  server.Get("/v1/waves", [&state](const httplib::Request&, httplib::Response& response) {
    response.set_content(state.waves().dump() + "\n", "application/json");
  });
  server.Get(R"(/(.+))", [&state](const httplib::Request& request, httplib::Response& response) {
    give_file(state.folder / "public", request.matches[1], request, response);
  });
  server.Post("/v1/reports", [&state](const httplib::Request& request, httplib::Response& response) {
    bool news = false;
    try {
      news = state.book.add(request.body, state.now());
    } catch (const Error& error) {
      response.status = error.kind() == ErrorKind::data ? 400 : 503;
      response.set_content(json{{"error", error.what()}}.dump() + "\n", "application/json");
      return;
    }
    if (news) state.watch_waves();
    response.status = 204;
  });
  state.port = options.port == 0 ? server.bind_to_any_port(options.address.c_str()) : options.port;
  if (options.port == 0 ? state.port <= 0 : !server.bind_to_port(options.address.c_str(), options.port))
    fail(ErrorKind::usage, "port {} of {} cannot be used", options.port, options.address);
}

HubServer::~HubServer() {
  stop();
}

int HubServer::port() const {
  return state_->port;
}

void HubServer::run() {
  state_->server.listen_after_bind();
}

void HubServer::stop() {
  state_->server.stop();
}

}  // namespace zonda::edge
