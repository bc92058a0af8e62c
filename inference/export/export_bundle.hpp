#pragma once
// A trained model to a bundle.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "inference/bundle/manifest.hpp"
#include "inference/export/level_measurement.hpp"
#include "inference/export/near_base.hpp"

namespace zonda::inference {

struct ExportConfig {
  std::filesystem::path model{}, to{};
  std::string name{};                                   ///< of the region or model, for people; empty: the grid
  std::string precision = "fp32";                       ///< fp32, bf16, int8: of the trunk's matrices
  std::vector<std::string> exact{};                     ///< matrices that stay f32 in int8
  std::vector<std::string> onnx{"standard", "ascend"};  ///< profiles; none: no graph
  std::vector<std::string> hardware{};                  ///< tags
  std::filesystem::path base{};                         ///< bundle in int8 that this one replaces; empty: none
  std::vector<std::string> parents{};                   ///< identities of bundles that it descends from
  std::filesystem::path measure_on{};                   ///< archive to measure token levels on; empty: level 0 alone
  LevelTrial trial{};
};

struct Exported {
  std::string identity;  ///< of the bundle
  std::uint64_t bytes = 0, weight_bytes = 0;
  BundleManifest manifest{};
  std::optional<BaseCost> base_cost{};  ///< what nearness to a base costs
};

/// Writes the bundle's folder atomically; without measured times the same model and configuration give the same bytes.
/// With a base, which becomes a parent, numbers stay near the base's, so that the difference between the two is small.
/// Throws Error(data): no model or base there; Error(usage): an unknown precision, profile or matrix, a base for
/// another precision than int8, or a network that ONNX cannot hold; Error(numerical): nearness to the base costs skill.
Exported export_bundle(const ExportConfig& config);

}  // namespace zonda::inference
