// Any description of pieces (first line), and any frames (the rest), as a delta of a small bundle: refused with
// Error(data), or it gives a bundle.
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"
#include "inference/bundle/bundle_writer.hpp"
#include "inference/edge/delta/bundle_delta.hpp"
#include "inference/edge/delta/piece_codec.hpp"

namespace {

namespace fs = std::filesystem;

struct Base {
  fs::path folder = fs::temp_directory_path() / ("zonda_fuzz_delta_" + std::to_string(::getpid()));
  std::string identity;
  Base() {
    fs::create_directories(folder);
    zonda::inference::BundleWriter writer(folder / "base");
    const std::vector<std::int8_t> numbers(12, 3);
    const std::vector<float> scales(3, 0.5f);
    writer.add_tensor("weights.bin", "weights/a", {4, 3}, std::span<const std::int8_t>(numbers));
    writer.add_tensor("weights.bin", "weights/a.scales", {3}, std::span<const float>(scales));
    zonda::inference::BundleManifest manifest;
    manifest.name = "a";
    manifest.precision = "int8";
    manifest.licence = "Apache-2.0";
    manifest.code = "0";
    manifest.model = std::string(64, 'a');
    manifest.region = {"regional 60..25x36 350..40x51", 60, 25, 350, 40, 8};
    manifest.parameters = 12;
    manifest.levels.emplace_back().tokens = 288;
    manifest.network = manifest.layout = nlohmann::json::object();
    identity = writer.commit(manifest);
  }
  ~Base() {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace zonda;
  static const Base base;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t line = std::min(input.find('\n'), size);
  std::string header(input.substr(0, line));
  const std::string_view frames = input.substr(std::min(line + 1, size));
  // The base's identity is filled in, and one checksum, so that what lies behind them is reached.
  for (const auto& [mark, value] :
       {std::pair<std::string, std::string>{"BASE", base.identity},
        {"CRC", std::to_string(crc32c(std::as_bytes(std::span(frames.data(), frames.size()))))}})
    if (const std::size_t at = header.find(mark); at != std::string::npos) header.replace(at, mark.size(), value);
  const std::string text = edge::encode_text({}, header);
  std::string file = "ZONDADL1";
  for (const std::uint32_t number :
       {static_cast<std::uint32_t>(text.size()), crc32c(std::as_bytes(std::span(text.data(), text.size())))})
    file.append(reinterpret_cast<const char*>(&number), sizeof number);
  file += text;
  file += frames;
  write_file(base.folder / "a.zdelta", file);
  try {
    edge::apply_delta(base.folder / "base", base.folder / "a.zdelta", base.folder / "made");
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) std::abort();
  }
  return 0;
}
