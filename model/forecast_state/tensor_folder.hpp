#pragma once
// Tensors on disk: a folder with `manifest.json` (what is where) and `rank-K.bin` (raw little-endian chunks, each with
// its CRC-32C). Checkpoints and model files are such folders. A chunk is a run of a tensor's numbers, row-major, so a
// reader that wants others than the writer had intersects its range with the chunks.
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

// The same by several ranks, each of which writes parts of the tensors, or in pieces: one rank begins, each rank writes
// its file, one commits.

struct TensorShape {
  std::string name;
  std::vector<std::size_t> shape;
};
/// Makes `directory.tmp`, empty.
void begin_tensor_folder(const std::filesystem::path& directory);
/// One rank's file, `directory.tmp/rank-K.bin`.
class TensorPartsWriter {
 public:
  TensorPartsWriter(const std::filesystem::path& directory, int rank);
  ~TensorPartsWriter();
  TensorPartsWriter(const TensorPartsWriter&) = delete;
  TensorPartsWriter& operator=(const TensorPartsWriter&) = delete;
  /// Numbers [first, first + values.size()) of tensor `tensor`, counted as in the list of shapes that is committed.
  void write(std::size_t tensor, std::size_t first, std::span<const float> values);
  /// Syncs the file and returns what commit_tensor_folder() needs to know of it.
  nlohmann::json close();

 private:
  struct File;
  std::unique_ptr<File> file_;
};
/// Throws Error(failure) where the parts in the ranks' tables are not every number of every tensor once.
void commit_tensor_folder(const std::filesystem::path& directory, const nlohmann::json& header,
                          std::span<const TensorShape> shapes, std::span<const nlohmann::json> tables);
/// Removes what begin_tensor_folder() made.
void abandon_tensor_folder(const std::filesystem::path& directory);

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
  /// Numbers [first, first + values.size()), row-major.
  void read_range(const std::string& name, std::size_t first, std::span<float> values) const;
  /// Rows [begin, end) of the first dimension.
  void read_rows(const std::string& name, std::size_t begin, std::size_t end, std::span<float> values) const;
  /// Of names, shapes and all numbers: the same however many ranks wrote the folder.
  const std::string& hash() const;
  /// Reads every chunk and compares its checksum. Throws Error(data) naming the first damaged one.
  void verify() const;

 private:
  struct Contents;
  std::shared_ptr<const Contents> contents_;
};

}  // namespace zonda::model
