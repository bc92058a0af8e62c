#include "inference/edge/serving/station_server.hpp"

#include <httplib.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "core/error.hpp"
#include "inference/edge/serving/json_text.hpp"
#include "inference/edge/serving/page/page.hpp"
#include "inference/edge/serving/request_metrics.hpp"
#include "inference/edge/serving/station_api.hpp"

namespace zonda::edge {
namespace {

constexpr std::size_t most_body_bytes = 1 << 20;

/// As many connections at a time as there are threads; as many again wait, and then the door is closed: what comes
/// stays in the kernel's queue.
class BoundedThreads : public httplib::TaskQueue {
 public:
  explicit BoundedThreads(std::size_t threads) : most_waiting_(threads) {
    for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
  }
  void enqueue(std::function<void()> job) override {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return jobs_.size() < most_waiting_ || closed_; });
    jobs_.push_back(std::move(job));
    ready_.notify_one();
  }
  void shutdown() override {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    ready_.notify_all();
    room_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  void work() {
    while (true) {
      std::function<void()> job;
      {
        std::unique_lock lock(mutex_);
        ready_.wait(lock, [&] { return !jobs_.empty() || closed_; });
        if (jobs_.empty()) return;
        job = std::move(jobs_.front());
        jobs_.pop_front();
      }
      room_.notify_one();
      job();
    }
  }
  std::mutex mutex_;
  std::condition_variable ready_, room_;
  std::deque<std::function<void()>> jobs_;
  std::size_t most_waiting_;
  bool closed_ = false;
  std::vector<std::thread> threads_;
};

Time system_now() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

void send(httplib::Response& response, Answer answer) {
  response.status = answer.status;
  if (answer.status == 503) response.set_header("Retry-After", "60");
  for (const auto& [name, value] : answer.headers) response.set_header(name, value);
  response.set_content(std::move(answer.body), answer.type.c_str());
}

bool from_here(const httplib::Request& request) {
  return request.remote_addr == "127.0.0.1" || request.remote_addr == "::1";
}

}  // namespace

struct StationServer::Parts {
  Parts(ServingConfig c, Clock clock, Observe o, OnDemandRuns* r)
      : config(std::move(c)),
        observe(std::move(o)),
        runs(r),
        api(clock ? std::move(clock) : system_now,
            r ? AskForRun([r](RequestClass request_class, int member) { return r->ask(request_class, member); })
              : AskForRun{}) {}
  ServingConfig config;
  Observe observe;
  OnDemandRuns* runs;
  StationApi api;
  RequestMetrics metrics;
  std::mutex observing;
  httplib::Server server;
  std::thread listener;

  void get(const std::string& route, std::function<Answer(const Query&)> answer) {
    server.Get(route,
               [this, route, answer = std::move(answer)](const httplib::Request& request, httplib::Response& response) {
                 const auto begun = std::chrono::steady_clock::now();
                 Answer made = answer(request.params);
                 metrics.count_request(route, made.status, std::chrono::steady_clock::now() - begun);
                 send(response, std::move(made));
               });
  }
  Answer take_reports(const httplib::Request& request);
  void set_routes();
};

Answer StationServer::Parts::take_reports(const httplib::Request& request) {
  if (!observe || config.observations == "none") return error_answer(404, "", "this station takes no observations");
  if (config.observations == "local" && !from_here(request))
    return error_answer(403, "", "observations are taken from the station itself only (observations: local)");
  const std::string type = request.get_header_value("Content-Type");
  const bool csv = type.starts_with("text/csv");
  if (!csv && !type.starts_with("application/json"))
    return error_answer(415, "Content-Type", "expected application/json or text/csv");
  std::vector<SensorReport> reports;
  try {
    reports = csv ? parse_reports_csv(request.body, "body") : parse_reports_json(request.body, "body");
  } catch (const Error& error) {
    return error_answer(400, "body", error.what());
  }
  const std::lock_guard lock(observing);
  const ObservationReceipt receipt = observe(reports);
  metrics.count_reports(receipt.accepted, receipt.rejected.size());
  return {200, "application/json",
          fmt::format(R"({{"accepted":{},"rejected":{}}})"
                      "\n",
                      receipt.accepted, list_of(receipt.rejected))};
}

