#include "ingest/observations/files/bufr_message.hpp"

#include <eccodes.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

#include "core/error.hpp"
#include "ingest/sources/eccodes_library.hpp"
#include "ingest/sources/unit_conversion.hpp"

namespace zonda::ingest {
namespace {

constexpr std::size_t longest_header = 400;
constexpr std::size_t most_subsets = 65535;

std::uint64_t big_endian(std::string_view bytes, std::size_t at, std::size_t count) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < count; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

/// "" where sections 1 to 4 fill a message of this length.
std::string section_damage(std::string_view message) {
  const auto edition = static_cast<unsigned char>(message[7]);
  if (edition < 2 || edition > 4) return fmt::format("edition {}, expected 2, 3 or 4", edition);
  std::size_t at = 8;
  const std::size_t end = message.size() - 4;
  const bool second = at + 8 < end && (big_endian(message, at + (edition == 4 ? 9 : 7), 1) & 0x80) != 0;
  for (const unsigned section : {1u, 2u, 3u, 4u}) {
    if (section == 2 && !second) continue;
    const std::size_t least = section == 1 ? (edition == 4 ? 22u : 17u) : section == 3 ? 9u : 4u;
    if (at + least > end) return fmt::format("section {} does not fit into it", section);
    const std::size_t length = big_endian(message, at, 3);
    if (length < least || length > end - at) return fmt::format("section {} has {} bytes", section, length);
    at += length;
  }
  if (at != end) return fmt::format("its sections end {} bytes before it does", end - at);
  return "";
}

struct ElementName {
  const char* key;
  BufrElement element;
  const char* unit;  ///< null: text or a pure number
};

constexpr std::array element_names{
    ElementName{"blockNumber", BufrElement::block_number, nullptr},
    ElementName{"stationNumber", BufrElement::station_number, nullptr},
    ElementName{"shipOrMobileLandStationIdentifier", BufrElement::ship_identifier, nullptr},
    ElementName{"aircraftFlightNumber", BufrElement::flight_number, nullptr},
    ElementName{"aircraftRegistrationNumberOrOtherIdentification", BufrElement::registration_number, nullptr},
    ElementName{"buoyOrPlatformIdentifier", BufrElement::buoy_identifier, nullptr},
    ElementName{"shortStationName", BufrElement::short_station_name, nullptr},
    ElementName{"wigosIdentifierSeries", BufrElement::wigos_series, nullptr},
    ElementName{"wigosIssuerOfIdentifier", BufrElement::wigos_issuer, nullptr},
    ElementName{"wigosIssueNumber", BufrElement::wigos_issue, nullptr},
    ElementName{"wigosLocalIdentifierCharacter", BufrElement::wigos_local, nullptr},
    ElementName{"year", BufrElement::year, nullptr},
    ElementName{"month", BufrElement::month, nullptr},
    ElementName{"day", BufrElement::day, nullptr},
    ElementName{"hour", BufrElement::hour, nullptr},
    ElementName{"minute", BufrElement::minute, nullptr},
    ElementName{"second", BufrElement::second, nullptr},
    ElementName{"latitude", BufrElement::latitude, "degree"},
    ElementName{"longitude", BufrElement::longitude, "degree"},
    ElementName{"latitudeDisplacement", BufrElement::latitude_displacement, "degree"},
    ElementName{"longitudeDisplacement", BufrElement::longitude_displacement, "degree"},
    ElementName{"timePeriod", BufrElement::time_period, "s"},
    ElementName{"heightOfStation", BufrElement::station_height, "m"},
    ElementName{"heightOfStationGroundAboveMeanSeaLevel", BufrElement::ground_height, "m"},
    ElementName{"heightOfBarometerAboveMeanSeaLevel", BufrElement::barometer_height, "m"},
    ElementName{"height", BufrElement::height, "m"},
    ElementName{"flightLevel", BufrElement::flight_level, "m"},
    ElementName{"pressure", BufrElement::pressure, "Pa"},
    ElementName{"nonCoordinatePressure", BufrElement::station_pressure, "Pa"},
    ElementName{"pressureReducedToMeanSeaLevel", BufrElement::mean_sea_level_pressure, "Pa"},
    ElementName{"airTemperatureAt2M", BufrElement::temperature_2m, "K"},
    ElementName{"dewpointTemperatureAt2M", BufrElement::dew_point_2m, "K"},
    ElementName{"windDirectionAt10M", BufrElement::wind_direction_10m, "degree"},
    ElementName{"windSpeedAt10M", BufrElement::wind_speed_10m, "m s-1"},
    ElementName{"airTemperature", BufrElement::temperature, "K"},
    ElementName{"dewpointTemperature", BufrElement::dew_point, "K"},
    ElementName{"windDirection", BufrElement::wind_direction, "degree"},
    ElementName{"windSpeed", BufrElement::wind_speed, "m s-1"},
    ElementName{"nonCoordinateGeopotential", BufrElement::geopotential, "m2 s-2"},
    ElementName{"nonCoordinateGeopotentialHeight", BufrElement::geopotential_height, "m2 s-2"},
};

bool is_text(BufrElement element) {
  using enum BufrElement;
  return element == ship_identifier || element == flight_number || element == registration_number ||
         element == short_station_name || element == wigos_local;
}

const ElementName* find_element(std::string_view key) {
  static const auto index = [] {
    std::unordered_map<std::string_view, const ElementName*> made;
    for (const ElementName& name : element_names) made.emplace(name.key, &name);
    return made;
  }();
  const auto found = index.find(key);
  return found == index.end() ? nullptr : found->second;
}

struct HandleFree {
  void operator()(codes_handle* handle) const { codes_handle_delete(handle); }
};
struct IteratorFree {
  void operator()(codes_bufr_keys_iterator* iterator) const { codes_bufr_keys_iterator_delete(iterator); }
};
using Handle = std::unique_ptr<codes_handle, HandleFree>;

void check(int status, const char* key) {
  if (status != CODES_SUCCESS) fail(ErrorKind::data, "'{}': {}", key, codes_get_error_message(status));
}

Handle open_message(std::string_view message) {
  Handle handle(codes_handle_new_from_message(nullptr, message.data(), message.size()));
  if (!handle) fail(ErrorKind::data, "ecCodes cannot decode it");
  return handle;
}

long integer(const Handle& handle, const char* key) {
  long value = 0;
  check(codes_get_long(handle.get(), key, &value), key);
  return value;
}

std::string printable(const char* text) {
  std::string result;
  for (; *text != '\0'; ++text) {
    if (*text < ' ' || *text > '~') return "";
    result += *text;
  }
  while (!result.empty() && result.back() == ' ') result.pop_back();
  result.erase(0, std::min(result.find_first_not_of(' '), result.size()));
  return result;
}

std::string unit_in_our_words(std::string text) {
  if (text == "deg" || text == "degree true") return "degree";
  if (text == "m/s") return "m s-1";
  if (text == "m**2 s**-2" || text == "m2/s2") return "m2 s-2";
  return text;
}

/// Elements of one message. A second handle, with attributes, is opened when a unit is not known yet.
class Decoder {
 public:
  explicit Decoder(std::string_view message) : message_(message), handle_(open_message(message)) {
    result_.category = static_cast<int>(integer(handle_, "dataCategory"));
    const long subsets = integer(handle_, "numberOfSubsets");
    if (subsets < 1 || subsets > static_cast<long>(most_subsets)) fail(ErrorKind::data, "it has {} subsets", subsets);
    result_.subsets = static_cast<std::size_t>(subsets);
  }

