#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <set>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"
#include "edge_sample.hpp"
#include "inference/bundle/bundle.hpp"
#include "inference/export/export_bundle.hpp"
#include "inference/export/stored_weights.hpp"

namespace zonda::inference {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;

Bundle export_sample(const fs::path& folder, ExportConfig config, const SampleModel& sample = {}) {
  write_sample_model(folder / "model", sample);
  config.model = folder / "model";
  config.to = folder / "bundle";
  export_bundle(config);
  return Bundle::open(config.to);
}

TEST(Export, WeightsInF32AreThoseOfTheModel) {
  const fs::path folder = fresh_folder();
  const Bundle bundle = export_sample(folder, {});
  const auto model = model::load_model(folder / "model");
  const model::ParameterStore& store = model->network.parameters();
  for (model::ParameterId id = 0; id < static_cast<model::ParameterId>(store.list().size()); ++id) {
    const auto numbers = bundle.numbers("weights/" + store.at(id).name);
    ASSERT_TRUE(std::equal(numbers.begin(), numbers.end(), store.value(id).as<float>())) << store.at(id).name;
  }
  EXPECT_EQ(bundle.manifest().model, model->identity);
  EXPECT_EQ(bundle.manifest().parameters, model->network.parameter_count());
  EXPECT_EQ(bundle.manifest().region.boundary_width, 2);
  EXPECT_EQ(bundle.manifest().region.north, 60);
  const auto statics = bundle.numbers("static/fields");
  EXPECT_TRUE(std::equal(statics.begin(), statics.end(), model->layout.static_fields.begin()));
}

TEST(Export, Int8KeepsMatricesWithinHalfAStepOfTheirColumn) {
  const fs::path folder = fresh_folder();
  ExportConfig config;
  config.precision = "int8";
  config.exact = {"block1.up.weight"};
  const Bundle bundle = export_sample(folder, config);
  const auto model = model::load_model(folder / "model");
  const model::ParameterStore& store = model->network.parameters();
  EXPECT_EQ(bundle.entry("weights/block0.up.weight").dtype, model::DType::i8);
  EXPECT_EQ(bundle.entry("weights/block1.up.weight").dtype, model::DType::f32);
  EXPECT_EQ(bundle.entry("weights/conditioning.shared.weight").dtype, model::DType::i8);
  EXPECT_EQ(bundle.entry("weights/embedding.patch.weight").dtype, model::DType::bf16);
  EXPECT_EQ(bundle.entry("weights/embedding.patch.bias").dtype, model::DType::f32);
  const auto id = store.find("block0.up.weight");
  const auto numbers = bundle.numbers("weights/block0.up.weight"),
             scales = bundle.numbers("weights/block0.up.weight.scales");
  for (std::size_t i = 0; i < numbers.size(); ++i)
    ASSERT_LE(std::abs(numbers[i] - store.value(id).as<float>()[i]), 0.5001f * scales[i % scales.size()]);
}

TEST(Export, TheSameModelGivesTheSameBytes) {
  const fs::path folder = fresh_folder();
  write_sample_model(folder / "model");
  for (const char* precision : {"fp32", "bf16", "int8"}) {
    ExportConfig config{.model = folder / "model", .to = folder / "one", .precision = precision};
    const Exported one = export_bundle(config);
    config.to = folder / "two";
    EXPECT_EQ(export_bundle(config).identity, one.identity);
    EXPECT_EQ(sha256_file(folder / "one"), sha256_file(folder / "two"));
  }
}

TEST(Export, ProvenanceIsAStatementAboutTheFiles) {
  const fs::path folder = fresh_folder();
  const Bundle bundle = export_sample(folder, {});
  const json statement = json::parse(read_file(folder / "bundle" / "provenance.json"));
  EXPECT_EQ(statement.at("_type"), "https://in-toto.io/Statement/v1");
  std::set<std::string> subjects;
  for (const json& subject : statement.at("subject")) {
    const std::string name = subject.at("name");
    subjects.insert(name);
    EXPECT_EQ(subject.at("digest").at("sha256"), sha256_file(folder / "bundle" / name)) << name;
  }
  EXPECT_THAT(subjects, ::testing::IsSupersetOf({"weights.bin", "model.onnx", "model-ascend.onnx", "golden.bin"}));
  EXPECT_EQ(statement.at("predicate").at("buildDefinition").at("resolvedDependencies").at(0).at("digest").at("sha256"),
            bundle.manifest().model);
}

TEST(Export, WordsAreVerified) {
  const fs::path folder = fresh_folder();
  write_sample_model(folder / "model");
  const auto refusal = [&](ExportConfig config) {
    config.model = folder / "model";
    config.to = folder / "bundle";
    try {
      export_bundle(config);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      EXPECT_FALSE(fs::exists(folder / "bundle"));
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(refusal({.precision = "int4"}), HasSubstr("known: fp32, bf16, int8"));
  EXPECT_THAT(refusal({.onnx = {"standart"}}), HasSubstr("did you mean 'standard'"));
  EXPECT_THAT(refusal({.precision = "int8", .exact = {"block0.upp.weight"}}), HasSubstr("block0.up.weight"));
  EXPECT_THROW(export_bundle({.model = folder / "nothing", .to = folder / "bundle"}), Error);
}

TEST(Export, NetworksBeyondTheGraphAreRefusedWithTheirReason) {
  const fs::path folder = fresh_folder();
  const SampleModel sample;
  model::NetworkConfig config = sample_network(sample);
  config.noise = 4;
  const model::ForecastLayout layout = sample_layout(sample);
  model::ForecastNetwork network = model::network_of_layout(config, layout);
  network.initialise(1);
  model::ModelOrigin origin;
  origin.licence = "Apache-2.0";
  model::write_model(folder / "model", layout, network, origin, false);
  try {
    export_bundle({.model = folder / "model", .to = folder / "bundle"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("without noise"));
  }
  export_bundle({.model = folder / "model", .to = folder / "bundle", .onnx = {}});
  EXPECT_EQ(Bundle::open(folder / "bundle").manifest().find_file("model.onnx"), nullptr);
}

}  // namespace
}  // namespace zonda::inference
