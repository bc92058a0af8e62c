// Strict YAML: what is read, and that everything else is refused with its place.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "core/atomic_file.hpp"
#include "core/config/node.hpp"
#include "core/error.hpp"

namespace zonda::config {
namespace {

using testing::HasSubstr;

/// The message of the usage error that `text` causes; "" if it is read.
std::string complaint(std::string_view text) {
  try {
    parse_yaml(text, "run.yaml");
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return error.what();
  }
}

TEST(Yaml, keeps_order_places_and_quotes) {
  const Node root = parse_yaml("b: 1\na:\n  - x\n  - 'y'\nc: {d: \"2\"}\n", "run.yaml");
  ASSERT_EQ(root.kind, Node::Kind::map);
  ASSERT_EQ(root.entries.size(), 3U);
  EXPECT_EQ(root.entries[0].first, "b");
  EXPECT_EQ(root.key_places[1].to_string(), "run.yaml:2:1");
  const Node& list = *root.find("a");
  ASSERT_EQ(list.items.size(), 2U);
  EXPECT_EQ(list.items[1].place.to_string(), "run.yaml:4:5");
  EXPECT_FALSE(list.items[0].quoted);
  EXPECT_TRUE(list.items[1].quoted);
  EXPECT_TRUE(root.find("c")->find("d")->quoted);
  EXPECT_EQ(root.find("nothing"), nullptr);
}

TEST(Yaml, knows_what_is_nothing) {
  EXPECT_EQ(parse_yaml("", "x").kind, Node::Kind::null);
  EXPECT_EQ(parse_yaml("# only a comment\n", "x").kind, Node::Kind::null);
  EXPECT_EQ(parse_yaml("a:\n", "x").find("a")->kind, Node::Kind::null);
  EXPECT_EQ(parse_yaml("a: ~\n", "x").find("a")->kind, Node::Kind::null);
  EXPECT_EQ(parse_yaml("a: null\n", "x").find("a")->kind, Node::Kind::null);
  EXPECT_EQ(parse_yaml("a: 'null'\n", "x").find("a")->kind, Node::Kind::scalar);
  EXPECT_EQ(parse_yaml("a: ''\n", "x").find("a")->kind, Node::Kind::scalar);
}

TEST(Yaml, reads_json_and_blocks) {
  const Node root = parse_yaml("{\"a\": [1, 2], \"b\": {\"c\": true}}", "x");
  EXPECT_EQ(root.find("a")->items.size(), 2U);
  EXPECT_EQ(parse_yaml("a: |\n  two\n  lines\n", "x").find("a")->scalar, "two\nlines\n");
}

TEST(Yaml, refuses_duplicate_keys) {
  const std::string message = complaint("train:\n  steps: 1\n  batch: 2\n  steps: 3\n");
  EXPECT_THAT(message, HasSubstr("run.yaml:4:3: train.steps: duplicate key 'steps'"));
  EXPECT_THAT(message, HasSubstr("line 2"));
  EXPECT_THAT(complaint("{a: 1, a: 2}"), HasSubstr("duplicate key 'a'"));
  EXPECT_THAT(complaint("a: 1\n\"a\": 2\n"), HasSubstr("duplicate key 'a'"));
}

TEST(Yaml, refuses_anchors_aliases_merge_keys_and_tags) {
  EXPECT_THAT(complaint("a: &x 1\n"), HasSubstr("run.yaml:1:"));
  EXPECT_THAT(complaint("a: &x 1\n"), HasSubstr("anchors"));
  EXPECT_THAT(complaint("a: &x {b: 1}\nc: *x\n"), HasSubstr("aliases"));
  EXPECT_THAT(complaint("a: &x [1]\n"), HasSubstr("anchors"));
  EXPECT_THAT(complaint("a: {b: 1}\nc:\n  <<: {d: 1}\n"), HasSubstr("merge keys"));
  EXPECT_THAT(complaint("a: !!int 3\n"), HasSubstr("tags"));
  EXPECT_THAT(complaint("a: !mine [3]\n"), HasSubstr("tags"));
  EXPECT_THAT(complaint("a: !mine {b: 3}\n"), HasSubstr("tags"));
  EXPECT_THAT(complaint("a: !!str\n"), HasSubstr("tags"));
}

TEST(Yaml, refuses_what_is_no_single_document) {
  EXPECT_THAT(complaint("a: 1\n---\nb: 2\n"), HasSubstr("several documents"));
  EXPECT_EQ(complaint("---\na: 1\n"), "");
  EXPECT_THAT(complaint(std::string_view("a: 1\0", 5)), HasSubstr("zero byte"));
}

TEST(Yaml, refuses_broken_syntax_with_its_place) {
  EXPECT_THAT(complaint("a: 1\n\tb: 2\n"), HasSubstr("run.yaml:2:"));
  EXPECT_THAT(complaint("a:\n\t- b\n"), HasSubstr("run.yaml:2:"));
  EXPECT_THAT(complaint("a: [1, 2\n"), HasSubstr("YAML syntax"));
  EXPECT_THAT(complaint("a: 1\nb: 'open\nc: 2\n"),
              HasSubstr("run.yaml:2:4: b: the quote (') is not closed on its line"));
  EXPECT_THAT(complaint("a: \"open\\\"\n"), HasSubstr("the quote (\") is not closed"));
  EXPECT_THAT(complaint("a: [1, 'x\nb: 'y']\n"), HasSubstr("run.yaml:"));
  EXPECT_EQ(complaint("a: 'it''s'\nb: \"\\\\\"\n'c': 'd'  # 'e\n"), "");
  EXPECT_THAT(complaint("a: 1\n b: 2\n"), HasSubstr("run.yaml:"));
  EXPECT_THAT(complaint("[a, b]: 1\n"), HasSubstr("a key must be a word"));
  EXPECT_THAT(complaint("a: b: c\n"), HasSubstr("run.yaml:1:"));
  EXPECT_THAT(complaint("%YAML 3.0\n---\na: 1\n"), HasSubstr("run.yaml:1"));
}

TEST(Yaml, refuses_bytes_that_are_not_utf8) {
  EXPECT_THAT(complaint("a: \xff\xfe\n"), HasSubstr("UTF-8"));
  EXPECT_THAT(complaint("a: 1\nb: \"\xc3\x28\"\n"), HasSubstr("run.yaml:2:"));
  EXPECT_EQ(parse_yaml("a: Zürich\n", "x").find("a")->scalar, "Zürich");
}

TEST(Yaml, survives_deep_nesting) {
  EXPECT_THAT(complaint(std::string(100'000, '[')), HasSubstr("nested"));
  EXPECT_THAT(complaint(std::string(100'000, '{')), HasSubstr("run.yaml"));
  std::string deep;
  for (int i = 0; i < 3000; ++i) deep += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
  EXPECT_THAT(complaint(deep), HasSubstr("nested"));
}

TEST(Yaml, names_all_faults_at_once_in_order) {
  const std::string message = complaint("a: &x 1\nb: 2\nb: 3\nc: *x\nd: !t 4\n");
  const auto at = [&](const char* word) { return message.find(word); };
  EXPECT_LT(at("run.yaml:1:"), at("run.yaml:3:1"));
  EXPECT_LT(at("run.yaml:3:1"), at("run.yaml:4:"));
  EXPECT_LT(at("run.yaml:4:"), at("run.yaml:5:"));
  EXPECT_NE(at("run.yaml:5:"), std::string::npos);
}

TEST(ReadYaml, needs_a_file) {
  for (const char* path : {"/nowhere/run.yaml", "/"}) {
    try {
      read_yaml(path);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      EXPECT_THAT(error.what(), HasSubstr(path));
    }
  }
}

TEST(Override, sets_adds_and_replaces) {
  Node document = parse_yaml("train: {steps: 1}\nsources:\n  - path: a\n", "x");
  apply_override(document, "train.steps=5");
  apply_override(document, "train.batch=[1, 2]");
  apply_override(document, "new.key.path=word");
  apply_override(document, "sources.0.path=b=c");
  apply_override(document, "train.name=");
  EXPECT_EQ(document.find("train")->find("steps")->scalar, "5");
  EXPECT_EQ(document.find("train")->find("steps")->place.to_string(), "command line 'train.steps=5'");
  EXPECT_EQ(document.find("train")->find("batch")->items.size(), 2U);
  EXPECT_EQ(document.find("new")->find("key")->find("path")->scalar, "word");
  EXPECT_EQ(document.find("sources")->items[0].find("path")->scalar, "b=c");
  EXPECT_EQ(document.find("train")->find("name")->kind, Node::Kind::null);
}

TEST(Override, of_an_empty_document) {
  Node document = parse_yaml("", "x");
  apply_override(document, "a.b=1");
  EXPECT_EQ(document.find("a")->find("b")->scalar, "1");
}

TEST(Override, leaves_a_document_that_is_no_map_to_its_reader) {
  Node words = parse_yaml("just words\n", "x"), list = parse_yaml("- a\n", "x");
  apply_override(words, "a=1");
  apply_override(list, "a=1");
  EXPECT_EQ(words.scalar, "just words");
  EXPECT_EQ(list.kind, Node::Kind::sequence);
}

TEST(Override, is_refused_when_it_is_none) {
  Node document = parse_yaml("list: [1, 2]\nname: run\n", "x");
  for (const char* bad :
       {"word", "=1", "a..b=1", ".a=1", "list.7=1", "name.x=1", "list.x=1", "a=[1", "a={b: 1, b: 2}", "a.=1"}) {
    try {
      apply_override(document, bad);
      ADD_FAILURE() << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage) << bad;
      EXPECT_THAT(error.what(), HasSubstr("command line")) << bad;
    }
  }
}

TEST(Environment, names_with_two_underscores_are_keys) {
  ::setenv("ZONDA_TRAIN__LEARNING_RATE", "0.5", 1);
  ::setenv("ZONDA_PLAIN", "1", 1);
  Node document = parse_yaml("train: {learning_rate: 1}\n", "x");
  apply_environment(document);
  ::unsetenv("ZONDA_TRAIN__LEARNING_RATE");
  ::unsetenv("ZONDA_PLAIN");
  const Node& rate = *document.find("train")->find("learning_rate");
  EXPECT_EQ(rate.scalar, "0.5");
  EXPECT_THAT(rate.place.to_string(), HasSubstr("environment"));
  EXPECT_EQ(document.find("plain"), nullptr);
}

}  // namespace
}  // namespace zonda::config
