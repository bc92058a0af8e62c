#include "ingest/archive/chunk_index.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "core/checksum.hpp"
#include "core/error.hpp"

namespace zonda::ingest {
namespace {

struct Header {
  std::array<char, 8> magic;
  std::uint64_t version, times, chunks;
};
static_assert(sizeof(Header) == 32);
constexpr std::array<char, 8> kMagic{'Z', 'O', 'N', 'D', 'A', 'I', 'D', 'X'};
constexpr std::uint64_t kVersion = 1;

}  // namespace

std::string encode_chunk_index(std::size_t times, std::size_t chunks, std::span<const ChunkPlace> places) {
  if (places.size() != times * chunks) fail(ErrorKind::failure, "a chunk index needs {} places", times * chunks);
  const Header header{kMagic, kVersion, times, chunks};
  std::string bytes(sizeof header + places.size_bytes(), '\0');
  std::memcpy(bytes.data(), &header, sizeof header);
  std::memcpy(bytes.data() + sizeof header, places.data(), places.size_bytes());
  return bytes;
}

ChunkIndex::ChunkIndex(const std::filesystem::path& path, std::size_t times, std::size_t chunks,
                       std::uint64_t file_bytes, std::uint32_t crc32c)
    : chunks_(chunks) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail(ErrorKind::data, "{}: cannot be opened: {}", path.string(), std::strerror(errno));
  struct stat status {};
  const bool known = ::fstat(descriptor, &status) == 0;
  const std::size_t expected = sizeof(Header) + times * chunks * sizeof(ChunkPlace);
  if (!known || static_cast<std::size_t>(status.st_size) != expected) {
    ::close(descriptor);
    fail(ErrorKind::data, "{}: has {} bytes, expected {}: the file is damaged", path.string(), status.st_size,
         expected);
  }
  void* address = ::mmap(nullptr, expected, PROT_READ, MAP_SHARED, descriptor, 0);
  const int reason = errno;
  ::close(descriptor);
  if (address == MAP_FAILED) fail(ErrorKind::failure, "{}: cannot be mapped: {}", path.string(), std::strerror(reason));
  map_ = std::shared_ptr<const void>(address, [expected](const void* p) { ::munmap(const_cast<void*>(p), expected); });

  Header header;
  std::memcpy(&header, address, sizeof header);
  places_ = {reinterpret_cast<const ChunkPlace*>(static_cast<const std::byte*>(address) + sizeof header),
             times * chunks};
  if (header.magic != kMagic || header.version != kVersion || header.times != times || header.chunks != chunks ||
      zonda::crc32c({static_cast<const std::byte*>(address), expected}) != crc32c) {
    fail(ErrorKind::data, "{}: checksum or header is wrong: the file is damaged", path.string());
  }
  for (const ChunkPlace& place : places_) {
    if (place.offset > file_bytes || place.bytes > file_bytes - place.offset) {
      fail(ErrorKind::data, "{}: a chunk lies outside its file", path.string());
    }
  }
}

}  // namespace zonda::ingest
