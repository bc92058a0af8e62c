#pragma once
// A bundle of a few numbers in a folder of its own.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "inference/bundle/bundle_writer.hpp"
#include "model/tensor/bfloat16.hpp"

namespace zonda::inference {

inline std::filesystem::path fresh_folder(const std::string& name) {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("zonda_" + std::string(test->test_suite_name()) + '_' + test->name());
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder / name;
}

inline BundleManifest small_manifest() {
  BundleManifest manifest;
  manifest.name = "east-asia";
  manifest.precision = "int8";
  manifest.licence = "Apache-2.0";
  manifest.code = "0.1.0";
  manifest.model = std::string(64, 'a');
  manifest.parents = {std::string(64, 'b')};
  manifest.hardware = {"cpu"};
  manifest.region = {"regional 60..25x36 350..40x51", 60, 25, 350, 40, 8};
  manifest.parameters = 42;
  manifest.levels = {{0, 288, 0, 0, 12.5, "a processor, 2 threads", {}},
                     {1, 144, 1, 5, 7, "a processor, 2 threads", {{"z500", 24, 130, 0.01}}}};
  manifest.network = {{"preset", "edge"}};
  manifest.layout = {{"grid", "regional 60..25x36 350..40x51"}};
  manifest.golden_tolerance = 1e-4;
  return manifest;
}

/// An int8 matrix with its scales, an f32 vector, a bf16 one, a matrix of more than four pages; returns its identity.
inline std::string write_small_bundle(const std::filesystem::path& folder) {
  BundleWriter writer(folder);
  const std::vector<std::int8_t> numbers{1, -2, 3, -4, 5, 127};
  const std::vector<float> scales{0.5f, 0.25f, 2.0f}, gains{1.5f, -2.5f}, matrix(5000, 3.0f);
  const std::vector<model::BFloat16> narrow{model::BFloat16(1.0f), model::BFloat16(-0.5f)};
  writer.add_tensor("weights.bin", "weights/qkv", {2, 3}, std::span(numbers));
  writer.add_tensor("weights.bin", "weights/qkv.scales", {3}, std::span(scales));
  writer.add_tensor("weights.bin", "weights/gain", {2}, std::span(gains));
  writer.add_tensor("weights.bin", "weights/narrow", model::DType::bf16, {2}, std::as_bytes(std::span(narrow)));
  writer.add_tensor("weights.bin", "weights/matrix", {100, 50}, std::span(matrix));
  writer.add_tensor("golden.bin", "golden/output", {2}, std::span(gains));
  writer.add_file("provenance.json", "{}\n");
  return writer.commit(small_manifest());
}

}  // namespace zonda::inference
