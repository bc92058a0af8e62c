#pragma once
// BundleWriter: a bundle's folder, whole or not at all.
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "inference/bundle/manifest.hpp"

namespace zonda::inference {

class BundleWriter {
 public:
  /// Writes into `DIRECTORY.tmp` until commit(). Throws Error(failure) with the system's reason.
  explicit BundleWriter(std::filesystem::path directory);
  ~BundleWriter();
  BundleWriter(const BundleWriter&) = delete;
  BundleWriter& operator=(const BundleWriter&) = delete;

  /// Appends to `file`; what fills a page begins on one, the rest on a cache line. Throws Error(failure).
  const BundleTensor& add_tensor(const std::string& file, const std::string& name, model::DType dtype,
                                 std::vector<std::int64_t> shape, std::span<const std::byte> bytes);
  template <class T>
  const BundleTensor& add_tensor(const std::string& file, const std::string& name, std::vector<std::int64_t> shape,
                                 std::span<const T> values) {
    return add_tensor(file, name, model::dtype_of<T>(), std::move(shape), std::as_bytes(values));
  }
  void add_file(const std::string& name, std::string_view contents);
  /// What was added so far.
  std::span<const BundleTensor> tensors() const { return tensors_; }
  /// Closes the files added so far and gives their checksums: for a file that speaks of the others.
  std::span<const BundleFile> seal();
  /// Those that were closed, by seal() or commit().
  std::span<const BundleFile> files() const { return files_; }

  /// Fills in the files and tensors, syncs, renames; an older folder of that name is replaced. Returns the bundle's
  /// identity. Throws Error(failure).
  std::string commit(BundleManifest manifest);

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  struct Open {
    std::unique_ptr<std::FILE, Close> stream;
    std::uint64_t bytes = 0;
  };
  void put(const std::string& name, Open& file, const void* bytes, std::size_t count) const;
  std::filesystem::path directory_, temporary_;
  std::map<std::string, Open> open_;
  std::vector<BundleTensor> tensors_;
  std::vector<BundleFile> files_;
  bool committed_ = false;
};

}  // namespace zonda::inference