  DecodedBufr header() && { return std::move(result_); }

  DecodedBufr decode() && {
    tables_ = {integer(handle_, "masterTablesVersionNumber"), integer(handle_, "localTablesVersionNumber")};
    compressed_ = integer(handle_, "compressedData") != 0;
    result_.reports.resize(result_.subsets);
    check(codes_set_long(handle_.get(), "skipExtraKeyAttributes", 1), "skipExtraKeyAttributes");
    check(codes_set_long(handle_.get(), "unpack", 1), "unpack");
    const std::unique_ptr<codes_bufr_keys_iterator, IteratorFree> keys(codes_bufr_keys_iterator_new(handle_.get(), 0));
    if (!keys) fail(ErrorKind::data, "its data section cannot be walked");
    while (codes_bufr_keys_iterator_next(keys.get()) == 1) {
      const char* key = codes_bufr_keys_iterator_get_name(keys.get());  // the iterator's own
      if (key != nullptr) visit(key);
    }
    return std::move(result_);
  }

 private:
  void visit(const char* key) {
    std::string_view name = key;
    if (name == "subsetNumber") {
      // An uncompressed message says before each subset which it is.
      if (!compressed_) subset_ = std::min(next_subset_++, result_.subsets - 1);
      in_data_ = true;
      return;
    }
    if (name == "operator") in_data_ = false;  // what follows qualifies the values before
    if (!in_data_ || name.find("->") != std::string_view::npos) return;
    if (name.starts_with('#')) name = name.substr(std::min(name.find('#', 1), name.size() - 1) + 1);
    const ElementName* element = find_element(name);
    if (element == nullptr) return;
    if (is_text(element->element)) {
      read_texts(key, element->element);
    } else {
      read_numbers(key, *element);
    }
  }

  template <class Value>
  void spread(const std::vector<Value>& values, const char* key, auto&& add) {
    if (!compressed_) {
      if (values.empty()) fail(ErrorKind::data, "'{}' has no value", key);
      add(result_.reports[subset_], values.front());
      return;
    }
    if (values.size() != 1 && values.size() != result_.subsets)
      fail(ErrorKind::data, "'{}' has {} values in {} subsets", key, values.size(), result_.subsets);
    for (std::size_t s = 0; s < result_.subsets; ++s)
      add(result_.reports[s], values.size() == 1 ? values.front() : values[s]);
  }

