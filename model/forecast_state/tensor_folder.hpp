#pragma once
// Tensors on disk: a folder with `manifest.json` (what is where) and `rank-K.bin` (raw little-endian chunks, each with
// its CRC-32C). Checkpoints and model files are such folders. A chunk is a block of whole rows of the first dimension,
// so a reader that wants other rows than the writer had intersects its range with the chunks.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

namespace zonda::model {

/// What is written: fp32, row-major.
struct NamedTensor {
  std::string name;
  std::vector<std::size_t> shape;
  std::span<const float> values;
};

/// Writes `directory` as a whole or not at all: `directory.tmp` -> fsync -> rename. An older folder of that name is
/// replaced. `header` is kept as `manifest.json`'s member "header"; the same header and tensors give the same bytes.
/// Throws Error(failure) with the system's reason.
void write_tensor_folder(const std::filesystem::path& directory, const nlohmann::json& header,
                         std::span<const NamedTensor> tensors);

/// Read access. The constructor reads the manifest and compares file sizes; values are checked as they are read.
class TensorFolder {
 public:
  /// Throws Error(data): no such folder, no manifest, another format, a file too short.
  explicit TensorFolder(const std::filesystem::path& directory);
  const nlohmann::json& header() const;
  std::vector<std::string> names() const;
  bool holds(const std::string& name) const;
  /// Throws Error(data) if there is no such tensor.
  const std::vector<std::size_t>& shape(const std::string& name) const;
  /// The whole tensor. Throws Error(data) naming tensor, chunk, file and offset where a checksum does not fit.
  void read(const std::string& name, std::span<float> values) const;
  /// Rows [begin, end) of the first dimension.
  void read_rows(const std::string& name, std::size_t begin, std::size_t end, std::span<float> values) const;
  /// Reads every chunk and compares its checksum. Throws Error(data) naming the first damaged one.
  void verify() const;

 private:
  struct Contents;
  std::shared_ptr<const Contents> contents_;
};

}  // namespace zonda::model
