#include "inference/edge/serving/station_api.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "inference/edge/serving/base64.hpp"
#include "inference/edge/serving/point_forecast.hpp"
#include "inference/edge/serving/request_metrics.hpp"
#include "tests/inference/edge/forecast/analytic_forecast.hpp"

namespace zonda::edge {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class StationApiTest : public ::testing::Test {
 protected:
  StationApiTest() : api_([this] { return now_; }) {
    auto state = std::make_shared<StationState>();
    state->station = "Köln \"West\"";
    state->latitude = 50.93;
    state->longitude = 6.96;
    state->forecast = std::make_shared<const RegionalForecast>(test::analytic_forecast());
    const double nan = std::numeric_limits<double>::quiet_NaN();
    state->corrected.push_back({"2t", "2t", "K", {80, 81, 82, 83, 84}, {79, 80, 81, 82, 83}, {nan, 1, 1, 1.5, 2}});
    state->feed_reach = parse_time("2026-01-12T00");
    state->software = "0.1.0";
    state_ = state;
    api_.publish(state);
  }
  static json parsed(const Answer& answer) { return json::parse(answer.body); }
  void refused(const Answer& answer, int status, const std::string& parameter, const std::string& says) {
    EXPECT_EQ(answer.status, status) << answer.body;
    const json error = parsed(answer)["error"];
    EXPECT_EQ(error["status"], status);
    EXPECT_EQ(error.value("parameter", ""), parameter);
    EXPECT_THAT(error["message"].get<std::string>(), HasSubstr(says));
  }
  Time now_ = parse_time("2026-01-10T12");
  std::shared_ptr<StationState> state_;
  StationApi api_;
};

TEST_F(StationApiTest, CoverageHasADomainParametersAndRanges) {
  const Answer answer = api_.forecast({{"lat", "45.5"}, {"lon", "-3.25"}, {"variables", "2t,10si"}});
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.type, "application/prs.coverage+json");
  const json coverage = parsed(answer);
  EXPECT_EQ(coverage["type"], "Coverage");
  const json& domain = coverage["domain"];
  EXPECT_EQ(domain["type"], "Domain");
  EXPECT_EQ(domain["domainType"], "PointSeries");
  EXPECT_EQ(domain["axes"]["x"]["values"], json({-3.25}));
  EXPECT_EQ(domain["axes"]["y"]["values"], json({45.5}));
  ASSERT_EQ(domain["axes"]["t"]["values"].size(), 5u);
  EXPECT_EQ(domain["axes"]["t"]["values"][1], "2026-01-10T12:00:00Z");
  EXPECT_EQ(domain["referencing"][0]["system"]["type"], "GeographicCRS");
  EXPECT_EQ(domain["referencing"][1]["system"]["calendar"], "Gregorian");
  ASSERT_EQ(coverage["parameters"].size(), 2u);
  EXPECT_EQ(coverage["parameters"]["10si"]["unit"]["symbol"]["value"], "m.s-1");
  EXPECT_EQ(coverage["parameters"]["2t"]["observedProperty"]["id"],
            "http://vocab.nerc.ac.uk/standard_name/air_temperature/");
  for (const auto& [name, range] : coverage["ranges"].items()) {
    EXPECT_TRUE(coverage["parameters"].contains(name));
    EXPECT_EQ(range["type"], "NdArray");
    EXPECT_EQ(range["axisNames"], json({"t"}));
    EXPECT_EQ(range["shape"], json({5}));
    ASSERT_EQ(range["values"].size(), 5u);
  }
  EXPECT_NEAR(coverage["ranges"]["2t"]["values"][2].get<double>(), test::analytic_value(5, 45.5, 356.75, 12), 1e-4);
  EXPECT_EQ(coverage["zonda:condition"]["state"], "FRESH");
  EXPECT_EQ(coverage["zonda:run"]["level"], 1);
}

