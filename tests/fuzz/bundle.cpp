// Any bytes as the manifest of a bundle: refused with Error(data), or read and written back to the same manifest.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/error.hpp"
#include "inference/bundle/manifest.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace zonda;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const auto manifest = inference::BundleManifest::parse(text, "manifest.json");
    const std::string again = manifest.to_text();
    if (inference::BundleManifest::parse(again, "manifest.json").to_text() != again) std::abort();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) std::abort();
  }
  return 0;
}
