// Any bytes as the header of a station's forecast, and as the whole file.
#include <cstdlib>
#include <cstring>

#include "core/error.hpp"
#include "inference/edge/forecast/forecast_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace zonda;
  try {
    std::uint64_t bytes = 0;
    std::string digest;
    const auto forecast =
        edge::parse_forecast_header({reinterpret_cast<const char*>(data), size}, "fuzz.zfc", bytes, digest);
    if (bytes != forecast.leads.size() * forecast.channels.size() * forecast.grid.size() * sizeof(float)) std::abort();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) throw;
  }
  try {
    const auto memory = std::make_shared<std::vector<float>>(size / sizeof(float) + 1);
    if (size > 0) std::memcpy(memory->data(), data, size);
    edge::parse_forecast(std::as_bytes(std::span(*memory)).first(size), memory, "fuzz.zfc").check();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) throw;
  }
  return 0;
}