TEST_F(StationApiTest, TheStationsOwnPlaceHasCorrectedValues) {
  const json here = parsed(api_.forecast({}));
  EXPECT_EQ(here["ranges"]["2t_corrected"]["values"], json({79, 80, 81, 82, 83}));
  EXPECT_TRUE(here["ranges"]["2t_uncertainty"]["values"][0].is_null());
  EXPECT_EQ(here["ranges"]["2t_uncertainty"]["values"][3], 1.5);
  EXPECT_TRUE(parsed(api_.forecast({{"lat", "50.95"}, {"lon", "366.96"}, {"format", "csv"}, {"lon", "6.96"}}))
                  .contains("error"));
  EXPECT_TRUE(parsed(api_.forecast({{"lat", "50.95"}, {"lon", "6.95"}}))["ranges"].contains("2t_corrected"));
  EXPECT_FALSE(parsed(api_.forecast({{"lat", "51.1"}, {"lon", "6.96"}}))["ranges"].contains("2t_corrected"));
  EXPECT_FALSE(parsed(api_.forecast({{"variables", "msl"}}))["ranges"].contains("2t_corrected"));
}

TEST_F(StationApiTest, CsvHasUnitsAndOneRowALead) {
  const Answer answer = api_.forecast({{"variables", "2t,10wdir"}, {"format", "csv"}});
  EXPECT_EQ(answer.type, "text/csv; charset=utf-8");
  std::vector<std::string> lines;
  std::istringstream in(answer.body);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  ASSERT_EQ(lines.size(), 6u);
  EXPECT_EQ(lines[0], "time,lead_hours,2t [K],2t_corrected [K],2t_uncertainty [K],10wdir [degree]");
  EXPECT_THAT(lines[1], HasSubstr("2026-01-10T06:00:00Z,0,"));
  EXPECT_THAT(lines[1], HasSubstr(",79,,"));
  EXPECT_THAT(lines[5], HasSubstr(",83,2,"));
}

TEST_F(StationApiTest, QueriesAreReadStrictly) {
  refused(api_.forecast({{"lat", "45"}}), 400, "lon", "both lat and lon");
  refused(api_.forecast({{"lon", "45"}}), 400, "lat", "both lat and lon");
  refused(api_.forecast({{"lat", "91"}, {"lon", "0"}}), 400, "lat", "from -90 to 90");
  refused(api_.forecast({{"lat", "4e"}, {"lon", "0"}}), 400, "lat", "expected a number");
  refused(api_.forecast({{"lat", "nan"}, {"lon", "0"}}), 400, "lat", "expected a number");
  refused(api_.forecast({{"lat", ""}, {"lon", "0"}}), 400, "lat", "expected a number");
  refused(api_.forecast({{"lat", "45"}, {"lat", "46"}, {"lon", "0"}}), 400, "lat", "more than once");
  refused(api_.forecast({{"latt", "45"}}), 400, "latt", "did you mean 'lat'");
  refused(api_.forecast({{"variables", "2u"}}), 400, "variables", "unknown variable '2u'");
  refused(api_.forecast({{"variables", ""}}), 400, "variables", "unknown variable");
  refused(api_.forecast({{"variables", "2t,2t"}}), 400, "variables", "twice");
  refused(api_.forecast({{"format", "xml"}}), 400, "format", "unknown format 'xml'");
  refused(api_.forecast({{"lat", "-45"}, {"lon", "0"}}), 404, "lat", "outside the region 30..60 N, 340..30 E");
  refused(api_.field({{"lead", "0"}}), 400, "variable", "missing");
  refused(api_.field({{"variable", "2t"}}), 400, "lead", "missing");
  refused(api_.field({{"variable", "2t"}, {"lead", "5"}}), 404, "lead", "no lead of 5 h");
  refused(api_.status({{"x", "1"}}), 400, "x", "unknown parameter");
  refused(api_.forecast({{"a\"b\n", "1"}}), 400, "a\"b\n", "unknown parameter");
}

