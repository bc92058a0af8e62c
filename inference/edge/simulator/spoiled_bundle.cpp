#include "inference/edge/simulator/spoiled_bundle.hpp"

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"
#include "inference/bundle/bundle.hpp"

namespace zonda::edge {

namespace fs = std::filesystem;

void write_spoiled_bundle(const fs::path& bundle, const fs::path& to) {
  inference::BundleManifest manifest = inference::Bundle::open(bundle).manifest();
  fs::remove_all(to);
  fs::create_directories(to);
  for (const inference::BundleFile& file : manifest.files) fs::copy_file(bundle / file.name, to / file.name);
  for (inference::BundleTensor& tensor : manifest.tensors) {
    if (tensor.name != "golden/output") continue;
    if (tensor.dtype != model::DType::f32) fail(ErrorKind::data, "{}: golden/output is not f32", bundle.string());
    std::string bytes = read_file(to / tensor.file);
    for (std::uint64_t i = tensor.offset + 3; i < tensor.offset + tensor.bytes; i += 4)
      bytes[i] ^= '\x80';  // the signs
    write_file(to / tensor.file, bytes);
    tensor.sha256 = sha256(std::string_view(bytes).substr(tensor.offset, tensor.bytes));
    for (inference::BundleFile& file : manifest.files)
      if (file.name == tensor.file) file.sha256 = sha256(bytes);
  }
  write_file(to / "manifest.json", manifest.to_text());
}

}  // namespace zonda::edge
