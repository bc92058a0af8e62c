// Sections: reading into a struct, its faults, its schema, its full form.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/config/table.hpp"
#include "core/error.hpp"

namespace zonda::config {

struct Noise {
  double amplitude = 0.1;
};
void describe(Table& table, Noise& c) {
  table.key("amplitude", c.amplitude, "How much").range(0, 1);
}

struct Source {
  std::string path;
  int every = 1;
};
void describe(Table& table, Source& c) {
  table.key("path", c.path, "Where").required();
  table.key("every", c.every, "Stride").range(1, 100);
}

struct Everything {
  bool flag = false;
  int count = 3;
  std::int64_t large = 5;
  std::uint64_t seed = 1;
  double rate = 0.5;
  std::string name = "run";
  std::string method = "bilinear";
  std::filesystem::path folder = "out";
  Time start = parse_time("2018-01-01");
  Time end = parse_time("2019-01-01");
  Duration step = std::chrono::hours(6);
  std::optional<double> limit;
  std::optional<int> cap;
  std::optional<std::string> title;
  std::optional<Time> cut;
  std::optional<Duration> wait;
  std::vector<int> levels{500, 850};
  std::vector<double> weights;
  std::vector<std::string> variables{"z", "t"};
  std::vector<Time> times;
  std::vector<Duration> leads;
  Noise noise;
  std::optional<Noise> extra;
  std::vector<Source> sources;
};
void describe(Table& table, Everything& c) {
  table.key("flag", c.flag, "A switch");
  table.key("count", c.count, "A count").range(1, 10);
  table.key("large", c.large, "A large count");
  table.key("seed", c.seed, "A seed");
  table.key("rate", c.rate, "A rate").range(0, 1);
  table.key("name", c.name, "A name");
  table.key("method", c.method, "A method").one_of({"nearest", "bilinear", "conservative"});
  table.key("folder", c.folder, "A folder");
  table.key("start", c.start, "Begin");
  table.key("end", c.end, "End");
  table.key("step", c.step, "Step");
  table.key("limit", c.limit, "Limit").range(0, 5);
  table.key("cap", c.cap, "Cap");
  table.key("title", c.title, "Title");
  table.key("cut", c.cut, "Cut");
  table.key("wait", c.wait, "Wait");
  table.key("levels", c.levels, "Levels").range(1, 1100).at_least(1);
  table.key("weights", c.weights, "Weights");
  table.key("variables", c.variables, "Variables");
  table.key("times", c.times, "Times");
  table.key("leads", c.leads, "Leads");
  table.section("noise", c.noise, "Noise");
  table.section("extra", c.extra, "More noise");
  table.list("sources", c.sources, "Sources");
  table.check("end", [&c] { return c.end > c.start ? "" : "must be after start"; });
}

namespace {

using testing::HasSubstr;
using testing::Not;

Everything read_text(std::string_view text) {
  Everything value;
  read(parse_yaml(text, "run.yaml"), value);
  return value;
}

std::string complaint(std::string_view text) {
  try {
    read_text(text);
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return error.what();
  }
}

TEST(Table, reads_every_type) {
  const Everything c = read_text(R"(
flag: true
count: 7
large: -9000000000
seed: 18446744073709551615
rate: 2.5e-1
name: 010
method: nearest
folder: /a/b
start: 2018-02-03T06
end: 2018-02-04 12:00
step: PT12H
limit: 4
cap: ~
title: "5"
cut: 2018-03-01
wait: 90min
levels: [1, 1000]
weights: [1, 2.5]
variables: []
times: [2018-01-01, 2018-01-02]
leads: [6h, 1d]
noise: {amplitude: 1}
extra:
  amplitude: 0
sources:
  - path: a
  - {path: b, every: 2}
)");
  EXPECT_TRUE(c.flag);
  EXPECT_EQ(c.count, 7);
  EXPECT_EQ(c.large, -9'000'000'000);
  EXPECT_EQ(c.seed, std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(c.rate, 0.25);
  EXPECT_EQ(c.name, "010");
  EXPECT_EQ(c.method, "nearest");
  EXPECT_EQ(c.folder, "/a/b");
  EXPECT_EQ(to_string(c.start), "2018-02-03T06:00:00Z");
  EXPECT_EQ(to_string(c.end), "2018-02-04T12:00:00Z");
  EXPECT_EQ(c.step, std::chrono::hours(12));
  EXPECT_EQ(c.limit, 4);
  EXPECT_FALSE(c.cap);
  EXPECT_EQ(c.title, "5");
  EXPECT_EQ(c.wait, std::chrono::minutes(90));
  EXPECT_EQ(c.levels, (std::vector<int>{1, 1000}));
  EXPECT_EQ(c.weights, (std::vector<double>{1, 2.5}));
  EXPECT_TRUE(c.variables.empty());
  EXPECT_EQ(c.times.size(), 2U);
  EXPECT_EQ(c.leads[1], std::chrono::hours(24));
  EXPECT_EQ(c.noise.amplitude, 1);
  ASSERT_TRUE(c.extra);
  EXPECT_EQ(c.extra->amplitude, 0);
  ASSERT_EQ(c.sources.size(), 2U);
  EXPECT_EQ(c.sources[1].path, "b");
  EXPECT_EQ(c.sources[0].every, 1);
}

TEST(Table, keeps_defaults) {
  const Everything c = read_text("noise:\n");
  EXPECT_EQ(c.count, 3);
  EXPECT_EQ(c.noise.amplitude, 0.1);
  EXPECT_FALSE(c.extra);
}

TEST(Table, proposes_the_nearest_key) {
  const std::string message = complaint("coutn: 3\n");
  EXPECT_THAT(message, HasSubstr("run.yaml:1:1: coutn: unknown key 'coutn'; did you mean 'count'?"));
  EXPECT_THAT(complaint("noise: {amplitud: 1}\n"),
              HasSubstr("run.yaml:1:9: noise.amplitud: unknown key 'amplitud'; did you mean 'amplitude'?"));
  EXPECT_THAT(complaint("sources: [{path: a, evry: 2}]\n"), HasSubstr("sources[0].evry: unknown key 'evry'"));
}

struct BadValue {
  const char* text;
  const char* expected;
};
class BadValues : public testing::TestWithParam<BadValue> {};

TEST_P(BadValues, are_named_with_their_place) {
  const std::string message = complaint(GetParam().text);
  EXPECT_THAT(message, HasSubstr("run.yaml:1:"));
  EXPECT_THAT(message, HasSubstr(GetParam().expected));
}

INSTANTIATE_TEST_SUITE_P(
    table, BadValues,
    testing::Values(
        BadValue{"flag: yes", "expected true or false, found 'yes'"}, BadValue{"flag: no", "true or false"},
        BadValue{"flag: on", "true or false"}, BadValue{"flag: True", "true or false"},
        BadValue{"flag: 1", "true or false"}, BadValue{"flag: \"true\"", "true or false"},
        BadValue{"count: 010", "without leading zeros"}, BadValue{"count: 0x10", "a whole number"},
        BadValue{"count: 1e3", "a whole number"}, BadValue{"count: 3.0", "a whole number"},
        BadValue{"count: '3'", "a whole number"}, BadValue{"count: three", "found 'three'"},
        BadValue{"count:", "found nothing"}, BadValue{"count: [3]", "found a list"},
        BadValue{"count: {a: 3}", "found a map"}, BadValue{"count: 11", "1 to 10"},
        BadValue{"count: 99999999999", "a whole number from"}, BadValue{"count: 1_000", "a whole number"},
        BadValue{"seed: -1", "not negative"}, BadValue{"rate: -0.1", "expected 0 to 1, found -0.1"},
        BadValue{"rate: nan", "a number"}, BadValue{"rate: .inf", "a number"}, BadValue{"rate: 1e999", "a number"},
        BadValue{"rate: 1,5", "a number"}, BadValue{"rate: 0.5x", "a number"}, BadValue{"rate: 00.5", "leading zeros"},
        BadValue{"rate: +-0.5", "a number"}, BadValue{"rate: 1:30", "a number"},
        BadValue{"name: [a]", "expected text, found a list"}, BadValue{"name: ~", "found nothing"},
        BadValue{"method: bilinaer", "did you mean 'bilinear'?"}, BadValue{"method: x", "nearest, bilinear"},
        BadValue{"start: 2018-02-30", "a date"}, BadValue{"start: 2018-13-01", "a date"},
        BadValue{"start: yesterday", "a date"}, BadValue{"start: 20180101", "a date"},
        BadValue{"step: 6", "a duration"}, BadValue{"step: 6 hours", "a duration"}, BadValue{"step: -6h", "a duration"},
        BadValue{"step: PT", "a duration"}, BadValue{"levels: 500", "a list of integers"},
        BadValue{"levels: []", "at least 1 items"}, BadValue{"levels: [500, 2000]", "1 to 1100"},
        BadValue{"levels: [500, x]", "found 'x'"}, BadValue{"noise: 3", "expected a map of keys, found '3'"},
        BadValue{"sources: {path: a}", "a list of maps"},
        BadValue{"sources: [{every: 2}]", "sources[0].path: required key is missing"}, BadValue{"limit: 6", "0 to 5"}));

TEST(Table, points_at_the_bad_item_of_a_list) {
  EXPECT_THAT(complaint("levels: [500, x]\n"), HasSubstr("run.yaml:1:15: levels[1]"));
  EXPECT_THAT(complaint("levels: [500, 2000]\n"), HasSubstr("run.yaml:1:15"));
}

TEST(Table, names_all_faults_at_once_in_file_order) {
  const std::string message = complaint("rate: 7\ncoutn: 1\nnoise:\n  amplitude: lots\nstart: never\n");
  const auto at = [&](const char* word) { return message.find(word); };
  ASSERT_NE(at("run.yaml:5:8: start"), std::string::npos) << message;
  EXPECT_LT(at("run.yaml:1:7: rate"), at("run.yaml:2:1: coutn"));
  EXPECT_LT(at("run.yaml:2:1: coutn"), at("run.yaml:4:14: noise.amplitude"));
  EXPECT_LT(at("run.yaml:4:14: noise.amplitude"), at("run.yaml:5:8: start"));
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 3);
}

TEST(Table, checks_across_keys_only_where_each_is_right) {
  EXPECT_THAT(complaint("start: 2018-01-01\nend: 2017-01-01\n"), HasSubstr("run.yaml:2:6: end: must be after start"));
  EXPECT_THAT(complaint("start: 2018-01-01\nend: 2017-01-01\ncount: x\n"), Not(HasSubstr("must be after start")));
}

TEST(Table, refuses_what_is_no_map) {
  EXPECT_THAT(complaint("- a\n- b\n"), HasSubstr("expected a map of keys, found a list"));
  EXPECT_THAT(complaint("just words\n"), HasSubstr("expected a map of keys"));
}

TEST(Table, reports_the_override_that_is_wrong) {
  Node document = parse_yaml("count: 3\n", "run.yaml");
  apply_override(document, "count=many");
  Everything value;
  try {
    read(document, value);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("command line 'count=many': count: expected a whole number, found 'many'"));
  }
}

TEST(Table, full_form_reads_back_to_the_same) {
  Everything c = read_text(
      "name: \"a: b # 'c'\"\nrate: 0.1\ntitle: 'yes'\ncut: 2018-03-01\nsources: [{path: a}, {path: \"b\\n\"}]\nextra: "
      "{}\n");
  const Json first = dump(c);
  const std::string yaml = to_yaml(first);
  Everything again;
  read(parse_yaml(yaml, "config.full.yaml"), again);
  EXPECT_EQ(dump(again), first) << yaml;
  EXPECT_EQ(again.name, "a: b # 'c'");
  EXPECT_EQ(again.sources[1].path, "b\n");
  EXPECT_EQ(again.title, "yes");
}

TEST(Table, full_form_holds_every_default) {
  const Json json = dump(Everything{});
  EXPECT_EQ(json["count"], 3);
  EXPECT_EQ(json["step"], "6h");
  EXPECT_EQ(json["start"], "2018-01-01T00:00:00Z");
  EXPECT_EQ(json["noise"]["amplitude"], 0.1);
  EXPECT_FALSE(json.contains("extra"));
}

TEST(Table, makes_a_schema) {
  Everything value;
  Table table;
  describe(table, value);
  const Json schema = table.schema();
  EXPECT_EQ(schema["type"], "object");
  EXPECT_EQ(schema["additionalProperties"], false);
  const Json& properties = schema["properties"];
  EXPECT_EQ(properties["flag"]["type"], "boolean");
  EXPECT_EQ(properties["count"]["minimum"], 1);
  EXPECT_EQ(properties["count"]["default"], 3);
  EXPECT_EQ(properties["method"]["enum"].size(), 3U);
  EXPECT_EQ(properties["levels"]["items"]["type"], "integer");
  EXPECT_EQ(properties["levels"]["minItems"], 1);
  EXPECT_EQ(properties["limit"]["type"], Json::array({"number", "null"}));
  EXPECT_EQ(properties["noise"]["properties"]["amplitude"]["type"], "number");
  EXPECT_EQ(properties["sources"]["items"]["required"], Json::array({"path"}));
  for (const auto& [name, property] : properties.items()) EXPECT_TRUE(property.contains("description")) << name;
  // Of what is not there the defaults are those of a fresh value.
  EXPECT_EQ(properties["extra"]["properties"]["amplitude"]["default"], 0.1);
  EXPECT_EQ(properties["sources"]["items"]["properties"]["every"]["default"], 1);
}

TEST(Table, makes_a_reference_with_every_key) {
  Everything value;
  Table table;
  describe(table, value);
  const std::string page = table.reference("run");
  for (const char* key : {"`run.count`", "`run.noise.amplitude`", "`run.sources[].path`", "`run.leads`"})
    EXPECT_THAT(page, HasSubstr(key));
  EXPECT_THAT(page, HasSubstr("nearest, bilinear, conservative"));
  EXPECT_THAT(page, HasSubstr("required"));
}

}  // namespace
}  // namespace zonda::config