TEST_F(StationApiTest, FieldsKeepSixteenBits) {
  const json field = parsed(api_.field({{"variable", "2t"}, {"lead", "12"}}));
  const auto truth = state_->forecast->field(2, 5);
  const std::string text = field["uint16"];
  std::string bytes;
  const std::string letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < text.size(); i += 4) {
    unsigned group = 0;
    for (std::size_t k = 0; k < 4; ++k)
      group = group << 6 | (text[i + k] == '=' ? 0u : static_cast<unsigned>(letters.find(text[i + k])));
    for (int k = 2; k >= 0; --k) bytes += static_cast<char>(group >> (8 * k) & 255u);
  }
  ASSERT_GE(bytes.size(), truth.size() * 2);
  const double scale = field["scale"], offset = field["offset"];
  for (std::size_t i = 0; i < truth.size(); ++i) {
    const auto low = static_cast<unsigned char>(bytes[2 * i]), high = static_cast<unsigned char>(bytes[2 * i + 1]);
    EXPECT_NEAR(offset + scale * (low + 256 * high), static_cast<double>(truth[i]), 0.51 * scale + 1e-6);
  }
  EXPECT_EQ(field["columns"], 11);
  EXPECT_EQ(field["latitudes"].size(), 13u);
  EXPECT_EQ(field["valid"], "2026-01-10T18:00:00Z");
}

TEST_F(StationApiTest, StatusNamesEverythingThatCanBeAsked) {
  const json status = parsed(api_.status({}));
  EXPECT_EQ(status["station"]["name"], "Köln \"West\"");
  EXPECT_EQ(status["state"], "FRESH");
  EXPECT_EQ(status["feed_reaches"], "2026-01-12T00:00:00Z");
  EXPECT_EQ(status["leads_hours"], json({0, 6, 12, 18, 24}));
  EXPECT_EQ(status["run"]["model"], "europe 3");
  for (const auto& variable : status["variables"]) {
    for (const auto& hours : status["leads_hours"]) {
      EXPECT_EQ(api_.field({{"variable", variable["name"]}, {"lead", hours.dump()}}).status, 200) << variable;
    }
  }
}

TEST_F(StationApiTest, ConditionFollowsAgeEndAndFaults) {
  EXPECT_EQ(condition_of(*state_, now_).freshness, Freshness::fresh);
  EXPECT_THAT(condition_of(*state_, parse_time("2026-01-11T06")).reasons, ElementsAre());
  const Condition old = condition_of(*state_, parse_time("2026-02-09T06"));
  EXPECT_EQ(old.freshness, Freshness::stale);
  EXPECT_THAT(old.reasons, ElementsAre(HasSubstr("30 days old"), HasSubstr("ended at 2026-01-11T06:00:00Z")));
  state_->faults = {"The last update failed its self-test."};
  EXPECT_EQ(condition_of(*state_, now_).freshness, Freshness::degraded);
  EXPECT_EQ(condition_of(*state_, parse_time("2026-02-09T06")).freshness, Freshness::stale);
  EXPECT_EQ(condition_of(*state_, parse_time("2026-02-09T06")).reasons.size(), 3u);
}

TEST_F(StationApiTest, OldForecastsAreStillServedAndSaySo) {
  now_ = parse_time("2026-02-09T06");
  const Answer answer = api_.forecast({});
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(parsed(answer)["zonda:condition"]["state"], "STALE");
  EXPECT_EQ(api_.health({}).status, 200);
}

TEST_F(StationApiTest, WithoutAForecastItSaysTryAgain) {
  api_.publish(std::make_shared<const StationState>());
  refused(api_.forecast({}), 503, "", "no forecast yet");
  refused(api_.field({{"variable", "2t"}, {"lead", "0"}}), 503, "", "no forecast yet");
  EXPECT_EQ(api_.health({}).status, 503);
  EXPECT_EQ(parsed(api_.status({}))["state"], "DEGRADED");
}

TEST_F(StationApiTest, MetricsAreSamplesWithTypes) {
  RequestMetrics metrics;
  metrics.count_request("/v1/forecast", 200, std::chrono::microseconds(700));
  metrics.count_request("/v1/forecast", 400, std::chrono::milliseconds(20));
  metrics.count_reports(3, 1);
  const std::string text = metrics.text(*state_, now_);
  for (const std::string line :
       {R"(zonda_station_state{state="FRESH"} 1)", R"(zonda_station_state{state="STALE"} 0)",
        R"(zonda_station_requests_total{route="/v1/forecast",status="400"} 1)",
        R"(zonda_station_request_seconds_bucket{route="/v1/forecast",le="0.001"} 1)",
        R"(zonda_station_request_seconds_bucket{route="/v1/forecast",le="+Inf"} 2)",
        R"(zonda_station_reports_total{result="rejected"} 1)", "zonda_station_analysis_age_seconds 21600"})
    EXPECT_THAT(text, HasSubstr("\n" + line + "\n"));
}

