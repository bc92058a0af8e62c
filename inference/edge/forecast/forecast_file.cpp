#include "inference/edge/forecast/forecast_file.hpp"

#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"
#include "core/json_reader.hpp"
#include "core/mapped_file.hpp"

namespace zonda::edge {
namespace {

static_assert(std::endian::native == std::endian::little, "the file's numbers are little-endian");

using Json = nlohmann::ordered_json;

constexpr std::string_view magic = "ZONDAFC1";
constexpr std::string_view format = "zonda regional forecast 1";
constexpr std::size_t prefix_bytes = 16, alignment = 4096, most_header_bytes = 1 << 20;
constexpr std::size_t most_leads = 10'000, most_channels = 2'000;

std::size_t aligned(std::size_t offset) {
  return (offset + alignment - 1) / alignment * alignment;
}

Json header_of(const RegionalForecast& f, const std::string& digest) {
  Json header;
  header["format"] = format;
  if (f.grid.projection()) {
    header["grid"] = f.grid.to_string();
  } else {
    header["latitudes"] = f.grid.latitudes();
    header["longitudes"] = f.grid.longitudes();
  }
  for (const Channel& channel : f.channels) header["channels"].push_back(channel.name());
  header["initial"] = to_string(f.initial);
  for (const Duration lead : f.leads) header["leads_s"].push_back(lead.count());
  header["model"] = f.model;
  header["feed"] = f.feed;
  header["level"] = f.level;
  header["level_skill"] = f.level_skill;
  header["computed"] = to_string(f.computed);
  header["values"] = {{"type", "float32"}, {"bytes", f.values.size() * sizeof(float)}, {"sha256", digest}};
  return header;
}

/// Every key that a reader of version 1 knows; another one is a fault.
void only(const JsonReader& object, const std::string& name, std::set<std::string_view> known) {
  for (const auto& [key, value] : object.value().items()) {
    if (!known.contains(key)) fail(ErrorKind::data, "{}: unknown member '{}'", name, key);
  }
}

std::vector<double> coordinates(const JsonReader& header, const std::string& key, std::size_t most) {
  std::vector<double> numbers;
  for (const auto& item : header.array(key, most)) {
    if (!item.is_number()) fail(ErrorKind::data, "{}: expected numbers", header.name(key));
    numbers.push_back(item.get<double>());
  }
  return numbers;
}

const std::string& short_text(const JsonReader& header, const std::string& key) {
  const std::string& text = header.text(key);
  if (text.size() > 4096) fail(ErrorKind::data, "{}: longer than 4096 bytes", header.name(key));
  return text;
}

/// Wrong words are faults of the file here, not of the usage.
template <class Read>
auto from_file(const std::string& name, Read read) {
  try {
    return read();
  } catch (const Error& error) {
    fail(ErrorKind::data, "{}: {}", name, error.what());
  }
}

/// The text of a projected grid, or the coordinates of a rectilinear one.
Grid read_grid(const JsonReader& header, const std::string& place) {
  if (header.value().contains("grid")) {
    const std::string& text = short_text(header, "grid");
    if (!text.starts_with("projected ") || header.value().contains("latitudes") ||
        header.value().contains("longitudes"))
      fail(ErrorKind::data, "{}: expected a projected grid, and no latitudes and longitudes", header.name("grid"));
    return from_file(place, [&] { return Grid::parse(text); });
  }
  const std::vector<double> latitudes = coordinates(header, "latitudes", 20'000);
  const std::vector<double> longitudes = coordinates(header, "longitudes", 40'000);
  if (latitudes.size() > 1 && latitudes.front() < latitudes.back())
    fail(ErrorKind::data, "{}: expected the northernmost first", header.name("latitudes"));
  return from_file(place, [&] { return Grid::from_coordinates(latitudes, longitudes); });
}

}  // namespace

void write_forecast(const RegionalForecast& forecast, const std::filesystem::path& path) {
  forecast.check();
  const auto bytes = std::as_bytes(forecast.values.span());
  const std::string header = header_of(forecast, sha256(bytes)).dump(-1, ' ', false, Json::error_handler_t::replace);
  if (header.size() > most_header_bytes)
    fail(ErrorKind::data, "{}: a header of {} bytes; at most {}", path.string(), header.size(), most_header_bytes);
  const auto length = static_cast<std::uint32_t>(header.size());
  const std::uint32_t checksum = crc32c(std::as_bytes(std::span(header)));
  AtomicFile file(path);
  {
    std::ofstream out(file.temporary(), std::ios::binary);
    out.write(magic.data(), magic.size());
    out.write(reinterpret_cast<const char*>(&length), sizeof length);
    out.write(reinterpret_cast<const char*>(&checksum), sizeof checksum);
    out << header << std::string(aligned(prefix_bytes + header.size()) - prefix_bytes - header.size(), '\0');
    out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    out.close();
    if (!out) fail(ErrorKind::failure, "{}: cannot be written: {}", path.string(), std::strerror(errno));
  }
  file.commit();
}

RegionalForecast parse_forecast_header(std::string_view json, std::string_view name, std::uint64_t& values_bytes,
                                       std::string& values_sha256) {
  const std::string place(name);
  const nlohmann::json document = parse_json(json, place, 4);
  const JsonReader header(document, place);
  only(header, place,
       {"format", "grid", "latitudes", "longitudes", "channels", "initial", "leads_s", "model", "feed", "level",
        "level_skill", "computed", "values"});
  if (header.text("format") != format) fail(ErrorKind::data, "{}: expected '{}'", header.name("format"), format);
  RegionalForecast forecast(read_grid(header, place));
  for (const std::string& channel : header.texts("channels", most_channels))
    forecast.channels.push_back(from_file(header.name("channels"), [&] { return parse_channel(channel); }));
  forecast.initial = from_file(header.name("initial"), [&] { return parse_time(short_text(header, "initial")); });
  for (const std::int64_t lead : header.integers("leads_s", 0, 400 * 86'400, most_leads))
    forecast.leads.emplace_back(lead);
  forecast.model = short_text(header, "model");
  forecast.feed = short_text(header, "feed");
  forecast.level = static_cast<int>(header.integer("level", 0, 1000));
  forecast.level_skill = header.number("level_skill", 0, 1e6);
  forecast.computed = from_file(header.name("computed"), [&] { return parse_time(short_text(header, "computed")); });
  const JsonReader values = header.object("values");
  only(values, header.name("values"), {"type", "bytes", "sha256"});
  if (values.text("type") != "float32") fail(ErrorKind::data, "{}: expected 'float32'", values.name("type"));
  values_bytes = static_cast<std::uint64_t>(values.integer("bytes", 4, std::int64_t{1} << 50));
  values_sha256 = values.hexadecimal("sha256", 64);
  const auto expected = static_cast<std::uint64_t>(forecast.leads.size()) * forecast.channels.size() *
                        static_cast<std::uint64_t>(forecast.grid.size()) * sizeof(float);
  if (values_bytes != expected)
    fail(ErrorKind::data, "{}: {}; expected {} for {} leads, {} channels, {}x{} cells", values.name("bytes"),
         values_bytes, expected, forecast.leads.size(), forecast.channels.size(), forecast.grid.nlat(),
         forecast.grid.nlon());
  return forecast;
}

RegionalForecast parse_forecast(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                                std::string_view name) {
  if (bytes.size() < prefix_bytes || std::memcmp(bytes.data(), magic.data(), magic.size()) != 0)
    fail(ErrorKind::data, "{}: not a forecast of a station (it does not begin with {})", name, magic);
  std::uint32_t length = 0, checksum = 0;
  std::memcpy(&length, bytes.data() + magic.size(), sizeof length);
  std::memcpy(&checksum, bytes.data() + magic.size() + sizeof length, sizeof checksum);
  if (length > most_header_bytes || bytes.size() < prefix_bytes + length)
    fail(ErrorKind::data, "{}: cut short, or its header of {} bytes is too long", name, length);
  const auto header = bytes.subspan(prefix_bytes, length);
  if (crc32c(header) != checksum) fail(ErrorKind::data, "{}: the header is damaged (CRC-32C)", name);
  std::uint64_t values_bytes = 0;
  std::string digest;
  RegionalForecast forecast =
      parse_forecast_header({reinterpret_cast<const char*>(header.data()), header.size()}, name, values_bytes, digest);
  const std::size_t begin = aligned(prefix_bytes + length);
  if (bytes.size() < begin || bytes.size() - begin != values_bytes)
    fail(ErrorKind::data, "{}: {} bytes long; expected {}", name, bytes.size(), begin + values_bytes);
  const auto padding = bytes.subspan(prefix_bytes + length, begin - prefix_bytes - length);
  for (const std::byte byte : padding) {
    if (byte != std::byte{0}) fail(ErrorKind::data, "{}: the space behind the header is not empty", name);
  }
  const auto values = bytes.subspan(begin);
  if (sha256(values) != digest) fail(ErrorKind::data, "{}: the values are damaged (SHA-256)", name);
  if (reinterpret_cast<std::uintptr_t>(values.data()) % alignof(float) != 0)
    fail(ErrorKind::failure, "{}: the values are not aligned in memory", name);
  forecast.values =
      ForecastValues(std::move(owner), {reinterpret_cast<const float*>(values.data()), values.size() / sizeof(float)});
  try {
    forecast.check();
  } catch (const Error& error) {
    fail(ErrorKind::data, "{}: {}", name, error.what());
  }
  return forecast;
}

RegionalForecast open_forecast(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  return parse_forecast(file->bytes(), file, path.string());
}

}  // namespace zonda::edge
