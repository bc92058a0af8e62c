// Any bytes as the metadata of a Zarr array and one of its chunks: `.zarray`, NUL, `.zattrs`, NUL, the chunk.
#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/error.hpp"
#include "ingest/sources/zarr_metadata.hpp"

namespace {

std::string_view first_part(std::string_view& rest) {
  const std::size_t end = std::min(rest.find('\0'), rest.size());
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return part;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace zonda;
  using namespace zonda::ingest;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const std::string_view zarray = first_part(rest), zattrs = first_part(rest);
  try {
    const ZarrArray array =
        parse_zarr_array("x", parse_zarr_json(zarray, "zarray"), parse_zarr_json(zattrs, "zattrs"), "x");
    if (!array.problem.empty()) return 0;
    const std::size_t expected = array.chunk_elements() * size_of(array.element.type);
    if (expected > (1u << 20)) return 0;
    std::vector<std::byte> chunk(rest.size());
    std::transform(rest.begin(), rest.end(), chunk.begin(), [](char c) { return static_cast<std::byte>(c); });
    const auto decoded = decode_zarr_chunk(std::move(chunk), array.codecs, expected);
    std::vector<double> values(array.chunk_elements());
    zarr_elements_to_double(decoded, array.element, values);
    const Packing packing(array.info);
    for (double& value : values) value = packing(value);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) throw;
  }
  return 0;
}
