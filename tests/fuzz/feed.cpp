// Any bytes as a boundary feed: refused with Error(data), or the same feed again from its own file.
#include <cstdlib>
#include <cstring>

#include "core/checksum.hpp"
#include "core/error.hpp"
#include "inference/edge/feed/boundary_feed.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace zonda;
  std::string file(reinterpret_cast<const char*>(data), size);
  // Checksums are made right where that is possible, so that what lies behind them is reached.
  std::uint32_t length = 0;
  if (size >= 16) {
    std::memcpy(&length, file.data() + 8, sizeof length);
    if (length <= size - 16) {
      const std::uint32_t checksum = crc32c(std::as_bytes(std::span(file.data() + 16, length)));
      std::memcpy(file.data() + 12, &checksum, sizeof checksum);
    }
  }
  try {
    const edge::BoundaryFeed feed = edge::decode_feed(file, "fuzz.feed");
    const edge::BoundaryFeed again = edge::decode_feed(edge::encode_feed(feed), "again.feed");
    if (again.current != feed.current || again.strips != feed.strips || again.leads != feed.leads) std::abort();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) std::abort();
  }
  return 0;
}
