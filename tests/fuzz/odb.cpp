// Any bytes as an ODB-2 file, the MD5 of its headers made right so that what lies behind them is reached: what is read
// and what is rejected always balance.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "core/error.hpp"
#include "ingest/observations/files/md5.hpp"
#include "ingest/observations/files/odb_reader.hpp"

namespace {

/// Each header of the byte order of this machine that the bytes have room for.
std::string with_digests(std::string bytes) {
  constexpr std::size_t version_end = 17, digest = version_end + 4, length = digest + 32, header = length + 4;
  for (std::size_t at = bytes.find("\xff\xffODA"); at != std::string::npos; at = bytes.find("\xff\xffODA", at + 5)) {
    if (bytes.size() - at < header) break;
    std::uint32_t size = 0;
    std::memcpy(&size, bytes.data() + at + length, sizeof size);
    if (bytes[at + 5] != 1) size = __builtin_bswap32(size);
    if (size > bytes.size() - at - header) continue;
    bytes.replace(at + digest, 32, zonda::ingest::md5(std::string_view(bytes).substr(at + header, size)));
  }
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace zonda;
  const std::string bytes = with_digests({reinterpret_cast<const char*>(data), size});
  try {
    const auto read = ingest::read_odb(bytes, "fuzz.odb");
    if (!read.account.balanced()) std::abort();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) throw;
  }
  return 0;
}