void StationServer::Parts::set_routes() {
  get("/v1/forecast", [this](const Query& q) { return api.forecast(q); });
  get("/v1/field", [this](const Query& q) { return api.field(q); });
  get("/v1/coast", [this](const Query& q) { return api.coast(q); });
  get("/v1/status", [this](const Query& q) { return api.status(q); });
  get("/healthz", [this](const Query& q) { return api.health(q); });
  get("/metrics", [this](const Query&) -> Answer {
    return {200, "text/plain; version=0.0.4",
            metrics.text(*api.state(), api.now()) + (runs ? demand_metrics(runs->counts()) : "")};
  });
  server.Get("/", [](const httplib::Request&, httplib::Response& response) {
    response.set_header("Content-Security-Policy", page::security_policy());
    response.set_content(std::string(page::html()), "text/html; charset=utf-8");
  });
  server.Get("/favicon.ico", [](const httplib::Request&, httplib::Response& response) { response.status = 204; });
  server.Post("/v1/observations", [this](const httplib::Request& request, httplib::Response& response) {
    const auto begun = std::chrono::steady_clock::now();
    Answer made = take_reports(request);
    metrics.count_request("/v1/observations", made.status, std::chrono::steady_clock::now() - begun);
    send(response, std::move(made));
  });
  server.set_error_handler([](const httplib::Request& request, httplib::Response& response) {
    if (!response.body.empty() || response.status < 400) return;
    const int status = response.status;
    const std::string message = status == 404   ? "there is nothing at " + request.path.substr(0, 200)
                                : status == 413 ? fmt::format("a body holds at most {} bytes", most_body_bytes)
                                                : "the request is not understood";
    send(response, error_answer(status, "", message));
  });
  server.set_exception_handler([](const httplib::Request&, httplib::Response& response, std::exception_ptr thrown) {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& error) {
      send(response, error_answer(500, "", error.what()));
    } catch (...) {
      send(response, error_answer(500, "", "unknown fault"));
    }
  });
}

StationServer::StationServer(ServingConfig config, Clock clock, Observe observe, OnDemandRuns* runs)
    : parts_(std::make_unique<Parts>(std::move(config), std::move(clock), std::move(observe), runs)) {
  httplib::Server& server = parts_->server;
  const auto threads = static_cast<std::size_t>(parts_->config.connections);
  server.new_task_queue = [threads] { return new BoundedThreads(threads); };
  server.set_tcp_nodelay(true);
  server.set_payload_max_length(most_body_bytes);
  server.set_keep_alive_max_count(10'000);
  server.set_keep_alive_timeout(2);
  server.set_read_timeout(5);
  server.set_write_timeout(5);
  server.set_default_headers(
      {{"X-Content-Type-Options", "nosniff"}, {"Referrer-Policy", "no-referrer"}, {"Cache-Control", "no-cache"}});
  parts_->set_routes();
}

StationServer::~StationServer() {
  stop();
}

void StationServer::publish(std::shared_ptr<const StationState> state) {
  parts_->api.publish(std::move(state));
}

int StationServer::start() {
  const ServingConfig& config = parts_->config;
  int port = config.port;
  const bool bound = port == 0 ? (port = parts_->server.bind_to_any_port(config.address)) > 0
                               : parts_->server.bind_to_port(config.address, port);
  if (!bound)
    fail(ErrorKind::failure, "cannot listen on {}:{}: the port is taken, or the address is not this machine's",
         config.address, config.port);
  parts_->listener = std::thread([this] { parts_->server.listen_after_bind(); });
  while (!parts_->server.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return port;
}

void StationServer::stop() {
  if (!parts_->listener.joinable()) return;
  parts_->server.stop();
  parts_->listener.join();
}

}  // namespace zonda::edge
