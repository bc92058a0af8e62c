#pragma once
// Bundle: the folder that a station gets. `manifest.json` names every other file with its length and checksum:
// `weights.bin` (tensors of a page or more begin on a page), `static.bin`, `golden.bin` (a self-test), `model*.onnx`
// (the same weights as external data), `provenance.json`.
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "inference/bundle/manifest.hpp"
#include "core/mapped_file.hpp"

namespace zonda::inference {

/// How much of a bundle is read when it is opened.
enum class Verify {
  lengths,   ///< manifest, and the length of every file
  contents,  ///< every byte against its checksum, and no file that the manifest does not name
};

/// A bundle's tensor where it lies in a mapped file; copies share the mapping.
struct MappedTensor {
  std::shared_ptr<const MappedFile> file;
  std::span<const std::byte> bytes;
};

class Bundle {
 public:
  /// Throws Error(data): no bundle there, or damaged (names file, tensor or member, and what was expected).
  static Bundle open(const std::filesystem::path& directory, Verify verify = Verify::contents);

  const BundleManifest& manifest() const { return manifest_; }
  const std::filesystem::path& directory() const { return directory_; }
  /// SHA-256 of manifest.json, which holds the checksums of all else.
  const std::string& identity() const { return identity_; }
  /// Throws Error(data) where there is no such tensor, or its file cannot be mapped.
  MappedTensor tensor(std::string_view name) const;
  MappedTensor tensor(const BundleTensor& tensor) const;  ///< of this bundle's manifest
  const BundleTensor& entry(std::string_view name) const;
  /// Its numbers as f32, whatever they are kept as (an int8 matrix times its scales). Throws Error(data).
  std::vector<float> numbers(std::string_view name) const;
  /// The bytes of a tensor are those that the manifest says. Throws Error(data).
  void verify(const BundleTensor& tensor) const;
  /// Verifies a tensor of this bundle's manifest, and remembers it. Throws Error(data).
  void verify_ahead(const BundleTensor& tensor);
  /// Whether its bytes have been compared with the checksum: in open(), or ahead.
  bool is_verified(const BundleTensor& tensor) const { return verified_[index_of(tensor)]; }

 private:
  Bundle() = default;
  std::size_t index_of(const BundleTensor& tensor) const {
    return static_cast<std::size_t>(&tensor - manifest_.tensors.data());
  }
  std::filesystem::path directory_;
  BundleManifest manifest_;
  std::string identity_;
  std::vector<bool> verified_;                             // [tensors]
  std::vector<std::shared_ptr<const MappedFile>> mapped_;  // of files that tensors lie in; as manifest_.files
};

/// Whether a folder looks like a bundle, for programs that take several kinds.
bool is_bundle(const std::filesystem::path& directory);

}  // namespace zonda::inference
