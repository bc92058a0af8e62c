#include "ingest/observations/files/odb2_frames.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/error.hpp"
#include "ingest/observations/files/md5.hpp"

namespace zonda::ingest {
namespace {

constexpr std::string_view magic = "\xff\xffODA";
constexpr double not_there = std::numeric_limits<double>::quiet_NaN();
// What the format calls missing unless a column says otherwise.
constexpr double missing_integer = 2147483647, missing_real = -2147483647;
constexpr std::uint32_t missing_short_real = 0x00800000, missing_short_real2 = 0xff7fffff;

std::string_view without_padding(std::string_view text) {
  text = text.substr(0, text.find('\0'));
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  return text;
}

}  // namespace

Odb2Frames::Odb2Frames(std::string_view bytes, std::string file) : bytes_(bytes), file_(std::move(file)) {}

void Odb2Frames::refuse(const std::string& what) const {
  fail(ErrorKind::data, "{}: byte {}: {}", file_, at_, what);
}

std::string_view Odb2Frames::take(std::size_t bytes) {
  if (bytes > end_ - at_) refuse(fmt::format("{} bytes wanted, {} are left", bytes, end_ - at_));
  at_ += bytes;
  return bytes_.substr(at_ - bytes, bytes);
}

template <class Number>
Number Odb2Frames::take_number() {
  std::array<char, sizeof(Number)> raw{};
  std::ranges::copy(take(sizeof(Number)), raw.begin());
  if (turned_) std::ranges::reverse(raw);
  return std::bit_cast<Number>(raw);
}

std::size_t Odb2Frames::take_count(std::size_t least_bytes, const char* what) {
  const auto count = take_number<std::int32_t>();
  if (count < 0 || static_cast<std::size_t>(count) > (end_ - at_) / least_bytes)
    refuse(fmt::format("{} {}; {} bytes are left", count, what, end_ - at_));
  return static_cast<std::size_t>(count);
}

std::string_view Odb2Frames::take_string() {
  return take(take_count(1, "characters"));
}

bool Odb2Frames::next_frame() {
  at_ = next_;
  end_ = bytes_.size();
  columns_.clear();
  rows_left_ = 0;
  if (at_ == end_) return false;
  if (take(std::min(magic.size(), end_ - at_)) != magic) refuse("no ODB-2 frame begins here");
  turned_ = false;
  turned_ = take_number<std::int32_t>() != 1;
  const auto major = take_number<std::int32_t>(), minor = take_number<std::int32_t>();
  if (major != 0 || minor < 4 || minor > 5)
    refuse(fmt::format("ODB-2 of version {}.{}; 0.4 and 0.5 are read", major, minor));
  const std::string_view digest = take_string();
  const std::size_t header_bytes = take_count(1, "bytes of a header");
  if (md5(bytes_.substr(at_, header_bytes)) != digest) refuse("the header's MD5 is wrong: the file is damaged");
  const std::size_t data = at_ + header_bytes;
  end_ = data;
  read_header();
  return true;
}

/// What the MD5 is of.
void Odb2Frames::read_header() {
  const std::size_t data = end_, left = bytes_.size() - data;
  const auto data_bytes = take_number<std::uint64_t>();
  take_number<std::int64_t>();  // the frame before: never filled in
  const auto rows = take_number<std::uint64_t>();
  constexpr std::size_t marker_bytes = 2;
  if (data_bytes > left || rows > data_bytes / marker_bytes)
    refuse(fmt::format("{} rows in {} bytes of data; {} bytes follow", rows, data_bytes, left));
  for (std::size_t flag = take_count(sizeof(double), "flags"); flag > 0; --flag) take_number<double>();
  for (std::size_t pair = take_count(2 * sizeof(std::int32_t), "properties"); pair > 0; --pair) {
    take_string();
    take_string();
  }
  constexpr std::size_t least_column = 4 + 4 + 4 + 4 + 3 * 8;
  const std::size_t count = take_count(least_column, "columns");
  columns_.reserve(count);
  for (std::size_t column = 0; column < count; ++column) columns_.push_back(read_column());
  if (at_ != end_) refuse(fmt::format("{} bytes of the header are left after its columns", end_ - at_));
  rows_left_ = rows;
  next_ = end_ = data + static_cast<std::size_t>(data_bytes);
}

Odb2Frames::Column Odb2Frames::read_column() {
  Column column;
  column.name = take_string();
  const auto type = take_number<std::int32_t>();
  if (type < 1 || type > 5) refuse(fmt::format("column '{}' has type {}; expected 1 to 5", column.name, type));
  column.type = static_cast<Type>(type);
  if (column.type == Type::bit_field) {
    for (std::size_t field = take_count(sizeof(std::int32_t), "names of bits"); field > 0; --field) take_string();
    take(sizeof(std::int32_t) * take_count(sizeof(std::int32_t), "sizes of bits"));
  }
  const std::string codec(take_string());
  // `real_constant_or_missing` stores its numbers as `constant_or_missing` does.
  constexpr std::array<std::pair<std::string_view, Codec>, 15> codecs{
      {{"constant", Codec::constant},
       {"constant_string", Codec::constant_string},
       {"constant_or_missing", Codec::constant_or_missing},
       {"real_constant_or_missing", Codec::constant_or_missing},
       {"chars", Codec::chars},
       {"int8", Codec::int8},
       {"int16", Codec::int16},
       {"int32", Codec::int32},
       {"int8_missing", Codec::int8_missing},
       {"int16_missing", Codec::int16_missing},
       {"long_real", Codec::long_real},
       {"short_real", Codec::short_real},
       {"short_real2", Codec::short_real2},
       {"int8_string", Codec::int8_string},
       {"int16_string", Codec::int16_string}}};
  const auto known = std::ranges::find(codecs, codec, &std::pair<std::string_view, Codec>::first);
  if (known == codecs.end())
    refuse(fmt::format("column '{}' has the codec '{}', which is not known", column.name, codec));
  column.codec = known->second;
  if (column.codec == Codec::constant && column.type == Type::text) column.codec = Codec::constant_string;
  const bool of_text = column.codec == Codec::constant_string || column.codec == Codec::chars ||
                       column.codec == Codec::int8_string || column.codec == Codec::int16_string;
  if (of_text && column.type != Type::text)
    refuse(fmt::format("column '{}' is of numbers, its codec '{}' of text", column.name, codec));
  take_number<std::int32_t>();  // whether anything is missing
  column.constant = without_padding(bytes_.substr(at_, std::min<std::size_t>(8, end_ - at_)));
  column.minimum = take_number<double>();
  take_number<double>();  // the largest
  column.missing = take_number<double>();
  if (column.codec == Codec::chars) {
    if (const auto strings = take_number<std::int32_t>(); strings != 0)
      refuse(fmt::format("column '{}' holds its characters in the rows and yet {} strings", column.name, strings));
  } else if (of_text && column.codec != Codec::constant_string) {
    const std::size_t count = take_count(3 * sizeof(std::int32_t), "strings");
    column.table.resize(count);
    for (std::size_t k = 0; k < count; ++k) {
      const std::string_view words = without_padding(take_string());
      take_number<std::int32_t>();  // how often: never filled in
      const auto index = take_number<std::int32_t>();
      if (index < 0 || static_cast<std::size_t>(index) >= count)
        refuse(fmt::format("column '{}': string {} of {}", column.name, index, count));
      column.table[static_cast<std::size_t>(index)] = words;
    }
  }
  column.value = not_there;
  return column;
}

bool Odb2Frames::next_row() {
  if (rows_left_ == 0) {
    if (at_ != end_) refuse(fmt::format("{} bytes of the frame are left after its rows", end_ - at_));
    return false;
  }
  --rows_left_;
  const std::string_view marker = take(2);
  const std::size_t changed =
      static_cast<std::size_t>(static_cast<unsigned char>(marker[0])) << 8 | static_cast<unsigned char>(marker[1]);
  if (changed > columns_.size()) refuse(fmt::format("a row from column {} on; there are {}", changed, columns_.size()));
  for (std::size_t column = changed; column < columns_.size(); ++column) read_value(columns_[column]);
  return true;
}

void Odb2Frames::read_value(Column& column) {
  const auto offset = [&](auto stored, bool last_is_missing) {
    const bool missing = last_is_missing && stored == std::numeric_limits<decltype(stored)>::max();
    return missing ? column.missing : column.minimum + static_cast<double>(stored);
  };
  const auto short_real = [&](std::uint32_t missing) {
    const auto stored = take_number<std::uint32_t>();
    return stored == missing ? column.missing : static_cast<double>(std::bit_cast<float>(stored));
  };
  const auto coded = [&](std::size_t index) {
    if (index >= column.table.size())
      refuse(fmt::format("column '{}': string {} of {}", column.name, index, column.table.size()));
    return column.table[index];
  };
  double value = not_there;
  switch (column.codec) {
    case Codec::constant:
      value = column.minimum;
      break;
    case Codec::constant_string:
      column.words = column.constant;
      break;
    case Codec::constant_or_missing:
    case Codec::int8_missing:
      value = offset(take_number<std::uint8_t>(), true);
      break;
    case Codec::chars:
      column.words = without_padding(take(8));
      break;
    case Codec::int8:
      value = offset(take_number<std::uint8_t>(), false);
      break;
    case Codec::int16:
      value = offset(take_number<std::uint16_t>(), false);
      break;
    case Codec::int16_missing:
      value = offset(take_number<std::uint16_t>(), true);
      break;
    case Codec::int32:
      value = take_number<std::int32_t>();
      break;
    case Codec::long_real:
      value = take_number<double>();
      break;
    case Codec::short_real:
      value = short_real(missing_short_real);
      break;
    case Codec::short_real2:
      value = short_real(missing_short_real2);
      break;
    case Codec::int8_string:
      column.words = coded(take_number<std::uint8_t>());
      break;
    case Codec::int16_string:
      column.words = coded(take_number<std::uint16_t>());
      break;
  }
  const bool missing = value == column.missing || value == missing_integer || value == missing_real;
  column.value = missing || column.type == Type::text ? not_there : value;
}

}  // namespace zonda::ingest
