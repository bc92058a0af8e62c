#pragma once
// ODB-2, ECMWF's table of observations: frames, each with a header that names columns and their codecs, and rows of
// which only the columns from the first changed one on are stored. ("File format reference" of ECMWF's odc.)
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace zonda::ingest {

/// Walks through the rows of all frames. Both byte orders; format versions 0.4 and 0.5; all codecs that the format
/// names. Holds one row; the bytes must outlive it. Every failure is an Error(data): `FILE: byte N: what`.
class Odb2Frames {
 public:
  Odb2Frames(std::string_view bytes, std::string file);

  /// Goes to the next frame, what is left of this one unread; false at the end of the file.
  bool next_frame();
  /// Goes to the next row of the frame; false after the last.
  bool next_row();

  /// Of this frame: `lat@hdr`, ...
  std::size_t columns() const { return columns_.size(); }
  const std::string& name(std::size_t column) const { return columns_[column].name; }
  bool is_text(std::size_t column) const { return columns_[column].type == Type::text; }
  /// Of this row. NaN where it is missing, and in columns of text.
  double number(std::size_t column) const { return columns_[column].value; }
  /// Without what pads it; "" in columns of numbers.
  std::string_view text(std::size_t column) const { return columns_[column].words; }

 private:
  enum class Type : std::int32_t { integer = 1, real = 2, text = 3, bit_field = 4, real64 = 5 };
  enum class Codec {
    constant,
    constant_string,
    constant_or_missing,
    chars,
    int8,
    int16,
    int32,
    int8_missing,
    int16_missing,
    long_real,
    short_real,
    short_real2,
    int8_string,
    int16_string
  };
  struct Column {
    std::string name;
    Type type = Type::integer;
    Codec codec = Codec::constant;
    double minimum = 0, missing = 0;
    std::string_view constant;            ///< the eight characters of a constant string
    std::vector<std::string_view> table;  ///< of coded strings
    double value = 0;
    std::string_view words;
  };

  [[noreturn]] void refuse(const std::string& what) const;
  std::string_view take(std::size_t bytes);
  template <class Number>
  Number take_number();
  std::string_view take_string();
  /// A count of things that take at least `least_bytes` each.
  std::size_t take_count(std::size_t least_bytes, const char* what);
  void read_header();
  Column read_column();
  void read_value(Column& column);

  std::string_view bytes_;
  std::string file_;
  std::size_t at_ = 0, end_ = 0;  ///< what is read next, and where it has to stop: of the header, of the frame
  std::size_t next_ = 0;          ///< the next frame
  bool turned_ = false;           ///< the other byte order
  std::uint64_t rows_left_ = 0;
  std::vector<Column> columns_;
};

}  // namespace zonda::ingest
