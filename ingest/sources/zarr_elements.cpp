// Element types of Zarr arrays.
#include <bit>
#include <cstdint>
#include <cstring>

#include "ingest/sources/zarr_codecs.hpp"

namespace zonda::ingest {
namespace {

template <class T>
T load(const std::byte* bytes, bool swap) {
  unsigned char raw[sizeof(T)];
  std::memcpy(raw, bytes, sizeof(T));
  if (swap) {
    for (std::size_t i = 0; i < sizeof(T) / 2; ++i) std::swap(raw[i], raw[sizeof(T) - 1 - i]);
  }
  T value;
  std::memcpy(&value, raw, sizeof(T));
  return value;
}

template <class T>
void convert(std::span<const std::byte> bytes, bool swap, std::span<double> values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<double>(load<T>(bytes.data() + i * sizeof(T), swap));
  }
}

/// Seconds of a NumPy time unit in brackets: `[ns]`; 0 if unknown or of varying length.
double numpy_unit_seconds(std::string_view text) {
  if (text == "[ns]") return 1e-9;
  if (text == "[us]") return 1e-6;
  if (text == "[ms]") return 1e-3;
  if (text == "[s]") return 1;
  if (text == "[m]") return 60;
  if (text == "[h]") return 3600;
  if (text == "[D]") return 86400;
  return 0;
}

}  // namespace

ZarrElement parse_zarr_type(std::string_view text) {
  using enum ElementType;
  ZarrElement element;
  if (text.size() < 3 || (text[0] != '<' && text[0] != '>' && text[0] != '|')) return element;
  element.big_endian = text[0] == '>';
  const std::string_view kind = text.substr(1);
  if (kind.starts_with("M8") || kind.starts_with("m8")) {
    element.seconds = numpy_unit_seconds(kind.substr(2));
    if (element.seconds == 0) return element;
    element.is_time = kind[0] == 'M';
    element.is_duration = !element.is_time;
    element.type = int64;
    return element;
  }
  struct Name {
    std::string_view text;
    ElementType type;
  };
  static constexpr Name names[] = {{"f4", float32}, {"f8", float64}, {"i1", int8},  {"u1", uint8},
                                   {"i2", int16},   {"u2", uint16},  {"i4", int32}, {"u4", uint32},
                                   {"i8", int64},   {"u8", uint64},  {"b1", uint8}};
  for (const Name& name : names) {
    if (kind == name.text) element.type = name.type;
  }
  return element;
}

void zarr_elements_to_double(std::span<const std::byte> bytes, const ZarrElement& element, std::span<double> values) {
  using enum ElementType;
  const bool swap = element.big_endian != (std::endian::native == std::endian::big);
  switch (element.type) {
    case int8:
      return convert<std::int8_t>(bytes, swap, values);
    case uint8:
      return convert<std::uint8_t>(bytes, swap, values);
    case int16:
      return convert<std::int16_t>(bytes, swap, values);
    case uint16:
      return convert<std::uint16_t>(bytes, swap, values);
    case int32:
      return convert<std::int32_t>(bytes, swap, values);
    case uint32:
      return convert<std::uint32_t>(bytes, swap, values);
    case int64:
      return convert<std::int64_t>(bytes, swap, values);
    case uint64:
      return convert<std::uint64_t>(bytes, swap, values);
    case float32:
      return convert<float>(bytes, swap, values);
    case float64:
      return convert<double>(bytes, swap, values);
    case other:
      return;
  }
}

double zarr_element(std::span<const std::byte> bytes, const ZarrElement& element, std::size_t index) {
  double value = 0;
  zarr_elements_to_double(bytes.subspan(index * size_of(element.type), size_of(element.type)), element, {&value, 1});
  return value;
}

}  // namespace zonda::ingest
