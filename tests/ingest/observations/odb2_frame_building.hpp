#pragma once
// ODB-2 frames byte by byte, in either byte order, for what odc's encoder never writes.
#include <algorithm>
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "ingest/observations/files/md5.hpp"

namespace zonda::ingest {

class Odb2Bytes {
 public:
  explicit Odb2Bytes(bool big) : big_(big) {}
  template <class Number>
  Odb2Bytes& number(Number value) {
    std::string raw(reinterpret_cast<const char*>(&value), sizeof value);
    if (big_) std::ranges::reverse(raw);
    bytes += raw;
    return *this;
  }
  Odb2Bytes& raw(std::string_view text) {
    bytes += text;
    return *this;
  }
  Odb2Bytes& string(std::string_view text) { return number(static_cast<std::int32_t>(text.size())).raw(text); }
  /// What all codecs have; types are 1 integer, 2 real, 3 text, 4 bits, 5 real of 64 bits.
  Odb2Bytes& column(std::string_view name, std::int32_t type, std::string_view codec, double minimum, double missing) {
    string(name).number(type);
    if (type == 4) number(std::int32_t{1}).string("flag").number(std::int32_t{1}).number(std::int32_t{3});
    return string(codec).number(std::int32_t{1}).number(minimum).number(minimum + 250).number(missing);
  }
  std::string bytes;

 private:
  bool big_;
};

/// `columns`: what follows the number of columns in the header.
inline std::string odb2_frame(bool big, std::int32_t column_count, std::string_view columns, std::uint64_t rows,
                              std::string_view data) {
  Odb2Bytes header(big);
  header.number(static_cast<std::uint64_t>(data.size())).number(std::uint64_t{0}).number(rows);
  header.number(std::int32_t{1}).number(0.5);                          // a flag
  header.number(std::int32_t{1}).string("encoder").string("by hand");  // a property
  header.number(column_count).raw(columns);
  Odb2Bytes frame(big);
  frame.raw("\xff\xffODA").number(std::int32_t{1}).number(std::int32_t{0}).number(std::int32_t{5});
  frame.string(md5(header.bytes)).string(header.bytes).raw(data);
  return frame.bytes;
}

}  // namespace zonda::ingest
