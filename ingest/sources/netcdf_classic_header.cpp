#include "ingest/sources/netcdf_classic_header.hpp"

#include <algorithm>
#include <fstream>
#include <limits>
#include <vector>

#include "core/error.hpp"

namespace zonda::ingest {
namespace {

/// The grammar of "NetCDF Classic Format Specification" (Unidata): every number big-endian, every item padded to four
/// bytes.
class HeaderReader {
 public:
  explicit HeaderReader(const std::filesystem::path& path) : path_(path), file_(path, std::ios::binary) {
    char magic[4] = {};
    file_.read(magic, 4);
    version_ = static_cast<unsigned char>(magic[3]);
    if (!file_ || magic[0] != 'C' || magic[1] != 'D' || magic[2] != 'F') broken("its first bytes are not 'CDF'");
    if (version_ != 1 && version_ != 2 && version_ != 5) broken("unknown version");
  }

  std::uint64_t length() {
    std::uint64_t records = count();
    if (version_ != 5 && records == 0xFFFFFFFFu) records = 0;  // streaming: unknown
    std::vector<std::uint64_t> dimensions;
    for (std::uint64_t n = list(0x0A); n > 0; --n) {
      skip_name();
      dimensions.push_back(count());
    }
    skip_attributes();
    struct Variable {
      std::uint64_t begin, size;
    };
    std::vector<Variable> fixed, recorded;
    for (std::uint64_t n = list(0x0B); n > 0; --n) {
      skip_name();
      const std::uint64_t rank = count();
      if (rank > 1024) broken("a variable with more than 1024 dimensions");
      std::uint64_t elements = 1;
      bool is_recorded = false;
      for (std::uint64_t d = 0; d < rank; ++d) {
        const std::uint64_t id = count();
        if (id >= dimensions.size()) broken("a variable with an unknown dimension");
        if (d == 0 && dimensions[id] == 0) {
          is_recorded = true;
        } else {
          elements = product(elements, dimensions[id]);
        }
      }
      skip_attributes();
      const std::uint64_t bytes = product(elements, type_size(number(4)));
      count();  // vsize: redundant, and wrong by design above 4 GiB
      const std::uint64_t begin = number(version_ == 1 ? 4 : 8);
      (is_recorded ? recorded : fixed).push_back({begin, bytes});
    }
    std::uint64_t end = static_cast<std::uint64_t>(file_.tellg());
    for (const Variable& v : fixed) {
      if (v.size > 0) end = std::max(end, sum(v.begin, v.size));
    }
    std::uint64_t record_size = 0;
    for (const Variable& v : recorded) record_size = sum(record_size, recorded.size() == 1 ? v.size : padded(v.size));
    for (const Variable& v : recorded) {
      if (records > 0 && v.size > 0) end = std::max(end, sum(sum(v.begin, v.size), product(records - 1, record_size)));
    }
    return end;
  }

 private:
  [[noreturn]] void broken(const char* why) const {
    fail(ErrorKind::data, "{}: the header of this NetCDF file is damaged or cut off: {}", path_.string(), why);
  }
  std::uint64_t number(int bytes) {
    unsigned char buffer[8] = {};
    file_.read(reinterpret_cast<char*>(buffer), bytes);
    if (!file_) broken("it ends early");
    std::uint64_t value = 0;
    for (int i = 0; i < bytes; ++i) value = value << 8 | buffer[i];
    return value;
  }
  std::uint64_t count() { return number(version_ == 5 ? 8 : 4); }
  std::uint64_t list(std::uint64_t tag) {
    const std::uint64_t found = number(4), n = count();
    if (found != tag && !(found == 0 && n == 0)) broken("a list has the wrong tag");
    return n;
  }
  static std::uint64_t padded(std::uint64_t n) {
    return n > std::numeric_limits<std::uint64_t>::max() - 3 ? n : (n + 3) / 4 * 4;
  }
  std::uint64_t sum(std::uint64_t a, std::uint64_t b) const {
    if (a > std::numeric_limits<std::uint64_t>::max() - b) broken("sizes overflow");
    return a + b;
  }
  std::uint64_t product(std::uint64_t a, std::uint64_t b) const {
    if (b != 0 && a > std::numeric_limits<std::uint64_t>::max() / b) broken("sizes overflow");
    return a * b;
  }
  void skip(std::uint64_t bytes) {
    if (bytes > (1u << 30)) broken("an item is longer than 1 GiB");
    file_.ignore(static_cast<std::streamsize>(bytes));
    if (static_cast<std::uint64_t>(file_.gcount()) != bytes) broken("it ends early");
  }
  void skip_name() { skip(padded(count())); }
  void skip_attributes() {
    for (std::uint64_t n = list(0x0C); n > 0; --n) {
      skip_name();
      const std::uint64_t size = type_size(number(4));
      skip(padded(product(count(), size)));
    }
  }
  std::uint64_t type_size(std::uint64_t type) const {
    constexpr std::uint64_t sizes[] = {0, 1, 1, 2, 4, 4, 8, 1, 2, 4, 8, 8};
    if (type < 1 || type > 11) broken("an unknown type");
    return sizes[type];
  }

  std::filesystem::path path_;
  std::ifstream file_;
  int version_ = 0;
};

}  // namespace

std::uint64_t netcdf_classic_length(const std::filesystem::path& path) {
  return HeaderReader(path).length();
}

}  // namespace zonda::ingest
