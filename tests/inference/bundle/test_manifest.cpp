#include "inference/bundle/manifest.hpp"

#include <gmock/gmock.h>

#include <functional>

#include "core/error.hpp"
#include "small_bundle.hpp"

namespace zonda::inference {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

BundleManifest with_tensors() {
  BundleManifest manifest = small_manifest();
  const std::string sum(64, '0');
  manifest.files = {{"weights.bin", 8192, sum}, {"golden.bin", 100, sum}};
  manifest.tensors = {{"a", "weights.bin", model::DType::f32, {2, 4}, 0, 32, sum},
                      {"b", "weights.bin", model::DType::i8, {16, 4}, 64, 64, sum},
                      {"b.scales", "weights.bin", model::DType::f32, {4}, 128, 16, sum}};
  return manifest;
}

std::string refusal(const std::string& text) {
  try {
    BundleManifest::parse(text, "m.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    EXPECT_THAT(error.what(), HasSubstr("m.json"));
    return error.what();
  }
  return "";
}

/// What is said of a manifest after a change.
std::string refusal(const std::function<void(json&)>& change) {
  json document = json::parse(with_tensors().to_text());
  change(document);
  return refusal(document.dump());
}

TEST(Manifest, IsReadBackAsItWasWritten) {
  const BundleManifest manifest = with_tensors();
  const BundleManifest again = BundleManifest::parse(manifest.to_text(), "m.json");
  EXPECT_EQ(again.to_text(), manifest.to_text());
  EXPECT_EQ(again.tensors, manifest.tensors);
  EXPECT_EQ(again.files, manifest.files);
  EXPECT_EQ(again.region, manifest.region);
  EXPECT_EQ(again.levels, manifest.levels);
}

TEST(Manifest, EveryMemberIsNeededAndNoOtherIsKnown) {
  const json document = json::parse(with_tensors().to_text());
  for (const auto& [key, value] : document.items())
    EXPECT_THAT(refusal([&](json& j) { j.erase(key); }), HasSubstr("no member '" + key + "'"));
  for (const char* list : {"files", "tensors", "levels"})
    for (const auto& [key, value] : document[list].back().items())
      EXPECT_THAT(refusal([&, k = key](json& j) { j[list].back().erase(k); }), HasSubstr("no member '" + key + "'"));
  EXPECT_THAT(refusal([](json& j) { j["colour"] = 1; }), HasSubstr("unknown member 'colour'"));
  EXPECT_THAT(refusal([](json& j) { j["tensors"][0]["colour"] = 1; }), HasSubstr("tensors[0]: unknown member"));
}

TEST(Manifest, EveryMemberHasItsKind) {
  const json document = json::parse(with_tensors().to_text());
  for (const auto& [key, value] : document.items())
    for (const json& wrong : {json(nullptr), json(true), json::array({1}), json(-1)}) {
      if (key == "golden_tolerance" && wrong.is_number()) continue;
      EXPECT_NE(refusal([&, k = key](json& j) { j[k] = wrong; }), "") << key << " " << wrong;
    }
}

TEST(Manifest, FormatAndSchema) {
  EXPECT_THAT(refusal([](json& j) { j["format"] = "other"; }), HasSubstr("expected 'zonda bundle'"));
  EXPECT_THAT(refusal([](json& j) { j["schema"] = 2; }), HasSubstr("schema 2, this program reads 1 to 1"));
  EXPECT_THAT(refusal("{"), HasSubstr("not JSON"));
  EXPECT_THAT(refusal("[]"), HasSubstr("expected an object"));
  EXPECT_THAT(refusal(std::string(17 << 20, ' ')), HasSubstr("at most"));
}

TEST(Manifest, NamesCannotLeaveTheFolder) {
  for (const char* name : {"../weights.bin", "/etc/passwd", "a/b", ".hidden", "", "manifest.json", "a b", "..", "a\\b"})
    EXPECT_THAT(refusal([&](json& j) { j["files"][1]["name"] = name; }), HasSubstr("files[1]: name")) << name;
  for (const char* name : {"/a", "../a", "", "a/"})
    EXPECT_THAT(refusal([&](json& j) { j["tensors"][0]["name"] = name; }), HasSubstr("name")) << name;
}

TEST(Manifest, TensorsLieWithinTheirFilesAndApart) {
  const auto tensor = [](const char* key, const json& value) {
    return refusal([&](json& j) { j["tensors"][0][key] = value; });
  };
  EXPECT_THAT(tensor("offset", 8192), HasSubstr("bytes 8192 to 8224 of weights.bin, which has 8192"));
  EXPECT_THAT(tensor("offset", 9223372036854775744u), HasSubstr("which has 8192"));
  EXPECT_THAT(tensor("offset", 32), HasSubstr("not a multiple of 64"));
  EXPECT_THAT(tensor("offset", 64), HasSubstr("overlap"));
  EXPECT_THAT(tensor("offset", -64), HasSubstr("expected a whole number"));
  EXPECT_THAT(tensor("bytes", 33), HasSubstr("its shape has 32"));
  EXPECT_THAT(tensor("shape", json::array({2, 0})), HasSubstr("extents"));
  EXPECT_THAT(tensor("shape", json::array()), HasSubstr("0 dimensions"));
  EXPECT_THAT(tensor("shape", json::array({1, 1, 1, 1, 2, 4})), HasSubstr("6 dimensions"));
  EXPECT_THAT(tensor("shape", json::array({4294967296u, 4294967296u})), HasSubstr("extents"));
  EXPECT_THAT(tensor("file", "other.bin"), HasSubstr("not listed"));
  EXPECT_THAT(tensor("dtype", "f16"), HasSubstr("known: f64, f32, bf16, i8"));
  EXPECT_THAT(tensor("sha256", "xyz"), HasSubstr("not a SHA-256"));
  EXPECT_THAT(tensor("name", "b"), HasSubstr("listed twice"));
}

TEST(Manifest, Int8MatricesNeedTheirScales) {
  EXPECT_THAT(refusal([](json& j) { j["tensors"].erase(2); }), HasSubstr("needs 'b.scales'"));
  EXPECT_THAT(refusal([](json& j) {
                j["tensors"][2]["shape"] = {3};
                j["tensors"][2]["bytes"] = 12;
              }),
              HasSubstr("needs 'b.scales'"));
}

TEST(Manifest, LevelsComeInOrder) {
  EXPECT_THAT(refusal([](json& j) { j["levels"][1]["level"] = 2; }), HasSubstr("in order"));
}

}  // namespace
}  // namespace zonda::inference
