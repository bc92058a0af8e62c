#pragma once
// manifest.json of a bundle: what the model is, where it holds, how well it does, and the checksum of every byte.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/tensor/tensor.hpp"

namespace zonda::inference {

/// A file beside manifest.json.
struct BundleFile {
  std::string name;  ///< letters, digits, `.`, `_`, `-`; no folder
  std::uint64_t bytes = 0;
  std::string sha256;  ///< lower-case hexadecimal
  friend bool operator==(const BundleFile&, const BundleFile&) = default;
};

/// Numbers within a file: row-major, little-endian. An int8 matrix `NAME [in, out]` has a neighbour `NAME.scales [out]`
/// f32: the weight is the number times its column's scale.
struct BundleTensor {
  std::string name, file;
  model::DType dtype = model::DType::f32;
  std::vector<std::int64_t> shape;
  std::uint64_t offset = 0, bytes = 0;
  std::string sha256;
  std::int64_t count() const;
  friend bool operator==(const BundleTensor&, const BundleTensor&) = default;
};

/// What a forecast of some level was worth where it was measured.
struct MeasuredSkill {
  std::string channel;
  std::int64_t lead_hours = 0;
  double rmse = 0;      ///< SI
  double increase = 0;  ///< over level 0, as a part of the channel's standard deviation
  friend bool operator==(const MeasuredSkill&, const MeasuredSkill&) = default;
};

/// A way to run the model: the tokens that its middle blocks see, and what a step costs.
struct TokenLevel {
  int level = 0;  ///< 0 is exact
  std::int64_t tokens = 0;
  int first_block = 0, last_block = 0;  ///< blocks [first, last) see so many tokens; the others all
  double milliseconds = 0;              ///< of one step, where it was measured
  std::string measured_on;              ///< processor and threads
  std::vector<MeasuredSkill> skill;
  friend bool operator==(const TokenLevel&, const TokenLevel&) = default;
};

struct Region {
  std::string grid;  ///< as Grid::to_string; of a projected one with its projection as PROJ writes it
  double north = 0, south = 0, west = 0, east = 0;
  int boundary_width = 0;  ///< cells of the host's ring; 0: the model is global and needs none
  std::string crs_wkt{};   ///< of a projected grid: its reference system (ISO 19162:2019); else empty
  friend bool operator==(const Region&, const Region&) = default;
};

/// Steps in which golden/output is kept: it is the nearest multiple of them. 0: as it is.
float golden_step(std::string_view precision);

struct BundleManifest {
  static constexpr const char* format = "zonda bundle";
  static constexpr int schema = 1;  ///< readers refuse newer ones

  std::string name;       ///< of the region or model, for people
  std::string precision;  ///< fp32, bf16 or int8: of the trunk's matrices
  std::string licence, code;
  std::string model;                  ///< identity of the model file that it was made from
  std::vector<std::string> parents;   ///< identities of bundles and models that it descends from
  std::vector<std::string> hardware;  ///< tags of what it needs or was made for
  Region region;
  std::int64_t parameters = 0;
  std::vector<TokenLevel> levels;
  nlohmann::json network,
      layout;  ///< as in the model file: sizes (its precision is `precision`); channels, normalisation, steps, forcings
  double golden_tolerance = 0;  ///< of the self-test: largest difference from golden/output, normalised
  std::vector<BundleFile> files;
  std::vector<BundleTensor> tensors;

  /// The text of manifest.json; the same manifest gives the same bytes.
  std::string to_text() const;
  /// Strict inverse: unknown members, doubtful names, tensors that overlap or do not fit their shape or file are
  /// refused. Throws Error(data) naming `source` and the member.
  static BundleManifest parse(std::string_view text, const std::string& source);

  const BundleFile* find_file(std::string_view name) const;
  const BundleTensor* find_tensor(std::string_view name) const;
};

}  // namespace zonda::inference