TEST(Base64, IsRfc4648) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64("\xff\xfe\xfd"), "//79");
}

TEST(StationApi, RunsByADeadlineAndNamesLevelAndSkill) {
  std::vector<std::pair<RequestClass, int>> asked;
  DemandedRun next;
  StationApi api([] { return parse_time("2026-01-10T12"); },
                 [&](RequestClass request_class, int member) {
                   asked.emplace_back(request_class, member);
                   return next;
                 });
  auto state = std::make_shared<StationState>();
  state->latitude = 45;
  state->longitude = 5;
  RegionalForecast scheduled = test::analytic_forecast();
  scheduled.level = 0;
  state->forecast = std::make_shared<const RegionalForecast>(scheduled);
  api.publish(state);
  RegionalForecast made = test::analytic_forecast();
  made.level = 1;
  made.level_skill = 1.03;
  next.forecast = std::make_shared<const RegionalForecast>(made);
  next.in_time = true;
  next.seconds = 0.05;
  const Answer answer = api.forecast({{"deadline", "interactive"}, {"member", "3"}, {"format", "json"}});
  ASSERT_EQ(answer.status, 200) << answer.body;
  const auto told = nlohmann::json::parse(answer.body);
  EXPECT_EQ(told["run"]["level"], 1);
  EXPECT_DOUBLE_EQ(told["run"]["level_skill"], 1.03);
  EXPECT_EQ(told["demand"]["deadline"], "interactive");
  EXPECT_EQ(told["demand"]["member"], 3);
  EXPECT_EQ(told["demand"]["computed"], true);
  EXPECT_EQ(told["demand"]["milliseconds"], 50);
  EXPECT_EQ(answer.headers, (std::vector<std::pair<std::string, std::string>>{
                                {"Zonda-Run", "in-time"}, {"Zonda-Level", "1"}, {"Zonda-Level-Skill", "1.03"}}));
  // Where it cannot be made, the last run and why.
  next = {.forecast = nullptr, .problem = "no token level is in time"};
  const Answer last = api.forecast({{"member", "4"}});
  const auto coverage = nlohmann::json::parse(last.body);
  EXPECT_EQ(coverage["zonda:demand"]["computed"], false);
  EXPECT_EQ(coverage["zonda:demand"]["deadline"], "prompt");
  EXPECT_EQ(coverage["zonda:demand"]["reason"], "no token level is in time");
  EXPECT_EQ(coverage["zonda:run"]["level"], 0);
  EXPECT_EQ(last.headers.front().second, "last");
  // An instant answer asks nobody.
  EXPECT_EQ(api.forecast({{"deadline", "instant"}}).status, 200);
  EXPECT_EQ(asked,
            (std::vector<std::pair<RequestClass, int>>{{RequestClass::interactive, 3}, {RequestClass::prompt, 4}}));
  for (const Query& wrong : {Query{{"deadline", "soon"}}, Query{{"member", "-1"}}, Query{{"member", "1.5"}},
                             Query{{"deadline", "instant"}, {"member", "1"}}})
    EXPECT_EQ(api.forecast(wrong).status, 400);
  const StationApi without([] { return parse_time("2026-01-10T12"); });
  EXPECT_EQ(without.forecast({{"deadline", "batch"}}).status, 404);
}

TEST(DemandMetrics, CountByClassResultAndLevel) {
  DemandCounts counts;
  counts.classes[1].in_time = 5;
  counts.classes[1].levels[2] = 5;
  counts.classes[2].refused = 1;
  counts.waiting = 2;
  const std::string text = demand_metrics(counts);
  for (const char* line : {"zonda_station_demands_total{deadline=\"interactive\",result=\"in-time\"} 5\n",
                           "zonda_station_demands_total{deadline=\"prompt\",result=\"refused\"} 1\n",
                           "zonda_station_demanded_runs_total{deadline=\"interactive\",level=\"2\"} 5\n",
                           "zonda_station_demands_waiting 2\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
}

}  // namespace
}  // namespace zonda::edge
