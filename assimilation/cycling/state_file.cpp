#include "assimilation/cycling/state_file.hpp"

#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"

namespace zonda::assimilation {

static_assert(std::endian::native == std::endian::little);

void write_state(const std::filesystem::path& path, const StateHeader& header, ConstView state) {
  const auto bytes = std::as_bytes(state);
  const nlohmann::ordered_json json{
      {"zonda_state", 1},     {"what", header.what},    {"time", to_string(header.time)}, {"identity", header.identity},
      {"size", state.size()}, {"crc32c", crc32c(bytes)}};
  std::string text = json.dump() + "\n";
  const std::size_t begin = text.size();
  text.resize(begin + bytes.size());
  if (!bytes.empty()) std::memcpy(text.data() + begin, bytes.data(), bytes.size());
  write_file(path, text);
}

Vector read_state(const std::filesystem::path& path, const std::string& identity, Time time, std::size_t size) {
  const std::string text = read_file(path);
  const std::size_t end = text.find('\n');
  const auto json = nlohmann::json::parse(text.substr(0, end == std::string::npos ? 0 : end), nullptr, false);
  if (!json.is_object() || json.value("zonda_state", 0) != 1)
    fail(ErrorKind::data, "{}: no state of an ensemble", path.string());
  if (const std::string found = json.value("identity", ""); found != identity)
    fail(ErrorKind::data, "{}: a state of another model, normalisation or grid ({}..., expected {}...)", path.string(),
         found.substr(0, 12), identity.substr(0, 12));
  if (const std::string found = json.value("time", ""); found != to_string(time))
    fail(ErrorKind::data, "{}: a state of {}, expected {}", path.string(), found, to_string(time));
  Vector state(json.value("size", std::size_t{0}));
  if (state.size() != size || text.size() - end - 1 != size * sizeof(double))
    fail(ErrorKind::data, "{}: {} numbers in {} bytes, expected {}", path.string(), state.size(), text.size() - end - 1,
         size);
  if (size > 0) std::memcpy(state.data(), text.data() + end + 1, size * sizeof(double));
  if (crc32c(std::as_bytes(std::span(state))) != json.value("crc32c", 0u))
    fail(ErrorKind::data, "{}: damaged, the checksum does not fit", path.string());
  return state;
}

}  // namespace zonda::assimilation
