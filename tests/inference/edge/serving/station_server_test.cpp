#include "inference/edge/serving/station_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/error.hpp"
#include "tests/inference/edge/forecast/analytic_forecast.hpp"

namespace zonda::edge {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

std::shared_ptr<const StationState> state_of(const std::string& model) {
  auto state = std::make_shared<StationState>();
  state->latitude = 45;
  state->longitude = 5;
  RegionalForecast forecast = test::analytic_forecast();
  forecast.model = model;
  state->forecast = std::make_shared<const RegionalForecast>(std::move(forecast));
  return state;
}

ServingConfig any_port() {
  ServingConfig config;
  config.port = 0;
  config.connections = 8;
  return config;
}

TEST(StationServer, AnswersOverHttp) {
  StationServer server(any_port(), [] { return parse_time("2026-01-10T12"); });
  httplib::Client client("127.0.0.1", server.start());
  EXPECT_EQ(client.Get("/healthz")->status, 503);
  const auto early = client.Get("/v1/forecast");
  EXPECT_EQ(early->status, 503);
  EXPECT_EQ(early->get_header_value("Retry-After"), "60");
  server.publish(state_of("a"));
  EXPECT_EQ(client.Get("/healthz")->status, 200);
  const auto forecast = client.Get("/v1/forecast?lat=45&lon=5&variables=2t");
  EXPECT_EQ(forecast->status, 200);
  EXPECT_EQ(forecast->get_header_value("Content-Type"), "application/prs.coverage+json");
  EXPECT_EQ(json::parse(forecast->body)["zonda:run"]["model"], "a");
  const auto wrong = client.Get("/v1/forecast?lat=x&lon=5");
  EXPECT_EQ(wrong->status, 400);
  EXPECT_EQ(json::parse(wrong->body)["error"]["parameter"], "lat");
  const auto nothing = client.Get("/v2/forecast");
  EXPECT_EQ(nothing->status, 404);
  EXPECT_THAT(json::parse(nothing->body)["error"]["message"].get<std::string>(), HasSubstr("/v2/forecast"));
  EXPECT_THAT(client.Get("/metrics")->body,
              HasSubstr(R"(zonda_station_requests_total{route="/v1/forecast",status="400"} 1)"));
}

TEST(StationServer, ThePageAsksNobodyElse) {
  StationServer server(any_port());
  httplib::Client client("127.0.0.1", server.start());
  const auto answer = client.Get("/");
  ASSERT_EQ(answer->status, 200);
  const std::string policy = answer->get_header_value("Content-Security-Policy");
  EXPECT_THAT(policy, HasSubstr("default-src 'none'; script-src 'sha256-"));
  EXPECT_THAT(policy, HasSubstr("connect-src 'self'"));
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  EXPECT_EQ(answer->body.find("@SCRIPT@"), std::string::npos);
  for (std::size_t at = answer->body.find("http"); at != std::string::npos; at = answer->body.find("http", at + 1))
    EXPECT_EQ(answer->body.substr(at, 26), "http://www.w3.org/2000/svg");
}

TEST(StationServer, NoRequestFailsWhileStatesChange) {
  StationServer server(any_port(), [] { return parse_time("2026-01-10T12"); });
  const int port = server.start();
  const auto a = state_of("a"), b = state_of("b");
  server.publish(a);
  std::atomic<bool> stop = false;
  std::atomic<int> failed = 0, answered = 0, seen_a = 0, seen_b = 0;
  std::vector<std::thread> readers;
  for (int r = 0; r < 4; ++r) {
    readers.emplace_back([&] {
      httplib::Client client("127.0.0.1", port);
      client.set_keep_alive(true);
      while (!stop) {
        const auto answer = client.Get("/v1/forecast?lat=45&lon=5&format=json");
        if (!answer || answer->status != 200) {
          ++failed;
          continue;
        }
        const std::string model = json::parse(answer->body)["run"]["model"];
        ++(model == "a" ? seen_a : seen_b);
        ++answered;
      }
    });
  }
  for (int swap = 0; swap < 2000 || ((answered < 400 || seen_a == 0 || seen_b == 0) && swap < 100'000); ++swap) {
    server.publish(swap % 2 == 0 ? b : a);
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(failed, 0);
  EXPECT_GE(answered, 400);
  EXPECT_GT(seen_a, 0);
  EXPECT_GT(seen_b, 0);
}

TEST(StationServer, TakesObservationsStrictly) {
  std::vector<SensorReport> taken;
  StationServer server(any_port(), {}, [&](const std::vector<SensorReport>& reports) {
    taken.insert(taken.end(), reports.begin(), reports.end());
    return ObservationReceipt{reports.size(), {}};
  });
  httplib::Client client("127.0.0.1", server.start());
  const auto post = [&](const std::string& body, const char* type) {
    return client.Post("/v1/observations", body, type)->status;
  };
  EXPECT_EQ(post(R"({"reports":[{"time":"2026-01-10T06:10Z","variable":"2t","value":8.25,"unit":"degC"}]})",
                 "application/json"),
            200);
  EXPECT_EQ(post("time,variable,value\n2026-01-10T07:10Z,msl,101325\n", "text/csv"), 200);
  ASSERT_EQ(taken.size(), 2u);
  EXPECT_DOUBLE_EQ(taken[0].value, 281.4);
  EXPECT_EQ(taken[1].time, parse_time("2026-01-10T07:10"));
  EXPECT_EQ(post("{}", "application/json"), 400);
  EXPECT_EQ(post(R"({"reports":[{"time":"2026-01-10T06:10Z","variable":"2t"}]})", "application/json"), 400);
  EXPECT_EQ(post(R"({"reports":[],"reports":[]})", "application/json"), 400);
  EXPECT_EQ(post("time,value\n", "text/csv"), 400);
  EXPECT_EQ(post("x", "text/plain"), 415);
  EXPECT_EQ(post(std::string(2 << 20, 'x'), "text/csv"), 413);
  EXPECT_EQ(taken.size(), 2u);
  EXPECT_THAT(client.Get("/metrics")->body, HasSubstr("zonda_station_reports_total{result=\"accepted\"} 2\n"));
}

TEST(StationServer, ObservationsCanBeRefused) {
  ServingConfig config = any_port();
  config.observations = "none";
  StationServer server(config, {}, [](const std::vector<SensorReport>&) { return ObservationReceipt{}; });
  httplib::Client client("127.0.0.1", server.start());
  EXPECT_EQ(client.Post("/v1/observations", "{\"reports\":[]}", "application/json")->status, 404);
}

TEST(StationServer, ATakenPortIsSaid) {
  StationServer first(any_port());
  ServingConfig config = any_port();
  config.port = first.start();
  config.address = "192.0.2.1";  // of no machine (RFC 5737)
  StationServer second(config);
  try {
    second.start();
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("cannot listen on 192.0.2.1:"));
  }
}

}  // namespace
}  // namespace zonda::edge
