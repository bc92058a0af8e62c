#include "inference/bundle/bundle.hpp"

#include <algorithm>
#include <cstring>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"
#include "model/tensor/bfloat16.hpp"

namespace zonda::inference {

namespace fs = std::filesystem;
using model::DType;

namespace {

void require_checksum(const std::string& what, const std::string& found, const std::string& expected) {
  if (found != expected)
    fail(ErrorKind::data, "{} is damaged: SHA-256 {} instead of {}", what, found.substr(0, 16), expected.substr(0, 16));
}

std::uint64_t size_of_file(const fs::path& path) {
  std::error_code error;
  const std::uintmax_t bytes = fs::is_regular_file(path, error) ? fs::file_size(path, error) : 0;
  if (error) fail(ErrorKind::data, "{}: {}", path.string(), error.message());
  return bytes;
}

void refuse_strangers(const fs::path& directory, const BundleManifest& manifest) {
  for (const auto& entry : fs::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (name != "manifest.json" && !manifest.find_file(name))
      fail(ErrorKind::data, "{}: not named by the manifest", entry.path().string());
  }
}

}  // namespace

Bundle Bundle::open(const fs::path& directory, Verify verify) {
  const fs::path path = directory / "manifest.json";
  if (!fs::is_directory(directory)) fail(ErrorKind::data, "{}: no such folder", directory.string());
  if (!fs::is_regular_file(path)) fail(ErrorKind::data, "{}: no bundle: it holds no manifest.json", directory.string());
  Bundle bundle;
  bundle.directory_ = directory;
  {
    const auto text = MappedFile::open(path);
    const std::string_view view(reinterpret_cast<const char*>(text->bytes().data()), text->bytes().size());
    bundle.manifest_ = BundleManifest::parse(view, path.string());
    bundle.identity_ = sha256(view);
  }
  for (const BundleFile& file : bundle.manifest_.files) {
    const bool used = std::any_of(bundle.manifest_.tensors.begin(), bundle.manifest_.tensors.end(),
                                  [&](const BundleTensor& tensor) { return tensor.file == file.name; });
    const bool opened = used || verify == Verify::contents;
    auto mapped = opened ? MappedFile::open(directory / file.name) : nullptr;
    const std::uint64_t found = mapped ? mapped->bytes().size() : size_of_file(directory / file.name);
    if (found != file.bytes)
      fail(ErrorKind::data, "{}: {} bytes, the manifest says {}: the file is {}", (directory / file.name).string(),
           found, file.bytes, found < file.bytes ? "truncated" : "another");
    if (verify == Verify::contents)
      require_checksum((directory / file.name).string(), sha256(mapped->bytes()), file.sha256);
    bundle.mapped_.push_back(used ? std::move(mapped) : nullptr);
  }
  bundle.verified_.assign(bundle.manifest_.tensors.size(), verify == Verify::contents);
  if (verify == Verify::contents) {
    refuse_strangers(directory, bundle.manifest_);
    for (const BundleTensor& tensor : bundle.manifest_.tensors) bundle.verify(tensor);
    for (const auto& mapped : bundle.mapped_)
      if (mapped) mapped->forget_pages();  // what is used comes back, the rest is not kept
  }
  return bundle;
}

const BundleTensor& Bundle::entry(std::string_view name) const {
  const BundleTensor* tensor = manifest_.find_tensor(name);
  if (!tensor) fail(ErrorKind::data, "{}: holds no tensor '{}'", directory_.string(), name);
  return *tensor;
}

MappedTensor Bundle::tensor(std::string_view name) const {
  return tensor(entry(name));
}

MappedTensor Bundle::tensor(const BundleTensor& t) const {
  const auto file = static_cast<std::size_t>(manifest_.find_file(t.file) - manifest_.files.data());
  return {mapped_[file], mapped_[file]->bytes().subspan(t.offset, t.bytes)};
}

void Bundle::verify(const BundleTensor& t) const {
  require_checksum(directory_.string() + ": tensor " + t.name, sha256(tensor(t).bytes), t.sha256);
}

void Bundle::verify_ahead(const BundleTensor& tensor) {
  verify(tensor);
  verified_[index_of(tensor)] = true;
}

std::vector<float> Bundle::numbers(std::string_view name) const {
  const BundleTensor& t = entry(name);
  const auto bytes = tensor(t).bytes;
  std::vector<float> values(static_cast<std::size_t>(t.count()));
  const auto read = [&]<class T>(T) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      T value;
      std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
      values[i] = static_cast<float>(value);
    }
  };
  switch (t.dtype) {
    case DType::f64:
      read(double{});
      break;
    case DType::f32:
      read(float{});
      break;
    case DType::bf16:
      read(model::BFloat16{});
      break;
    case DType::i8: {
      read(std::int8_t{});
      const std::vector<float> scales = numbers(t.name + ".scales");
      for (std::size_t i = 0; i < values.size(); ++i) values[i] *= scales[i % scales.size()];
      break;
    }
  }
  return values;
}

bool is_bundle(const fs::path& directory) {
  const fs::path path = directory / "manifest.json";
  if (!fs::is_regular_file(path)) return false;
  const std::string text = read_file(path);
  return text.find("\"format\": \"" + std::string(BundleManifest::format) + '"') != std::string::npos;
}

}  // namespace zonda::inference