  std::size_t value_count(const char* key) {
    std::size_t n = 0;
    check(codes_get_size(handle_.get(), key, &n), key);
    if (n > most_subsets) fail(ErrorKind::data, "'{}' has {} values", key, n);
    return n;
  }

  void read_texts(const char* key, BufrElement element) {
    const std::size_t n = value_count(key);
    std::vector<std::string> texts(1);
    if (n <= 1) {
      std::array<char, 1024> buffer{};
      std::size_t length = buffer.size();
      if (codes_get_string(handle_.get(), key, buffer.data(), &length) == CODES_SUCCESS)
        texts.front() = printable(buffer.data());
    } else {
      std::vector<char*> raw(n, nullptr);
      std::size_t count = n;
      const int status = codes_get_string_array(handle_.get(), key, raw.data(), &count);
      texts.assign(status == CODES_SUCCESS ? std::min(count, n) : 1, "");
      for (std::size_t i = 0; i < n; ++i) {
        if (raw[i] == nullptr) continue;
        if (i < texts.size()) texts[i] = printable(raw[i]);
        std::free(raw[i]);  // NOLINT: allocated by ecCodes with malloc
      }
    }
    spread(texts, key, [&](auto& report, const std::string& text) { report.push_back({element, std::nan(""), text}); });
  }

  void read_numbers(const char* key, const ElementName& element) {
    std::size_t n = value_count(key);
    std::vector<double> values(std::max<std::size_t>(n, 1));
    if (n <= 1) {
      check(codes_get_double(handle_.get(), key, values.data()), key);
    } else {
      check(codes_get_double_array(handle_.get(), key, values.data(), &n), key);
      values.resize(n);
    }
    const UnitConversion convert = element.unit == nullptr ? UnitConversion{} : conversion(key, element);
    spread(values, key, [&](auto& report, double value) {
      report.push_back({element.element, value == CODES_MISSING_DOUBLE ? std::nan("") : convert(value), ""});
    });
  }

  UnitConversion conversion(const char* key, const ElementName& element) {
    using Known = std::map<std::pair<std::pair<long, long>, BufrElement>, UnitConversion>;
    static Known known;  // guarded by the library's mutex
    const auto at = std::pair(tables_, element.element);
    // Periods share one key, whatever their unit.
    if (element.element != BufrElement::time_period)
      if (const auto found = known.find(at); found != known.end()) return found->second;
    if (!with_units_) {
      with_units_ = open_message(message_);
      check(codes_set_long(with_units_.get(), "unpack", 1), "unpack");
    }
    std::array<char, 256> unit{};
    std::size_t length = unit.size();
    const std::string attribute = std::string(key) + "->units";
    check(codes_get_string(with_units_.get(), attribute.c_str(), unit.data(), &length), attribute.c_str());
    const UnitConversion made = unit_conversion(unit_in_our_words(printable(unit.data())), element.unit);
    known.insert_or_assign(at, made);
    return made;
  }

  std::string_view message_;
  Handle handle_, with_units_;
  DecodedBufr result_;
  std::pair<long, long> tables_;
  bool compressed_ = false, in_data_ = true;
  std::size_t subset_ = 0, next_subset_ = 0;
};

}  // namespace

std::vector<BufrMessage> scan_bufr(std::string_view bytes) {
  std::vector<BufrMessage> messages;
  const auto add = [&](std::size_t at, std::size_t length, std::string damage) {
    messages.push_back({messages.size() + 1, at, length, std::move(damage)});
  };
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::size_t begin = std::min(bytes.find("BUFR", at), bytes.size());
    const std::string_view gap = bytes.substr(at, begin - at);
    if (gap.find("7777") != std::string_view::npos ||
        (gap.size() > longest_header && gap.find_first_not_of('\0') != std::string_view::npos))
      add(at, gap.size(), fmt::format("{} bytes that do not begin with 'BUFR'", gap.size()));
    if (begin == bytes.size()) break;
    const std::string_view rest = bytes.substr(begin);
    const std::size_t length = rest.size() < 8 ? 0 : big_endian(rest, 4, 3);
    std::string damage;
    if (length < 8 + 17 + 9 + 4 + 4 || length > rest.size()) {
      damage = fmt::format("its length is {} bytes, but the file has {} left", length, rest.size());
    } else if (rest.substr(length - 4, 4) != "7777") {
      damage = fmt::format("it does not end in '7777' after its {} bytes", length);
    }
    if (damage.empty()) {
      add(begin, length, section_damage(rest.substr(0, length)));
      at = begin + length;
    } else {
      const std::size_t next = std::min(bytes.find("BUFR", begin + 4), bytes.size());
      add(begin, next - begin, damage);
      at = next;
    }
  }
  return messages;
}

DecodedBufr inspect_bufr(std::string_view message) {
  const auto lock = use_eccodes();
  return Decoder(message).header();
}

DecodedBufr decode_bufr(std::string_view message) {
  const auto lock = use_eccodes();
  return Decoder(message).decode();
}

}  // namespace zonda::ingest
