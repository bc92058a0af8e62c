#pragma once
// A forecast as one file, mapped for reading:
//
//   0   8  magic "ZONDAFC1"
//   8   4  H, bytes of the header, little-endian
//   12  4  CRC-32C of the header
//   16  H  header, JSON: format, grid, channels, leads, identities, bytes and SHA-256 of the values
//   ..     zeros up to the next multiple of 4096
//   ..     values [lead, channel, lat, lon], float32 little-endian, SI
#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

#include "inference/edge/forecast/regional_forecast.hpp"

namespace zonda::edge {

/// Checks the forecast and puts the file in place whole (core/atomic_file.hpp). Throws Error(data|numerical|failure).
void write_forecast(const RegionalForecast& forecast, const std::filesystem::path& path);

/// The values stay in the mapped file, which may be replaced or removed meanwhile. Throws Error(data) naming the file
/// and what was expected, on any damage.
RegionalForecast open_forecast(const std::filesystem::path& path);

/// The same from memory that `owner` keeps; `name` is for messages.
RegionalForecast parse_forecast(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                                std::string_view name);

/// What the header says, its own faults refused; the values are empty. `values_bytes` and `values_sha256` come out.
RegionalForecast parse_forecast_header(std::string_view json, std::string_view name, std::uint64_t& values_bytes,
                                       std::string& values_sha256);

}  // namespace zonda::edge
